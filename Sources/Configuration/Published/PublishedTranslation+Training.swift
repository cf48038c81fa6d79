import AdaShareMethods
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import Yams

/// Network, phases and policy. Data sets that come in parts are those of the published code's `domainnet` branch, whose
/// keys mean something else than the main branch's.
extension PublishedTranslation {
    /// Whether the backbone begins with weights that have learned on ImageNet.
    mutating func model(of data: Data) throws -> Bool {
        let known = BackboneKind.allCases.map(\.rawValue)
        let expected = "one of \(known.joined(separator: ", ")), in any case"
        let backbone = try keys.required("backbone", keys.word("backbone"), expected)
        guard known.contains(backbone.lowercased()) else {
            throw keys.tree.error("backbone", found: "'\(backbone)'", expected: expected)
        }
        set("model.backbone", from: "backbone", backbone.lowercased())
        let isPerTask = try keys.flag("task_bn")
        let isPretrained = try keys.flag("train.imagenet_pretrain")
        guard data.published.parts != nil else {
            for (path, value) in [("task_bn", isPerTask), ("train.imagenet_pretrain", isPretrained)] where value == true
            {
                say(path, "not read by the published code for \(data.published.name), and without effect here")
            }
            return false
        }
        set("model.task_batch_norm", from: "task_bn", isPerTask)
        guard isPretrained == true else { return false }
        let path = Self.pretrained(backbone.lowercased())
        set("model.initial_checkpoint", from: "train.imagenet_pretrain", path)
        say(
            "train.imagenet_pretrain",
            "nothing is downloaded: put torchvision's weights as safetensors into \(path), or name another file with "
                + "model.initial_checkpoint")
        return true
    }

    mutating func training(of data: Data, isPretrained: Bool) throws {
        if let seeds = keys.take("seed")?.sequence, let first = seeds.first {
            set("training.seed", from: "seed", first)
            let more = "the others are of retrainings under further draws, of which policy.samples are compared here"
            if seeds.count > 1 { say("seed", "\(first.summary), the first; " + more) }
        } else {
            set("training.seed", from: "seed", try keys.integer("seed", in: .seeds))
        }
        set("training.batch", from: "train.batch_size", try keys.integer("train.batch_size", in: .fromOne))
        set("training.log_every", from: "train.print_freq", try keys.integer("train.print_freq", in: .fromOne))
        if let every = try keys.integer("train.val_freq") {
            set("training.evaluate_every", from: "train.val_freq", every)
            say(
                "train.val_freq",
                "checkpoints are compared on images held out of train (dataset.validation), not on the test split")
        }
        try lengths()
        if let continues = try keys.flag("retrain_from_pl") {
            set("training.retrain.start", from: "retrain_from_pl", continues ? RetrainStart.learned : .fresh)
        }
        try rates(of: data, isPretrained: isPretrained)
    }

    private mutating func lengths() throws {
        let total = try keys.integer("train.total_iters")
        let warmup = try keys.integer("train.warm_up_iters")
        let retrain = try keys.integer("train.retrain_total_iters")
        guard let total else {
            for (path, value) in [("train.warm_up_iters", warmup), ("train.retrain_total_iters", retrain)]
            where value != nil { say(path, "without effect, as train.total_iters is missing") }
            return say("train.total_iters", "missing, so phases are as long as by default")
        }
        guard total >= warmup ?? 0 else {
            throw keys.tree.error(
                "train.total_iters", found: "\(total)", expected: "at least train.warm_up_iters, \(warmup ?? 0)")
        }
        set("training.warmup.iterations", from: "train.warm_up_iters", warmup ?? 0)
        set("training.policy.iterations", from: "train.total_iters", total - (warmup ?? 0))
        let place = retrain == nil ? "train.total_iters" : "train.retrain_total_iters"
        set("training.retrain.iterations", from: place, retrain ?? total)
    }

