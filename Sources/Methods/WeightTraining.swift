import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSupport

/// A phase that trains weights, each step the same, on the whole training split.
struct WeightTraining: TrainingPhase {
    unowned let run: any MethodRun
    /// Which random numbers belong to it.
    let number: UInt32
    /// What every step does.
    let kind: StepKind
    /// The policy to score it under, and whether it is written beside the weights.
    let chosen: SelectionPolicy?
    /// The task that it is scored by; nil for all.
    let judge: String?
    /// Whether nothing comes before it in a run.
    let isFirst: Bool
    /// Learning rates of a method's own groups, as multiples of the backbone's.
    let multiples: [ParameterGroup: Double]
    /// Steps at the beginning that leave those groups alone.
    let alone: Int
    /// Prepares the weights; the run owns the phase, and this must not own the run.
    let start: (any MethodRun) throws -> Void

    /// - Parameter chosen: nil for hard sharing in one pass.
    init(
        _ run: any MethodRun, number: UInt32, kind: StepKind = .hardSharing, under chosen: SelectionPolicy? = nil,
        judgedBy judge: String? = nil, multiples: [ParameterGroup: Double] = [:], alone: Int = 0,
        isFirst: Bool = false, start: @escaping (any MethodRun) throws -> Void
    ) {
        (self.run, self.number, self.kind, self.chosen) = (run, number, kind, chosen)
        (self.judge, self.multiples, self.alone) = (judge, multiples, alone)
        (self.isFirst, self.start) = (isFirst, start)
    }

    func enter() throws { try start(run) }
    func step(_ iteration: Int) throws -> PhaseStep {
        var state = run.stepState(iteration, phase: number)
        // Adam's corrections count a group's own updates.
        let own = run.stepState(iteration, phase: number, update: max(1, iteration + 1 - alone))
        for (group, multiple) in multiples {
            var rate = own.rates[.backbone]
            rate?.learningRate *= Float(multiple)
            state.rates[run.catalog.slot(of: group)] = rate
        }
        return PhaseStep(kind, state: state)
    }
    var kinds: [StepKind] { [kind] }
    var judges: [String]? { judge.map { [$0] } }
    var isScoredAgainstConstants: Bool { isFirst }
    func policy() throws -> DiscretePolicy {
        chosen?.discrete(tasks: run.settings.tasks) ?? run.settings.allSelected
    }
    func recordedPolicy() throws -> SelectionPolicy? { chosen }
}
