import AdaShareDatasets
import AdaShareMethods
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import AdaShareTasks
import Yams

/// Goes through the keys of a published file, in the order of a resolved configuration.
struct PublishedTranslation {
    private var keys: PublishedKeys
    private let vocabulary: Vocabulary
    private var root = Node.emptyMapping
    private(set) var remarks: [String] = []

    /// Weights that begin where torchvision's ended, unless `model.initial_checkpoint` says another place.
    private static func pretrained(_ backbone: String) -> String { "data/\(backbone)_imagenet.safetensors" }

    /// Keys whose other values ask for what is not to be had here.
    private static let fixed: [(path: String, value: String, expected: String)] = [
        ("policy", "true", "True: without a policy it is another method, which `method` of a configuration names"),
        ("skip_layer", "0", "0: every block has a decision of its own"),
        ("fix_BN", "false", "False: batch norms learn with the other weights"),
        ("is_deterministic", "false", "False: there is no such loss"),
        ("dataload.overlap", "", "nothing: lists of images are those of the data set"),
        ("dataload.copy", "", "nothing: lists of images are those of the data set"),
    ]

    /// Keys and sections without a counterpart, and what is done instead.
    private static let unmatched: [(path: String, remark: String)] = [
        ("exp_name", "--output names the run folder; by default it is called after the file"),
        ("paths", "everything of a run lies in its folder"),
        ("dataload.small_res", "images are as large as their files, in evaluation too"),
        ("train.resume", "train --resume goes on with a run"),
        ("train.retrain_resume", "train --resume goes on with a run"),
        ("train.which_iter", "a run finds its checkpoints; evaluate --checkpoint names another"),
        ("train.policy_iter", "discrete policies are taken from what policy learning keeps"),
        (
            "train.decay_temp_freq",
            "not read by the published code either: the temperature falls after each policy epoch"
        ),
        ("train.policy_decay_lr_freq", "rates stay as they are in policy learning"),
        ("train.policy_decay_lr_rate", "rates stay as they are in policy learning"),
        ("test", "evaluate scores the whole split with the weights that training kept"),
    ]

    init(_ tree: ConfigurationTree, vocabulary: Vocabulary) {
        keys = PublishedKeys(tree)
        self.vocabulary = vocabulary
    }

    /// The keys that have been set.
    func yaml() throws -> String { try Yams.serialize(node: root, width: -1, allowUnicode: true) }

    mutating func run() throws {
        let data = try dataset()
        try tasks(of: data)
        try model()
        try training()
        try policy()
        for (path, value, expected) in Self.fixed {
            guard let node = keys.take(path), node.plain?.lowercased() != value else { continue }
            throw keys.tree.error(path, found: node.summary, expected: expected)
        }
        let models = ["task-specific", "blockwise"]
        if let found = try keys.word("policy_model"), !models.contains(found) {
            throw keys.tree.error("policy_model", found: "'\(found)'", expected: models.joined(separator: " or "))
        }
        for (path, remark) in Self.unmatched where keys.take(path) != nil { say(path, remark) }
        remarks += data.published.remarks.map { "dataload.dataset \(data.published.name): \($0)" }
        remarks += keys.left.map { "\($0): unknown here, and without effect" }
    }

    private mutating func set(_ path: String, _ value: Node) {
        ConfigurationTree.insert(value, at: path.split(separator: ".").map(String.init)[...], into: &root)
    }

    private mutating func set(_ path: String, _ value: (some ConfigurationValue)?) {
        if let value { set(path, value.node) }
    }

    private mutating func set(_ path: String, _ value: Int?) {
        if let value { set(path, value.node) }
    }

    private mutating func say(_ path: String, _ remark: String) { remarks.append("\(path): \(remark)") }

    // MARK: - Data

    private typealias Data = (published: PublishedDataset, kind: String)

    private mutating func dataset() throws -> Data {
        let known = vocabulary.readers.all.compactMap { reader in reader.published.map { ($0, reader.kind) } }
        let expected = "one of " + known.map(\.0.name).joined(separator: ", ")
        let name = try keys.required("dataload.dataset", keys.word("dataload.dataset"), expected)
        guard let data = known.first(where: { $0.0.name == name }) else {
            throw keys.tree.error("dataload.dataset", found: "'\(name)'", expected: expected)
        }
        return data
    }

