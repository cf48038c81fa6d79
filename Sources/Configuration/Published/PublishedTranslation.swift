import AdaShareDatasets
import AdaShareMethods
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import AdaShareTasks
import Yams

/// Goes through the keys of a published file, in the order of a resolved configuration.
struct PublishedTranslation {
    var keys: PublishedKeys
    private let vocabulary: Vocabulary
    private var root = Node.emptyMapping
    private(set) var remarks: [String] = []
    /// Where in the file it is said what a key of ours has been set to.
    private(set) var places: [String: String] = [:]

    /// Weights that begin where torchvision's ended, unless `model.initial_checkpoint` says another place.
    static func pretrained(_ backbone: String) -> String { "data/\(backbone)_imagenet.safetensors" }

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
        ("train.decay_arch_lr_freq", "the rate of logits stays as it is"),
        ("train.decay_arch_lr_rate", "the rate of logits stays as it is"),
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
        let isPretrained = try model(of: data)
        try training(of: data, isPretrained: isPretrained)
        try policy(of: data)
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

    mutating func set(_ path: String, from place: String, _ value: Node) {
        ConfigurationTree.insert(value, at: path.split(separator: ".").map(String.init)[...], into: &root)
        places[path] = place
    }

    mutating func set(_ path: String, from place: String, _ value: (some ConfigurationValue)?) {
        if let value { set(path, from: place, value.node) }
    }

    mutating func set(_ path: String, from place: String, _ value: Int?) {
        if let value { set(path, from: place, value.node) }
    }

    mutating func say(_ path: String, _ remark: String) { remarks.append("\(path): \(remark)") }

    // MARK: - Data

    typealias Data = (published: PublishedDataset, kind: String)

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
            "tasks_num_class", keys.integers("tasks_num_class", count: names.count), "a number for each task")
        let weights = try keys.numbers("lambdas", count: names.count)
        let domains = try keys.words("dataload.domains") ?? names
        guard domains.count == names.count else {
            throw keys.tree.error("dataload.domains", found: "\(domains.count)", expected: "\(names.count), as tasks")
        }
        let root = try keys.required("dataload.dataroot", keys.word("dataload.dataroot"), "a folder")
        let size = try crop()
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
                (Node("channels"), channels[index].node),
            ]
            for key in ["name", "kind"] { places["tasks.\(index).\(key)"] = "tasks.\(index)" }
            places["tasks.\(index).channels"] = "tasks_num_class.\(index)"
            places["tasks.\(index).weight"] = "lambdas.\(index)"
            places["tasks.\(index).dataset"] = "dataload"
            if let weights { pairs.append((Node("weight"), weights[index].node)) }
            if kind.channels == nil, kind.extent == .pixels, let file = data.published.classWeights {
                pairs.append((Node("class_weights"), "\(root)/\(file)".node))
                places["tasks.\(index).class_weights"] = "dataload.dataroot"
            }
            if kind.channels == nil, data.published.ignoredClass != 255, kind.extent == .pixels {
                pairs.append((Node("ignore_label"), Node("\(data.published.ignoredClass)")))
            }
            if let parts {
                pairs.append((Node("dataset"), Node(source((parts.key, domains[index])), .implicit, .flow)))
                places["tasks.\(index).dataset.\(parts.key)"] = "dataload.domains.\(index)"
            }
            items.append(Node(pairs, .implicit, .flow))
        }
        set("tasks", from: "tasks", Node(items, .implicit, .block))
        if data.published.parts == nil {
            let keys = ["kind": "dataload.dataset", "root": "dataload.dataroot"]
            for (key, value) in source(nil) {
                let name = key.scalar?.string ?? ""
                set("dataset.\(name)", from: keys[name] ?? "dataload.crop_h", value)
            }
        }
        if let size { set("dataset.crop", from: "dataload.crop_h", size.node) }
        set("dataset.augmentation", from: "dataload.dataset", AugmentationKind.dense)
        for key in Set(kinds.compactMap { $0.conventionKey?.path }).sorted() {
            let convention = data.published.trainsColours ? MetricConvention.published : .exact
            set(key, from: "dataload.dataset", convention.rawValue)
        }
    }

    /// Both sides or none.
    private mutating func crop() throws -> ImageSize? {
        let (height, width) = (try keys.integer("dataload.crop_h"), try keys.integer("dataload.crop_w"))
        guard height != nil || width != nil else { return nil }
        return ImageSize(
            height: try keys.required("dataload.crop_h", height, "a number, as crop_w is"),
            width: try keys.required("dataload.crop_w", width, "a number, as crop_h is"))
    }
}
