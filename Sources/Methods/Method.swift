import AdaShareDatasets
import AdaShareLayers
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import AdaShareTasks

/// A way to train a network of many tasks: its phases and what each step of them does. One file or folder each.
public protocol Method: ConfigurationKind {
    /// Losses that its steps have beside those of tasks, by the names that logs give them: tasks have other names.
    static var lossNames: [String] { get }
    /// The same with the paths among its keys made absolute.
    func resolved(_ absolute: (String) -> String) -> Self
    /// Checks its keys against the rest of a configuration.
    ///
    /// - Throws: `InputError` naming the key.
    func validate(_ settings: MethodSettings, file: String) throws
    /// Refuses networks that it cannot be made of, before anything asks for its parameters.
    ///
    /// - Throws: `InputError` naming the key.
    func check(_ architecture: NetworkArchitecture, file: String) throws
    /// What it learns beside the network's layers, in groups of any name (`ParameterCatalog.slot`); it lies in
    /// checkpoints. Of a network of its own (`inference`) these are layers, which weights cannot be without.
    func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec]
    /// The policy that a run will train under, as far as it is known before; nil where it is learned, or every block is
    /// selected.
    ///
    /// - Parameters:
    ///   - settings: the configuration, with what is known of the data set.
    ///   - macs: what policies cost in multiply-accumulates.
    /// - Throws: `InputError` naming what it reads and cannot, or what it cannot keep to.
    func foreseenPolicy(_ settings: MethodSettings, macs: PartCosts) throws -> DiscretePolicy?
    /// Keys of `policy` and `training` that are set and without effect with this method.
    func idleKeys(_ settings: MethodSettings) -> [String]
    /// The phases, in order.
    func phases(_ settings: MethodSettings) -> [PhaseOutline]
    /// A phase of a run, before its first step or somewhere in it.
    func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase
    /// Checks phases that are asked for and says what people should know, before anything runs.
    ///
    /// - Parameters:
    ///   - wanted: phases that are to run.
    ///   - run: the run, before its first step or where it goes on.
    /// - Throws: `InputError` where they make no sense.
    func prepare(_ wanted: [Phase], in run: any MethodRun) throws
    /// Has a run that has learned no policy train under one that people give.
    ///
    /// - Throws: `InputError` where it cannot.
    /// - Precondition: the policy fits the network.
    func use(_ given: SelectionPolicy, in run: any MethodRun) throws
    /// Whether runs under budgets, and those of narrower networks, belong to a run, which ends in a comparison of
    /// times. Only a method with a phase `retrain` may: it is what those runs have.
    var comparesCosts: Bool { get }
    /// What the policy that a run has learned costs; nil where none was.
    func policyCost(_ state: RunState) -> PolicyCost?
    /// Whether a run looks at what policies cost in the unit of `policy.budget_for`, which is then measured.
    func countsBudgets(_ settings: MethodSettings) -> Bool
    /// The weights that a run comes to, best first, each with the tasks that they are for: nil for all of them.
    func results(_ settings: MethodSettings) -> [PhaseResult]
    /// A phase whose weights, under hard sharing, are what the results are compared with.
    var reference: Phase? { get }
    /// Whether results that come from this phase are said to be of a learned policy.
    var learner: Phase? { get }
    /// Steps that stand for those of a phase, with their shares of it, to foresee its time; shares sum to 1.
    ///
    /// - Parameters:
    ///   - outline: the phase.
    ///   - settings: the configuration, with what is known of the data set.
    ///   - policy: the one that a network is trained for in the end; nil where it is not known.
    /// - Returns: also what people should know of them.
    func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String])
    /// What its network predicts under a policy: that of all tasks' common backbone, unless it says otherwise.
    func inference(_ policy: DiscretePolicy) -> StepKind
    /// How each image comes to a path of its own in inference; nil where all of a batch take the same. `inference` is
    /// then what is predicted with nothing left out.
    var routing: ImageRouting? { get }
    /// What everything below the heads costs for one image, at most where images take paths of their own; nil where
    /// that is the common backbone under a policy.
    ///
    /// - Parameter model: counts the common backbone, at the size of the image.
    func cost(_ model: CostModel) -> LayerCost?
    /// Whether every task's prediction reads what is computed for the others: some of the tasks are another network
    /// then, which the weights of all do not fit.
    var joinsTasks: Bool { get }
    /// Kinds of steps by the names that reports give them, for their memory.
    func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)]
}

/// Weights that a run may come to.
public struct PhaseResult: Sendable, Hashable {
    /// Whose weights.
    public let phase: Phase
    /// The tasks they are for; nil for all.
    public let tasks: [String]?

    /// Creates a result.
    public init(_ phase: Phase, tasks: [String]? = nil) { (self.phase, self.tasks) = (phase, tasks) }
}

