import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport

/// How the losses of the tasks become the one number that is minimised. One file each.
public protocol Objective: ConfigurationKind {
    /// What it learns itself, in group `objective`.
    func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec]
    /// Learning rate of these.
    var learningRate: Double { get }
    /// Whether a task's part of the total depends on that task's loss alone.
    var isAdditive: Bool { get }
    /// Whether the total is linear in the losses, so that it can be added up over the shards of a batch: what depends
    /// on no loss is then a shard's `share(of:)` it.
    var isLinear: Bool { get }
    /// Records what is minimised.
    ///
    /// - Parameters:
    ///   - losses: of the tasks that take part, in the recorder's order; scalars.
    ///   - recorder: the step, of which they are a part.
    /// - Returns: a scalar.
    func total(_ losses: [Value], in recorder: StepRecorder) -> Value
    /// Records a task's part of the total.
    ///
    /// - Precondition: `isAdditive`.
    func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value
    /// Weights that the host gives the tasks for a step, read by `StepRecorder.taskWeights`; nil where nothing reads
    /// them.
    ///
    /// - Parameters:
    ///   - present: the tasks that take part, whose weights have mean 1; those of others are not read.
    ///   - count: of all tasks.
    ///   - state: of the step; random numbers are functions of it.
    ///   - history: the losses so far.
    func weights(_ present: [Int], of count: Int, state: StepState, history: LossHistory) -> [Double]?
    /// Whether it looks at mean losses: they are then kept, an epoch of the training split at a time.
    var readsHistory: Bool { get }
}

extension Objective {
    public func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec] { [] }
    public var learningRate: Double { 0 }
    public var isAdditive: Bool { true }
    public var isLinear: Bool { false }
    public func weights(_ present: [Int], of count: Int, state: StepState, history: LossHistory) -> [Double]? { nil }
    public var readsHistory: Bool { false }
}

/// Mean losses of the phase's last two epochs, in the order of the tasks; nil for a task without labels in an epoch.
public struct LossHistory: Codable, Sendable, Equatable {
    /// The last epoch's, and those of the one before.
    public private(set) var last, before: [Double?]?

    /// Of a phase that begins.
    public init() {}

    /// Takes up the means of an epoch that has ended.
    package mutating func add(_ means: [Double?]) { (before, last) = (last, means) }
}

/// The objectives that `objective.kind` may name.
public struct ObjectiveKinds: Sendable {
    /// In the order of the reference.
    public let all: [any Objective.Type]

    /// A registry of one's own.
    ///
    /// - Precondition: kinds differ.
    public init(_ all: [any Objective.Type]) {
        precondition(Set(all.map { $0.kind }).count == all.count, "two objectives of one kind")
        self.all = all
    }

    /// What this package minimises.
    public static let standard = ObjectiveKinds([
        FixedWeights.self, Uncertainty.self, DynamicWeightAverage.self, RandomWeights.self, GeometricLoss.self,
    ])

    /// The same with one more.
    public func adding(_ objective: any Objective.Type) -> ObjectiveKinds { ObjectiveKinds(all + [objective]) }
}

extension StepRecorder {
    /// λ of a task's loss, `tasks[].weight`.
    public func weight(of task: Int) -> Double { network.tasks[task].weight }

    /// The weights that the host gives the tasks for a step, [K].
    public var taskWeights: Value { graph.parameter(StepGraphs.taskWeightsName, network.taskWeightsShape) }
}

extension StepGraphs {
    /// Keeps the sums of losses that `LossHistory` is made of.
    func accumulate(_ losses: [(task: Int, value: Value)], flag: Value, in graph: Graph) {
        guard !losses.isEmpty else { return }
        let sums = graph.parameter(Self.lossSumsName, lossSumsShape)
        for (task, loss) in losses { _ = graph.record(LossAccumulation(task: task), [loss, sums, flag]) }
    }

    /// Each task's part of a total that is the sum of the losses with the configuration's weights and those of the
    /// host, if any; empty for other objectives.
    package func terms(_ losses: [String: Double], weights: [Double]?) -> [String: Double] {
        guard weights != nil || objective is FixedWeights else { return [:] }
        return tasks.enumerated().reduce(into: [:]) { terms, task in
            let (index, task) = task
            terms[task.name] = losses[task.name].map { $0 * task.weight * (weights?[index] ?? 1) }
        }
    }

    package static let taskWeightsName = "objective/weights"
    /// Among the optimisers' state: it is kept with checkpoints, and a phase begins without.
    package static let lossSumsName = OptimizerState.prefix + "objective/losses"
    package var taskWeightsShape: Shape { Shape([tasks.count], compact: true) }
    package var lossSumsShape: Shape { Shape([tasks.count, 2], compact: true) }
}
