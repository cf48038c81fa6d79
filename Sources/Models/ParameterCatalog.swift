import AdaShareLayers
import AdaShareOperators

extension ParameterGroup {
    /// Convolutions, scales and shifts of the backbone.
    public static let backbone: Self = "backbone"
    /// Convolutions, linear layers and biases of the heads.
    public static let heads: Self = "heads"
    /// Logits.
    public static let policy: Self = "policy"
    /// What the weighting of the losses learns.
    public static let objective: Self = "objective"
}

extension RateSlot {
    /// Of the backbone.
    public static let backbone = RateSlot(0)
    /// Of the heads.
    public static let heads = RateSlot(1)
    /// Of the logits.
    public static let policy = RateSlot(2)
    /// Of what the weighting of the losses learns.
    public static let objective = RateSlot(3)

    fileprivate static let known: [ParameterGroup: RateSlot] = [
        .backbone: .backbone, .heads: .heads, .policy: .policy, .objective: .objective,
    ]
}

/// How the logits start.
public enum PolicyInitial: Sendable, Hashable {
    /// Both columns the same value, so that α = 0.5; the default value is 0.5.
    case equal(Double)
    /// N(0, std²); published with std 1e-3.
    case normal(std: Double)
    /// (0, skip) with a negative skip logit: "all chosen".
    case allChosen(skip: Double)

    /// The initialiser of a logits matrix [L, 2].
    public var initializer: Initializer {
        switch self {
        case .equal(let value): .constant(value)
        case .normal(let std): .normal(mean: 0, std: std)
        case .allChosen(let skip): .columns([0, skip])
        }
    }
}

/// Every tensor of a network's checkpoint, in a stable order: stem, blocks, projections, heads, logits, and what is
/// learned beside them. Batch norms per task: those of the first with its layers, of the others before the heads.
///
/// Backbone convolutions start at N(0, 0.01²), batch norms at γ = 1, β = 0, mean 0, variance 1, heads uniformly within
/// ±1/sqrt(fan_in), weights and biases alike.
///
/// - Source: names and initial values as in the code published with Sun, Panda, Feris, Saenko 2020
///   (github.com/sunxm2357/AdaShare), so that its checkpoints fit.
public struct ParameterCatalog: Sendable, Hashable {
    /// Name, shape, layout, group and first value of every tensor, in the order of the checkpoint.
    public let specs: [ParameterSpec]
    /// Names of what is learned beside the network's layers: networks without it leave it unread, and have it from the
    /// start where a file has none.
    public let beside: Set<String>
    /// Names of layers of the network's own, beside those of every network: without them it is another one.
    public let own: Set<String>
    /// Whether every task's prediction reads what is computed for the others, so that some of the tasks are another
    /// network.
    public let joinsTasks: Bool
    private let positions: [String: Int]
    private let slots: [ParameterGroup: RateSlot]
    /// Names in files by tensor, where they are not the tensor's own.
    private let published: [String: [String]]
    /// What batch norms and backbones per task may begin from, by tensor.
    private let common: [String: String]

