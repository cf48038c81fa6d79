import AdaShareModels

/// One network that all tasks share, one pass for all of them: the baseline of the field.
public struct HardSharing: Method {
    public static let kind = "hard_sharing"
    public static let meaning = "every task selects every block; one phase, `train`"

    public init() {}

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(.train, iterations: settings.wholeLength)]
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        WeightTraining(run, number: PhaseNumber.train, isFirst: true) { try $0.initialise(nil, keepingLogits: false) }
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        [("training", .hardSharing)]
    }
}

extension Phase {
    /// The only phase of methods that have one.
    public static let train = Phase(rawValue: "train")
}

/// Which random numbers belong to the phases of this package's methods.
enum PhaseNumber {
    static let warmup: UInt32 = 1
    static let policy: UInt32 = 2
    static let retrain: UInt32 = 3
    static let baseline: UInt32 = 4
    static let train: UInt32 = 5
    static let trials: UInt32 = 6
    /// Of the first task's; the others follow.
    static let single: UInt32 = 16
}