extension Method {
    public static var lossNames: [String] { [] }
    public func check(_ architecture: NetworkArchitecture, file: String) throws {}
    public func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec] { [] }
    public func resolved(_ absolute: (String) -> String) -> Self { self }
    public var reference: Phase? { nil }
    public var learner: Phase? { nil }
    public func validate(_ settings: MethodSettings, file: String) throws {}
    public var comparesCosts: Bool { false }
    public func inference(_ policy: DiscretePolicy) -> StepKind { .inference(policy) }
    public var routing: ImageRouting? { nil }
    public func cost(_ model: CostModel) -> LayerCost? { nil }
    public var joinsTasks: Bool { false }
    /// Whether its network is another one than the tasks' common backbone, which policies are about.
    public func hasOwnNetwork(_ settings: MethodSettings) -> Bool {
        inference(settings.allSelected) != .inference(settings.allSelected)
    }
    public func policyCost(_ state: RunState) -> PolicyCost? { nil }
    public func use(_ given: SelectionPolicy, in run: any MethodRun) throws {
        throw InputError(
            file: run.place, found: "a policy for method \(Self.kind)",
            expected: "a method that learns one, or method: fixed with method.policy")
    }
    public func countsBudgets(_ settings: MethodSettings) -> Bool { false }
    public func foreseenPolicy(_ settings: MethodSettings, macs: PartCosts) throws -> DiscretePolicy? { nil }
    public func idleKeys(_ settings: MethodSettings) -> [String] {
        let (policy, training) = (settings.policy, settings.training)
        let keys = [
            ("policy.budget", policy.budget != nil && !countsBudgets(settings)),
            ("policy.budgets", !policy.budgets.isEmpty), ("policy.shared_blocks", policy.sharedBlocks > 0),
            ("training.trials.iterations", training.trials.iterations > 0),
            ("training.hard_sharing_baseline", training.hardSharingBaseline),
            ("training.narrow_baselines", !training.narrowBaselines.isEmpty),
        ]
        return comparesCosts ? [] : keys.filter(\.1).map(\.0)
    }

    public func prepare(_ wanted: [Phase], in run: any MethodRun) throws {}
    public func results(_ settings: MethodSettings) -> [PhaseResult] {
        phases(settings).reversed().filter { $0.companion == nil }.map { PhaseResult($0.phase) }
    }

    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        ([(policy.map(StepKind.retrain) ?? .hardSharing, 1)], [])
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        [("training", .retrain(policy))]
    }
}

/// What a method knows before a run.
public struct MethodSettings: Sendable {
    /// Lengths of the phases, learning rates and optimisers: `training`.
    public let training: TrainingConfiguration
    /// Policy learning, and budgets.
    public let policy: PolicyConfiguration
    /// The network: backbone, blocks and tasks.
    public let architecture: NetworkArchitecture
    /// How the losses of the tasks become what is minimised.
    public let objective: any Objective
    /// Whether weights start from a checkpoint.
    public let hasInitialWeights: Bool
    /// Images of the splits; nil before the data set is open.
    public var splits: DatasetSplits?
    /// Whether people have named a policy to train under.
    public var isPolicyGiven = false

    /// Creates settings.
    public init(
        training: TrainingConfiguration, policy: PolicyConfiguration, architecture: NetworkArchitecture,
        objective: any Objective = FixedWeights(), hasInitialWeights: Bool = false
    ) {
        self.training = training
        self.policy = policy
        self.architecture = architecture
        self.objective = objective
        self.hasInitialWeights = hasInitialWeights
    }

    /// Task names, in order.
    public var tasks: [String] { architecture.tasks.map(\.name) }
    /// Hard sharing.
    public var allSelected: DiscretePolicy { .hardSharing(tasks: tasks.count, blocks: architecture.blocks.count) }
    /// Steps that a network of one phase is trained for: as many weight and logit steps as have gone into the weights
    /// that AdaShare ends with.
    public var wholeLength: Int {
        let before = training.retrain.start == .learned ? training.warmup.iterations + training.policy.iterations : 0
        return before + training.retrain.iterations
    }
}

/// The methods that `method.kind` may name.
public struct MethodKinds: Sendable {
    /// In the order of the reference; the first one is the default.
    public let all: [any Method.Type]

    /// A registry of one's own.
    ///
    /// - Precondition: kinds differ, and there is one.
    public init(_ all: [any Method.Type]) {
        precondition(!all.isEmpty && Set(all.map { $0.kind }).count == all.count, "two methods of one kind, or none")
        self.all = all
    }

    /// How this package trains.
    public static let standard = MethodKinds([
        AdaShare.self, HardSharing.self, SingleTask.self, RandomPolicy.self, StochasticDepth.self, FixedPolicy.self,
        CrossStitch.self, Sluice.self, NDDR.self, MTAN.self, AdaShareInstance.self, BlockDrop.self, SpotTune.self,
    ])

    /// The same with one more.
    public func adding(_ method: any Method.Type) -> MethodKinds { MethodKinds(all + [method]) }
}
