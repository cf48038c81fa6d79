import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSchema

/// Whose decisions a policy network makes.
public enum PolicyOwner: String, Sendable, CaseIterable, ConfigurationChoice {
    /// One row for all tasks.
    case image
    /// A row for each task.
    case task
}

/// One backbone for all tasks, of which each image passes the blocks that a policy network selects for it.
///
/// Wu, Nagarajan, Kumar et al. train the policy network by reinforcement: a draw of decisions is rewarded by
/// 1 − (|u|/L)² where the prediction is right. Here the losses of the tasks take the place of being right, (|u|/L)² is
/// minimised beside them, and gradients pass the drawn decisions straight through, so that a step moves both networks.
///
/// - Source: Wu, Nagarajan, Kumar, Rennie, Davis, Grauman, Feris, "BlockDrop: dynamic inference paths in residual
///   networks", CVPR 2018.
public struct BlockDrop: GatedMethod {
    public static let kind = "block_drop"
    public static let meaning =
        "one backbone, of which each image passes the blocks that a policy network selects for it; one phase, `train`"
    public static let lossNames = ["block_use"]
    public static var fields: [ConfigurationField<BlockDrop>] {
        gatedFields + [
            .key(
                "policy_of", \.policyOf,
                "Whether `block_drop` decides for the `image`, once for all tasks, or for each `task` by itself."),
            .key(
                "block_use", \.blockUse, limit: .atLeast(0),
                "Weight of the square of the share of blocks that an image passes, which `block_drop` minimises "
                    + "beside the losses."),
        ]
    }

    public var policyWidth = 16
    public var policyRate = 1.0
    public var warmup = 0
    /// `method.policy_of`: whether tasks decide by themselves.
    public var policyOf = PolicyOwner.image
    /// `method.block_use`: λ of the blocks that are selected.
    public var blockUse = 0.5
    public init() {}

    public var network: GatedBackbone {
        GatedBackbone(policy: PolicyNetwork(isPerTask: policyOf == .task, width: policyWidth))
    }
    public func penalty(_ settings: MethodSettings) -> GatePenalty { .blockUse(blockUse) }
}

/// The backbone, each of whose blocks an image passes or not: ReLU(res + F) where its gate is 1, res where it is 0.
public struct GatedBackbone: GatedNetwork {
    public let policy: PolicyNetwork

    public func features(
        _ image: Value, gates: [Value], tasks: [Int], of architecture: NetworkArchitecture, in s: Scope
    ) -> [Value] {
        let s = s.grouped(.backbone)
        let below = architecture.stem(image, in: s)
        var paths = gates.map { _ in below }
        for block in architecture.blocks {
            // Where paths have not parted yet they are one, and its statistics move once.
            var known: [Value: (residual: Value, whole: Value)] = [:]
            paths = zip(paths, gates).map { x, gates in
                let ways =
                    known[x]
                    ?? {
                        let residual = block.residual(x, in: s)
                        return (residual, block.branch(x, tail: .addReLU(residual: residual), in: s))
                    }()
                known[x] = ways
                let choice = ImageSelect(column: block.index)
                return s(block.name).record(choice, [ways.whole, ways.residual, gates])[0]
            }
        }
        return policy.isPerTask ? paths : tasks.map { _ in paths[0] }
    }

    public func inference(_ decisions: [[Bool]], tasks: Int) -> StepKind {
        .inference(discrete(decisions, tasks: tasks))
    }

    public func macs(_ decisions: [[Bool]], _ model: CostModel) -> Int {
        model.parts.cost(of: discrete(decisions, tasks: model.architecture.tasks.count), .shared)
    }

    private func discrete(_ decisions: [[Bool]], tasks: Int) -> DiscretePolicy {
        DiscretePolicy(select: policy.isPerTask ? decisions : Array(repeating: decisions[0], count: tasks))
    }
}