    private mutating func tasks(of data: Data) throws {
        let names = try keys.required("tasks", keys.words("tasks"), "a list of texts")
        let channels = try keys.required(
            "tasks_num_class", keys.numbers("tasks_num_class", count: names.count), "a number for each task")
        let weights = try keys.numbers("lambdas", count: names.count)
        let domains = try keys.words("dataload.domains") ?? names
        guard domains.count == names.count else {
            throw keys.tree.error("dataload.domains", found: "\(domains.count)", expected: "\(names.count), as tasks")
        }
        let root = try keys.required("dataload.dataroot", keys.word("dataload.dataroot"), "a folder")
        let crop = try [keys.integer("dataload.crop_h"), keys.integer("dataload.crop_w")].compactMap { $0 }
        let size = crop.count == 2 ? ImageSize(height: crop[0], width: crop[1]) : nil
        func source(_ part: (key: String, name: String)?) -> [(Node, Node)] {
            var pairs = [(Node("kind"), Node(data.kind)), (Node("root"), root.node)]
            if let part { pairs.append((Node(part.key), part.name.node)) }
            if data.published.isResized, let size { pairs.append((Node("resize"), size.node)) }
            return pairs
        }
        var kinds: [any TaskKind.Type] = []
        var items: [Node] = []
        for (index, name) in names.enumerated() {
            let parts = data.published.parts
            let expected = vocabulary.tasks.all.compactMap { $0.publishedName }.joined(separator: ", ")
            guard
                let kind = parts.map({ vocabulary.tasks[$0.label] })
                    ?? vocabulary.tasks.all.first(where: { $0.publishedName == name })
            else { throw keys.tree.error("tasks.\(index)", found: "'\(name)'", expected: "one of \(expected)") }
            kinds.append(kind)
            var pairs = [
                (Node("name"), (parts == nil ? kind.name : name).node), (Node("kind"), Node(kind.name)),
                (Node("channels"), Node("\(Int(channels[index]))")),
            ]
            if let weights { pairs.append((Node("weight"), weights[index].node)) }
            if kind.channels == nil, data.published.ignoredClass != 255, kind.extent == .pixels {
                pairs.append((Node("ignore_label"), Node("\(data.published.ignoredClass)")))
            }
            if let parts {
                pairs.append((Node("dataset"), Node(source((parts.key, domains[index])), .implicit, .flow)))
            }
            items.append(Node(pairs, .implicit, .flow))
        }
        set("tasks", Node(items, .implicit, .block))
        if data.published.parts == nil {
            for (key, value) in source(nil) { set("dataset.\(key.scalar?.string ?? "")", value) }
        }
        if let size { set("dataset.crop", size.node) }
        set("dataset.augmentation", AugmentationKind.dense)
        for key in Set(kinds.compactMap { $0.conventionKey?.path }).sorted() {
            set(key, (data.published.trainsColours ? MetricConvention.published : .exact).rawValue)
        }
    }

    // MARK: - Network and training

    private mutating func model() throws {
        let known = BackboneKind.allCases.map(\.rawValue)
        let expected = "one of \(known.joined(separator: ", ")), in any case"
        let backbone = try keys.required("backbone", keys.word("backbone"), expected)
        guard known.contains(backbone.lowercased()) else {
            throw keys.tree.error("backbone", found: "'\(backbone)'", expected: expected)
        }
        set("model.backbone", backbone.lowercased())
        set("model.task_batch_norm", try keys.flag("task_bn"))
        guard try keys.flag("train.imagenet_pretrain") == true else { return }
        let path = Self.pretrained(backbone.lowercased())
        set("model.initial_checkpoint", path)
        say(
            "train.imagenet_pretrain",
            "nothing is downloaded: put torchvision's weights as safetensors into \(path), or name another file with "
                + "model.initial_checkpoint")
    }

