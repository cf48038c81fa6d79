import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators

/// A network that does with each image what a policy network decides on seeing it.
///
/// Training computes everything and chooses by gates, so that the decisions have a gradient; inference computes what is
/// decided alone, for all images of equal decisions at once.
public protocol GatedNetwork: TaskNetwork {
    /// What decides.
    var policy: PolicyNetwork { get }
    /// Records what comes before the heads, each block computed for every image in each way.
    ///
    /// - Parameters:
    ///   - image: of all tasks, [N, H, W, 3].
    ///   - gates: [N, L] for each row of decisions: of the tasks, or one for all.
    ///   - tasks: those whose features are wanted, as indices of the architecture's tasks.
    ///   - architecture: the backbone, and the tasks' numbers.
    ///   - s: the network's root scope.
    /// - Returns: the features of each of these tasks, [N, h, w, C].
    func features(
        _ image: Value, gates: [Value], tasks: [Int], of architecture: NetworkArchitecture, in s: Scope
    ) -> [Value]
    /// What every task predicts for images of the same decisions, without what these leave out.
    ///
    /// - Parameters:
    ///   - decisions: by row and block, bottom to top.
    ///   - tasks: how many the network has.
    func inference(_ decisions: [[Bool]], tasks: Int) -> StepKind
    /// Multiply-accumulates below the heads for an image of these decisions, without those of deciding.
    func macs(_ decisions: [[Bool]], _ model: CostModel) -> Int
}

extension GatedNetwork {
    /// Everything, with the decisions that inference takes: what the images of a group are given, but none left out.
    public func features(
        _ image: Value, tasks: [Int], of architecture: NetworkArchitecture, in s: Scope
    ) -> [Value] {
        let gates = policy.logits(image, tasks: tasks, of: architecture, in: s).map {
            s("gates.decided").record(DecidedGates(), [$0])[0]
        }
        return features(image, gates: gates, tasks: tasks, of: architecture, in: s)
    }
}

/// How each image of a batch comes to a path of its own in inference.
public struct ImageRouting: Sendable {
    /// Decides: puts out logits [N, 1, 1, L] as `decision/0`, `decision/1` and so on, one for each row.
    public let decision: StepKind
    /// What is predicted for images of the same decisions, by row and block, by a network of so many tasks.
    public let inference: @Sendable (_ decisions: [[Bool]], _ tasks: Int) -> StepKind
    /// Multiply-accumulates below the heads for an image of these decisions, those of deciding included.
    public let macs: @Sendable (_ decisions: [[Bool]], _ model: CostModel) -> Int

    /// Name of the logits of a row.
    public static func outputName(_ row: Int) -> String { "decision/\(row)" }
}

/// What the policy network says of each image.
struct GateDecision: NetworkStep {
    let policy: PolicyNetwork
    var learns: Bool { false }

    func record(in recorder: StepRecorder) {
        let architecture = recorder.network.architecture
        let tasks = Array(architecture.tasks.indices)
        let logits = policy.logits(recorder.images[0], tasks: tasks, of: architecture, in: recorder.scope)
        for (row, logits) in logits.enumerated() { recorder.graph.output(ImageRouting.outputName(row), logits) }
    }
}

/// What is minimised beside the losses of the tasks.
public enum GatePenalty: Hashable, Sendable {
    /// λ · mean over images of the square of the share of blocks that are selected, mean over rows.
    case blockUse(Double)
    /// AdaShare's: λ_sp Σ sparsity + λ_sh Σ sharing over pairs of rows, of each image, mean over images.
    case adaShare(PolicySettings)
    /// Nothing.
    case none

    /// Its parts, with their names and weights.
    fileprivate func terms(
        logits: [Value], gates: [Value], in graph: Graph
    ) -> [(name: String, weight: Double, losses: [Value])] {
        switch self {
        case .none: return []
        case .blockUse(let weight):
            let losses = gates.map { graph.record(BlockUse(), [$0])[0] }
            return [("block_use", weight / Double(gates.count), losses)]
        case .adaShare(let settings):
            let sparsity = ImageSparsityLoss(form: settings.sparsityForm, layered: settings.layered)
            let sharing = ImageSharingLoss(form: settings.sharingForm)
            let pairs = logits.indices.flatMap { first in logits[(first + 1)...].map { [logits[first], $0] } }
            return [
                (
                    AdaShare.Regulariser.sparsity.rawValue, settings.sparsity,
                    logits.map { graph.record(sparsity, [$0])[0] }
                ),
                (
                    AdaShare.Regulariser.sharing.rawValue, settings.sharing,
                    pairs.map { graph.record(sharing, $0)[0] }
                ),
            ]
        }
    }
}

/// A step of such a network with decisions that are drawn; updates its weights and those of what decides.
struct GatedTraining<Network: GatedNetwork>: NetworkStep {
    let network: Network
    let penalty: GatePenalty
    /// Reads the uniforms from inputs, for comparisons with given noise.
    var noiseGiven = false

    func record(in recorder: StepRecorder) {
        let (graph, architecture) = (recorder.graph, recorder.network.architecture)
        let (image, present) = (recorder.images[0], recorder.present)
        let logits = network.policy.logits(image, tasks: present, of: architecture, in: recorder.scope)
        let gates = network.policy.sample(logits, in: recorder, noiseGiven: noiseGiven)
        let predictions = recorder.heads(
            network.features(image, gates: gates, tasks: present, of: architecture, in: recorder.scope))
        if recorder.network.keepsGradients {
            for (position, task) in present.enumerated() {
                let row = network.policy.isPerTask ? position : 0
                graph.output(recorder.shard.named("gates/\(recorder.network.tasks[task].name)"), gates[row])
            }
        }
        let (_, tasks) = recorder.objective(of: predictions)
        let total = graph.scope("regularisers") {
            recorder.adding(penalty.terms(logits: logits, gates: gates, in: graph), to: tasks)
        }
        if total != tasks { recorder.requireFinite(total) }
        recorder.minimise(total, recorder.weightsInUse, by: recorder.network.rule)
    }
}