    /// Two optimisers with rates of their own, `lr` and `backbone_lr`, in the main branch; in the other branch `fc_lr`
    /// and `backbone_lr` for a pretrained backbone, else one with `lr`.
    private mutating func rates(of data: Data, isPretrained: Bool) throws {
        let isParted = data.published.parts != nil
        let isSplit = !isParted || isPretrained
        let heads = isParted && isPretrained ? "train.fc_lr" : "train.lr"
        let unread = isParted && isPretrained ? "train.lr" : "train.fc_lr"
        let rate = try keys.number(heads)
        set("training.learning_rate.heads", from: heads, rate)
        let backbone = try keys.number("train.backbone_lr")
        let place = isSplit && backbone != nil ? "train.backbone_lr" : heads
        set("training.learning_rate.backbone", from: place, isSplit ? backbone ?? rate : rate)
        let reason = "not read by the published code for \(data.published.name)"
        let when = isParted ? "\(reason) with imagenet_pretrain \(isPretrained ? "True" : "False")" : reason
        if try keys.number(unread) != nil { say(unread, "\(when), which takes \(heads)") }
        if !isSplit, backbone != nil { say("train.backbone_lr", "\(when), which takes \(heads) for everything") }
        let names = isSplit && isParted ? ["fc_", "backbone_"] : isParted ? [] : [""]
        try decay(of: names, unread: when)
    }

    /// - Parameters:
    ///   - names: of the decays that the published code reads, the heads' or only one first.
    ///   - reason: why it does not read others.
    private mutating func decay(of names: [String], unread reason: String) throws {
        typealias Decay = (every: Int, factor: Double)
        var decays: [String: Decay] = [:]
        for name in ["", "fc_", "backbone_"] {
            let path = "train.decay_\(name)lr_"
            let (every, factor) = (try keys.integer(path + "freq"), try keys.number(path + "rate"))
            guard every != nil || factor != nil else { continue }
            guard names.contains(name) else {
                say(path + (every == nil ? "rate" : "freq"), reason)
                continue
            }
            guard let every, let factor else {
                say(path + (every == nil ? "rate" : "freq"), "without effect, as the other of freq and rate is missing")
                continue
            }
            decays[name] = (every, factor)
        }
        let backbone = decays["backbone_"]
        let place = "train.decay_\(names.first ?? "")lr_"
        guard let chosen = names.first.flatMap({ decays[$0] }) else {
            if backbone != nil {
                throw keys.tree.error(
                    "train.decay_backbone_lr_freq", found: "a decay of the backbone's rate alone",
                    expected: "one decay, of all rates or of the heads' alone")
            }
            if keys.node("train.total_iters") != nil {
                set("training.learning_rate_decay.every", from: place + "freq", 0)
            }
            return
        }
        if let backbone, backbone != chosen {
            throw keys.tree.error(
                "train.decay_backbone_lr_freq", found: "another decay than that of train.decay_fc_lr_freq",
                expected: "one decay, of all rates or of the heads' alone")
        }
        set("training.learning_rate_decay.factor", from: place + "rate", chosen.factor)
        set("training.learning_rate_decay.every", from: place + "freq", chosen.every)
        if names.count > 1, backbone == nil {
            set("training.learning_rate_decay.scope", from: place + "freq", DecayScope.heads)
        }
    }

    // MARK: - Policy

