import AdaShareModels

/// A network for each task, trained one after the other: what multi-task learning is compared with.
///
/// Each has a phase of its own, `single_<number>`, and weights of its own, which are those of the whole network as it
/// was when the other tasks' heads had learned nothing.
public struct SingleTask: Method {
    public static let kind = "single_task"
    public static let meaning = "a network for each task; a phase for each, `single_<number>`"

    public init() {}

    private func phase(_ task: Int, _ settings: MethodSettings) -> Phase {
        Phase(rawValue: "single_\(settings.architecture.number(task: task))")
    }

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        settings.tasks.indices.map {
            PhaseOutline(
                phase($0, settings), iterations: settings.wholeLength, isIndependent: true,
                meaning: "the network of task \(settings.tasks[$0])")
        }
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        guard let task = run.settings.tasks.indices.first(where: { phase($0, run.settings) == outline.phase }) else {
            preconditionFailure("no phase \(outline.phase.rawValue)")
        }
        let number = PhaseNumber.single + UInt32(run.settings.architecture.number(task: task))
        return WeightTraining(
            run, number: number, kind: StepKind(SharedStep(only: task)), judgedBy: run.settings.tasks[task],
            isFirst: true
        ) {
            try $0.initialise(nil, keepingLogits: false)
        }
    }

    public func results(_ settings: MethodSettings) -> [PhaseResult] {
        settings.tasks.indices.map { PhaseResult(phase($0, settings), tasks: [settings.tasks[$0]]) }
    }

    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        let task = settings.tasks.indices.first { phase($0, settings) == outline.phase } ?? 0
        return ([(StepKind(SharedStep(only: task)), 1)], [])
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        settings.tasks.indices.map { (phase($0, settings).rawValue, StepKind(SharedStep(only: $0))) }
    }
}