    private mutating func training() throws {
        if let seeds = keys.take("seed")?.sequence, let first = seeds.first {
            set("training.seed", first)
            let more = "the others are of retrainings under further draws, of which policy.samples are compared here"
            if seeds.count > 1 { say("seed", "\(first.summary), the first; " + more) }
        } else {
            set("training.seed", try keys.integer("seed", in: .seeds))
        }
        set("training.batch", try keys.integer("train.batch_size", in: .fromOne))
        set("training.log_every", try keys.integer("train.print_freq", in: .fromOne))
        if let every = try keys.integer("train.val_freq") {
            set("training.evaluate_every", every)
            say(
                "train.val_freq",
                "checkpoints are compared on images held out of train (dataset.validation), not on the test split")
        }
        let total = try keys.integer("train.total_iters")
        let warmup = try keys.integer("train.warm_up_iters")
        let retrain = try keys.integer("train.retrain_total_iters")
        if let total {
            guard total >= warmup ?? 0 else {
                throw keys.tree.error(
                    "train.total_iters", found: "\(total)", expected: "at least train.warm_up_iters, \(warmup ?? 0)")
            }
            set("training.warmup.iterations", warmup ?? 0)
            set("training.policy.iterations", total - (warmup ?? 0))
            set("training.retrain.iterations", retrain ?? total)
        } else {
            say("train.total_iters", "missing, so phases are as long as by default")
        }
        if let continues = try keys.flag("retrain_from_pl") {
            set("training.retrain.start", continues ? RetrainStart.learned : .fresh)
        }
        let heads = try [keys.number("train.lr"), keys.number("train.fc_lr")].compactMap { $0 }.last
        set("training.learning_rate.heads", heads)
        set("training.learning_rate.backbone", try keys.number("train.backbone_lr") ?? heads)
        try decay(isTrained: total != nil)
    }

    private mutating func decay(isTrained: Bool) throws {
        typealias Decay = (every: Int?, factor: Double?)
        func read(_ name: String, from keys: inout PublishedKeys) throws -> Decay {
            (try keys.integer("train.decay_\(name)lr_freq"), try keys.number("train.decay_\(name)lr_rate"))
        }
        let all = try read("", from: &keys)
        let heads = try read("fc_", from: &keys)
        let backbone = try read("backbone_", from: &keys)
        if backbone.every != nil, backbone != heads {
            throw keys.tree.error(
                "train.decay_backbone_lr_freq", found: "another decay than that of train.decay_fc_lr_freq",
                expected: "one decay, of all rates or of the heads' alone")
        }
        let chosen = heads.every == nil ? all : heads
        guard let every = chosen.every, let factor = chosen.factor else {
            if isTrained { set("training.learning_rate_decay.every", 0) }
            return
        }
        set("training.learning_rate_decay.factor", factor)
        set("training.learning_rate_decay.every", every)
        if heads.every != nil, backbone.every == nil { set("training.learning_rate_decay.scope", DecayScope.heads) }
    }

    // MARK: - Policy

    private mutating func policy() throws {
        let (sparsity, sharing) = (try keys.number("train.reg_w"), try keys.number("train.reg_w_hamming"))
        let isSparse = try keys.flag("is_sparse") ?? true
        let isShared = try keys.flag("is_sharing") ?? true
        set("policy.sparsity", isSparse ? sparsity : 0)
        set("policy.sharing", isShared ? sharing : 0)
        if isShared, sharing != nil {
            say(
                "train.reg_w_hamming",
                "weighs the paper's loss of differing probabilities, bottom blocks most; "
                    + "policy.sharing_form=published is the code's, of logits, top blocks most")
        }
        if try keys.flag("diff_sparsity_weights") == true, !isShared { set("policy.sparsity_layer_weights", true) }
        if try keys.flag("is_curriculum") == false { set("policy.curriculum", false) }
        set("policy.curriculum_speed", try keys.integer("curriculum_speed", in: .fromOne))
        set("policy.temperature", try keys.number("train.init_temp"))
        set("policy.temperature_decay", try keys.number("train.decay_temp"))
        set("policy.learning_rate", try keys.number("train.policy_lr"))
        if try keys.flag("train.hard_sampling") == true { set("policy.sampling", PolicySampling.straightThrough) }
        let negative = try keys.number("init_neg_logits")
        let initial: [String: InitialChoice] = ["equal": .equal, "random": .normal, "all_chosen": .allChosen]
        if let name = try keys.word("train.init_method") {
            guard let choice = initial[name] else {
                throw keys.tree.error(
                    "train.init_method", found: "'\(name)'",
                    expected: "one of " + initial.keys.sorted().joined(separator: ", "))
            }
            set("policy.initial", choice)
            if choice == .allChosen { set("policy.initial_scale", negative.map { -$0 }) }
        }
        set("policy.alternation.weights", try keys.integer("train.weight_iter_alternate", in: .fromOne))
        set("policy.alternation.logits", try keys.integer("train.alpha_iter_alternate", in: .fromOne))
    }
}