    mutating func policy(of data: Data) throws {
        try regularisers()
        if try keys.flag("is_curriculum") == false { set("policy.curriculum", from: "is_curriculum", false) }
        set("policy.curriculum_speed", from: "curriculum_speed", try keys.integer("curriculum_speed", in: .fromOne))
        set("policy.temperature", from: "train.init_temp", try keys.number("train.init_temp"))
        set("policy.temperature_decay", from: "train.decay_temp", try keys.number("train.decay_temp"))
        try sampling(of: data)
        let initial = try initialLogits()
        let rate = try keys.number("train.policy_lr")
        if data.published.parts != nil || initial == .allChosen {
            set("policy.learning_rate", from: "train.policy_lr", rate)
        } else if let rate, rate != Self.fixedRate {
            set("policy.learning_rate", from: "train.policy_lr", Self.fixedRate)
            say(
                "train.policy_lr",
                "\(Self.fixedRate), as the published code takes whatever stands here unless train.init_method is "
                    + "all_chosen")
        }
        for (name, half) in [("weight", "weights"), ("alpha", "logits")] {
            let path = "train.\(name)_iter_alternate"
            set("policy.alternation.\(half)", from: path, try keys.integer(path, in: .fromOne))
        }
    }

    /// Of the logits in the published main branch.
    private static let fixedRate = 0.01

    private mutating func regularisers() throws {
        let terms = [
            ("is_sparse", "train.reg_w", "policy.sparsity"), ("is_sharing", "train.reg_w_hamming", "policy.sharing"),
        ]
        for (flag, weight, path) in terms {
            let value = try keys.number(weight)
            guard try keys.flag(flag) ?? true else {
                set(path, from: flag, 0.0)
                continue
            }
            if value == nil, keys.node(flag) != nil, keys.node("train.total_iters") != nil {
                throw keys.tree.error(weight, found: "nothing", expected: "a number, as \(flag) is True")
            }
            set(path, from: weight, value)
        }
        let isShared = try keys.flag("is_sharing") ?? true
        let isLayered = try keys.flag("diff_sparsity_weights") ?? true
        if isShared, keys.node("train.reg_w_hamming") != nil {
            say(
                "train.reg_w_hamming",
                "weighs the paper's loss of differing probabilities, bottom blocks most; "
                    + (isLayered
                        ? "policy.sharing_form=published is the code's, of logits, top blocks most"
                        : "the code's is of logits, and as diff_sparsity_weights is False all blocks weigh the same, "
                            + "which neither policy.sharing_form is"))
        }
        if isLayered, !isShared, keys.node("diff_sparsity_weights") != nil {
            set("policy.sparsity_layer_weights", from: "diff_sparsity_weights", true)
        }
    }

    /// One flag decides there both how policies are mixed while they are learned and how they are drawn in the end.
    private mutating func sampling(of data: Data) throws {
        guard try keys.flag("train.hard_sampling") == true else { return }
        guard data.published.parts == nil else {
            throw keys.tree.error(
                "train.hard_sampling", found: "True",
                expected: "False: the published code has no such policies for "
                    + data.published.name)
        }
        set("policy.sampling", from: "train.hard_sampling", PolicySampling.straightThrough)
        set("policy.discrete", from: "train.hard_sampling", DiscreteChoice.argmax)
        say(
            "train.hard_sampling",
            "decisions are made while they are learned, and the discrete policy is the most probable one, as in the "
                + "published code; policy.discrete=sample draws it")
    }

    private mutating func initialLogits() throws -> InitialChoice? {
        let known: [String: InitialChoice] = ["equal": .equal, "random": .normal, "all_chosen": .allChosen]
        let negative = try keys.number("init_neg_logits")
        guard let name = try keys.word("train.init_method") else { return nil }
        guard let choice = known[name] else {
            throw keys.tree.error(
                "train.init_method", found: "'\(name)'",
                expected: "one of " + known.keys.sorted().joined(separator: ", "))
        }
        set("policy.initial", from: "train.init_method", choice)
        if choice == .allChosen {
            let expected = "a number of at most 0, as train.init_method is all_chosen"
            let value = try keys.required("init_neg_logits", negative, expected)
            guard value <= 0 else { throw keys.tree.error("init_neg_logits", found: "\(value)", expected: expected) }
            set("policy.initial_scale", from: "init_neg_logits", 0 - value)
        } else if negative != nil {
            say("init_neg_logits", "without effect, as train.init_method is \(name)")
        }
        return choice
    }
}
