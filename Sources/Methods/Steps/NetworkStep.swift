import AdaShareGraph
import AdaShareModels

/// What one step of a network computes. Steps that compare equal have the same plan: whatever changes the graph is
/// stored in the step, whatever changes from step to step lies in the step buffer.
///
///     struct Ours: NetworkStep {
///         func record(in recorder: StepRecorder) {
///             let (_, total) = recorder.objective(of: recorder.shared())
///             recorder.minimise(total, recorder.weightsInUse, by: recorder.network.rule)
///         }
///     }
public protocol NetworkStep: Hashable, Sendable {
    /// Whether it changes parameters: it then reads labels, and needs the class weights of the losses.
    var learns: Bool { get }
    /// Numbers that the host writes once and the step reads by `StepRecorder.constant`. A name stands for the same
    /// numbers in all steps of a network.
    var constants: [String: [Double]] { get }
    /// The tasks that take part, of those that have labels.
    func participants(_ present: [Int]) -> [Int]
    /// Records the forward passes and what follows from them.
    func record(in recorder: StepRecorder)
}

extension NetworkStep {
    public var learns: Bool { true }
    public var constants: [String: [Double]] { [:] }
    public func participants(_ present: [Int]) -> [Int] { present }

    fileprivate func equals(_ other: any NetworkStep) -> Bool { (other as? Self) == self }
}

/// A step of any kind; together with the image size it names a plan.
public struct StepKind: Hashable, Sendable {
    /// What is computed.
    public let step: any NetworkStep

    /// The kind of a step.
    public init(_ step: any NetworkStep) { self.step = step }

    public static func == (a: StepKind, b: StepKind) -> Bool { a.step.equals(b.step) }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(type(of: step)))
        step.hash(into: &hasher)
    }

    /// Hard sharing in one pass; updates the weights.
    public static let hardSharing = StepKind(SharedStep())
    /// Weights under a fixed policy; unselected blocks are not traced.
    public static func retrain(_ policy: DiscretePolicy) -> StepKind { StepKind(PolicyStep(policy: policy)) }
    /// Forward only, running statistics.
    public static func inference(_ policy: DiscretePolicy) -> StepKind { StepKind(InferenceStep(policy: policy)) }
}

/// All tasks along one path through the network; updates the weights. Statistics move once, however many tasks there
/// are.
public struct SharedStep: NetworkStep {
    /// Which blocks are executed, bottom to top; nil for all.
    public let blocks: [Bool]?
    /// The only task that takes part; nil for all that have labels.
    public let only: Int?

    /// Creates the step.
    public init(blocks: [Bool]? = nil, only task: Int? = nil) { (self.blocks, only) = (blocks, task) }

    public func participants(_ present: [Int]) -> [Int] {
        only.map { task in present.filter { $0 == task } } ?? present
    }

    public func record(in recorder: StepRecorder) {
        let (_, total) = recorder.objective(of: recorder.shared(blocks: blocks))
        recorder.minimise(total, recorder.weightsInUse, by: recorder.network.rule)
    }
}

/// Each task along the path that a policy selects; updates the weights.
public struct PolicyStep: NetworkStep {
    /// Which task executes which block, a row for every task of the network; other branches are not traced.
    public let policy: DiscretePolicy

    /// Creates the step.
    public init(policy: DiscretePolicy) { self.policy = policy }

    public func record(in recorder: StepRecorder) {
        let (_, total) = recorder.objective(of: recorder.paths(policy))
        recorder.minimise(total, recorder.weightsInUse, by: recorder.network.rule)
    }
}

/// What every task predicts under a policy, as outputs `output/<task>`.
struct InferenceStep: NetworkStep {
    let policy: DiscretePolicy
    var learns: Bool { false }

    func record(in recorder: StepRecorder) { recorder.predict(recorder.paths(policy)) }
}