    /// Lists the tensors of a network: its layers, each applied once, say what they are.
    ///
    /// - Parameters:
    ///   - architecture: the network.
    ///   - policyInitial: how the logits start.
    ///   - others: what is learned beside the network's layers.
    ///   - own: layers of the network's own. A tensor named `<word>.<tensor>`, such as `task2.<tensor>`, may begin from
    ///     that tensor of every network. These and the others are in at most ten groups of their own.
    ///   - joinsTasks: whether every task's prediction reads what is computed for the others.
    /// - Precondition: all names differ, and have no slash.
    public init(
        _ architecture: NetworkArchitecture, policyInitial: PolicyInitial = .equal(0.5),
        besides others: [ParameterSpec] = [], own: [ParameterSpec] = [], joinsTasks: Bool = false
    ) {
        let list = ParameterList()
        let network = Scope(list)
        let backbone = network.grouped(.backbone)
        var x = list.value(Shape([1, 1, 1, 3], compact: true))
        let image = x
        // One pass for each set of batch norms.
        for norms in architecture.normPrefixes {
            x = architecture.stem(image, norms: norms, in: backbone)
            var inputs: [Value] = []
            for block in architecture.blocks {
                inputs.append(x)
                x = block.branch(x, tail: .none, norms: norms, in: backbone)
            }
            for (block, input) in zip(architecture.blocks, inputs) {
                _ = block.residual(input, norms: norms, in: backbone)
            }
        }
        for task in architecture.tasks.indices { _ = architecture.output(task: task)(x, in: network.grouped(.heads)) }
        for task in architecture.tasks.indices {
            _ = network.grouped(.policy).parameter(
                architecture.logitsParameter(task: task), [architecture.blocks.count, 2],
                initial: policyInitial.initializer)
        }
        let more = own + others
        specs = list.specs + more
        beside = Set(others.map(\.name))
        self.own = Set(own.map(\.name))
        self.joinsTasks = joinsTasks
        var names = Set(list.specs.map(\.name))
        for spec in more {
            precondition(
                names.insert(spec.name).inserted && !spec.name.contains("/"),
                "a parameter named \(spec.name) beside the network's")
        }
        positions = Dictionary(uniqueKeysWithValues: specs.enumerated().map { ($1.name, $0) })
        var slots = RateSlot.known
        for spec in specs where spec.isTrainable && slots[spec.group] == nil {
            slots[spec.group] = RateSlot(slots.count)
        }
        self.slots = slots
        var published: [String: [String]] = [:]
        var common: [String: String] = [:]
        if architecture.hasTaskBatchNorm {
            for block in architecture.blocks {
                guard let projection = block.projection else { continue }
                published["\(projection).0.weight"] = architecture.normPrefixes.map {
                    "\(block.projectionScope($0)).0.weight"
                }
            }
            for spec in specs {
                let parts = spec.name.split(separator: ".").map { part in
                    architecture.normPrefixes.first(where: part.hasPrefix).map { part.dropFirst($0.count) } ?? part
                }
                let name = parts.joined(separator: ".")
                if spec.name.hasPrefix("backbone."), name != spec.name { common[spec.name] = name }
            }
        }
        for spec in own {
            let rest = spec.name.drop { $0 != "." }.dropFirst()
            if !rest.isEmpty, positions[String(rest)] != nil { common[spec.name] = String(rest) }
        }
        (self.published, self.common) = (published, common)
    }

    /// Where a group's learning rate is: those of every network first, then others in the order of their parameters.
    ///
    /// - Precondition: the group has a trainable parameter, or is one of every network's.
    public func slot(of group: ParameterGroup) -> RateSlot {
        guard let slot = slots[group] else { preconditionFailure("no parameter learns in group \(group.rawValue)") }
        return slot
    }

    /// Under which names files hold a tensor: its own, but for the convolution of a projection where every task has
    /// batch norms of its own. Published files hold that once with each task's batch norm, all alike.
    public func fileNames(of spec: ParameterSpec) -> [String] { published[spec.name] ?? [spec.name] }

    /// The tensor of a network without batch norms, or a backbone, per task that one of a task may begin from; nil for
    /// others.
    public func commonName(of spec: ParameterSpec) -> String? { common[spec.name] }

    /// What torchvision calls a tensor of the backbone in its networks for images, whose weights those of ImageNet are
    /// distributed with; nil for other tensors.
    public func imageNetName(of spec: ParameterSpec) -> String? {
        let parts = (common[spec.name] ?? spec.name).split(separator: ".").map(String.init)
        guard parts[0] == "backbone", parts.count > 1 else { return nil }
        guard parts.count > 3, let stage = Int(parts[2]) else { return parts.dropFirst().joined(separator: ".") }
        let place = parts[1] == "ds" ? ["0", "downsample"] : []
        return (["layer\(stage + 1)"] + place + parts[3...]).joined(separator: ".")
    }

    /// Whether a file of this network may hold a tensor of that name.
    public func mayHold(_ name: String) -> Bool {
        self[name].map { published[$0.name] == nil } ?? published.values.contains { $0.contains(name) }
    }

    /// The tensor of that name, nil if the network has none.
    public subscript(name: String) -> ParameterSpec? { positions[name].map { specs[$0] } }
}
