import AdaShareDatasets
import AdaShareFiles
import AdaShareModels
import AdaShareOperators
import AdaShareSupport

/// A part of a run, by the name that logs, states and files call it.
public struct Phase: RawRepresentable, Hashable, Codable, Sendable {
    /// What logs, states and files call it.
    public let rawValue: String

    /// The phase of a name.
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// Splits that training draws from.
public enum TrainingSplit: String, Sendable, CaseIterable {
    /// All training images, or one of their two parts: policy learning moves weights on `train1` and logits on
    /// `train2`.
    case train, train1, train2
}

extension DatasetSplits {
    /// The images of a split.
    public subscript(_ split: TrainingSplit) -> [Int] {
        switch split {
        case .train: train
        case .train1: train1
        case .train2: train2
        }
    }
}

/// Where batches of a phase come from.
public struct BatchSource: Sendable, Hashable {
    /// The images that batches are drawn from.
    public let split: TrainingSplit
    /// Names the random numbers of order and augmentation.
    public let name: String

    /// Creates a source.
    public init(_ split: TrainingSplit, name: String) { (self.split, self.name) = (split, name) }
}

/// What is known of a phase before it runs.
public struct PhaseOutline: Sendable, Hashable {
    /// Its name.
    public let phase: Phase
    /// Steps; 0 leaves the phase out.
    public let iterations: Int
    /// Where its batches come from.
    public let sources: [BatchSource]
    /// The phase it comes with, where it cannot be asked for by itself.
    public let companion: Phase?
    /// Whether runs of their own stand for it.
    public let isElsewhere: Bool
    /// Whether it may run after a later one, because neither builds on the other.
    public let isIndependent: Bool
    /// Whether what a step does depends on how many there are.
    public var isBoundToLength = false
    /// What it does, in a few words for people; empty where its name says it.
    public let meaning: String

    /// Creates an outline.
    ///
    /// - Parameters:
    ///   - phase: its name.
    ///   - iterations: steps; 0 leaves the phase out.
    ///   - sources: the whole training split if nil.
    ///   - companion: the phase it comes with, where it cannot be asked for by itself.
    ///   - isElsewhere: whether runs of their own stand for it.
    ///   - isIndependent: whether it may run after a later one.
    ///   - meaning: what it does, in a few words.
    public init(
        _ phase: Phase, iterations: Int, sources: [BatchSource]? = nil, with companion: Phase? = nil,
        isElsewhere: Bool = false, isIndependent: Bool = false, meaning: String = ""
    ) {
        self.meaning = meaning
        self.phase = phase
        self.iterations = iterations
        self.sources = sources ?? [BatchSource(.train, name: phase.rawValue)]
        self.companion = companion
        self.isElsewhere = isElsewhere
        self.isIndependent = isIndependent
    }
}

/// What one iteration does.
public struct PhaseStep: Sendable {
    /// What the network computes: the plan of the step.
    public let kind: StepKind
    /// Which of the phase's sources its batch comes from.
    public var source = 0
    /// What the device reads: step, seed, phase, rates.
    public let state: StepState
    /// What the log says beside losses.
    public var facts: [String: JSONValue] = [:]

    /// Creates a step.
    public init(_ kind: StepKind, source: Int = 0, state: StepState, facts: [String: JSONValue] = [:]) {
        (self.kind, self.source, self.state, self.facts) = (kind, source, state, facts)
    }
}

/// A phase that runs: which step comes next, and what its beginning and its end mean.
///
/// What it does is a function of the iteration and of what the network has learned, so that a run can go on from a
/// checkpoint. The run owns it: what it keeps of the run is `unowned`.
public protocol TrainingPhase {
    /// Prepares the network before the first step; not called where a run goes on.
    func enter() throws
    /// Whether something else begins with iteration `iteration`: what is prepared for it waits for all steps before,
    /// and batches are drawn from where `counts` says anew.
    func isTurn(_ iteration: Int) -> Bool
    /// Prepares the network for such an iteration; again where a run goes on there.
    func turn(_ iteration: Int) throws
    /// What iteration `iteration`, from 0, does.
    func step(_ iteration: Int) throws -> PhaseStep
    /// Steps taken from each source in the first `iterations`, since batches were drawn from its beginning.
    func counts(_ iterations: Int) -> [Int]
    /// Kinds of steps, for their memory: the most that any may need.
    var kinds: [StepKind] { get }
    /// The policy that the network is scored under now.
    func policy() throws -> DiscretePolicy
    /// The policy that belongs to the weights now, written beside them; nil for every block.
    func recordedPolicy() throws -> SelectionPolicy?
    /// The tasks that it is scored by, by name; nil for all.
    var judges: [String]? { get }
    /// Whether scores are relative to the best constant guess; else to what the run's first phase ends with.
    var isScoredAgainstConstants: Bool { get }
    /// Whether weights of this iteration may become the phase's best.
    func isJudged(_ iteration: Int) -> Bool
    /// What people may want to know of an iteration who read a checkpoint.
    func facts(_ iteration: Int) -> [String: JSONValue]
    /// What it has learned by now beside weights, for the log; may wait for the device.
    func learned() throws -> [String: JSONValue]
    /// Ends the phase, on the weights that it leaves.
    func finish() throws
    /// What inference takes instead of the weights that are trained.
    func inferenceWeights(_ file: TensorFile) throws -> TensorFile
    /// Whether these differ.
    var changesWeights: Bool { get }
}

extension TrainingPhase {
    public func isTurn(_ iteration: Int) -> Bool { false }
    public func turn(_ iteration: Int) throws {}
    public func counts(_ iterations: Int) -> [Int] { [iterations] }
    public func recordedPolicy() throws -> SelectionPolicy? { nil }
    public var judges: [String]? { nil }
    public var isScoredAgainstConstants: Bool { false }
    public func isJudged(_ iteration: Int) -> Bool { true }
    public func facts(_ iteration: Int) -> [String: JSONValue] { [:] }
    public func learned() throws -> [String: JSONValue] { [:] }
    public func finish() throws {}
    public func inferenceWeights(_ file: TensorFile) throws -> TensorFile { file }
    public var changesWeights: Bool { false }
}
