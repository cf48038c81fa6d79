import AdaShareModels
import AdaShareOperators
import AdaShareSupport

extension Phase {
    /// Hard sharing, weights only.
    public static let warmup = Phase(rawValue: "warmup")
    /// Weights and policy in turn.
    public static let policy = Phase(rawValue: "policy")
    /// Weights under each candidate for the discrete policy in turn.
    public static let trials = Phase(rawValue: "trials")
    /// Weights under the discrete policy.
    public static let retrain = Phase(rawValue: "retrain")
    /// Hard sharing trained for the retraining's iterations, to compare with.
    public static let baseline = Phase(rawValue: "baseline")
}

/// Weights and a select-or-skip policy learned together, then weights under the discrete policy.
///
/// Its settings are `policy` and the phases of `training`; it has no keys of its own.
///
/// - Source: Sun, Panda, Feris, Saenko, "AdaShare: learning what to share for efficient deep multi-task learning",
///   NeurIPS 2020.
public struct AdaShare: Method {
    public static let kind = "adashare"
    public static let meaning =
        "a policy learned with the weights; phases `warmup`, `policy`, `trials` where they have steps, and `retrain`"
    public static var lossNames: [String] { Regulariser.allCases.map(\.rawValue) }

    /// What is added to the losses in a step of the logits.
    enum Regulariser: String, CaseIterable { case sparsity, sharing, cost }

    public init() {}

    public var reference: Phase? { .baseline }
    public var learner: Phase? { .policy }
    public var comparesCosts: Bool { true }
    public func policyCost(_ state: RunState) -> PolicyCost? { state.policyCost }

    public func validate(_ settings: MethodSettings, file: String) throws {
        let training = settings.training
        if training.retrain.start == .learned && training.retrain.iterations > 0
            && training.warmup.iterations + training.policy.iterations < 1 && !settings.hasInitialWeights
        {
            throw InputError(
                file: file, place: "training.retrain.start", found: "learned",
                expected: "fresh, or an earlier phase with iterations")
        }
        try PolicyTrials.validate(settings, file: file)
        if settings.policy.sampling == .hardSkip, !settings.objective.isAdditive {
            throw InputError(
                file: file, place: "policy.sampling",
                found: "hard_skip with objective \(type(of: settings.objective).kind)",
                expected: "soft or straight_through, or an objective that is a sum over tasks")
        }
    }

    public func countsBudgets(_ settings: MethodSettings) -> Bool {
        settings.policy.hasBudget && settings.training.policy.iterations > 0
    }

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        let training = settings.training
        let retraining = training.retrain.iterations
        var learning = PhaseOutline(
            .policy, iterations: training.policy.iterations,
            sources: [BatchSource(.train1, name: "policy/weights"), BatchSource(.train2, name: "policy/logits")],
            meaning: "weights and the policy in turn")
        learning.isBoundToLength = settings.policy.hasBudget && settings.policy.budgetSchedule == .falling
        // A policy that was given has no rivals.
        var trials = PhaseOutline(
            .trials, iterations: settings.isPolicyGiven ? 0 : training.trials.iterations,
            meaning: "weights, under each candidate for the policy in turn")
        trials.isBoundToLength = true
        return [
            PhaseOutline(
                .warmup, iterations: training.warmup.iterations,
                meaning: "weights, with every block shared by all tasks"),
            learning, trials,
            // Several budgets are retrained in runs of their own, unless one policy was given.
            PhaseOutline(
                .retrain, iterations: retraining, isElsewhere: isRetrainedElsewhere(settings),
                meaning: "weights, under the policy"),
            PhaseOutline(
                .baseline, iterations: training.hardSharingBaseline ? retraining : 0, with: .retrain,
                meaning: "hard sharing, to compare with"),
        ]
    }

    private func isRetrainedElsewhere(_ settings: MethodSettings) -> Bool {
        !settings.policy.budgets.isEmpty && !settings.isPolicyGiven
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        switch outline.phase {
        case .warmup:
            return WeightTraining(run, number: PhaseNumber.warmup) { try $0.initialise(nil, keepingLogits: false) }
        case .policy: return try PolicyLearning(run, iterations: outline.iterations)
        case .trials:
            return try PolicyTrials(run, iterations: outline.iterations) { try startRetraining($0, isBaseline: false) }
        case .retrain:
            if run.state.policy == nil {
                run.note("no policy has been learned: retraining under hard sharing")
                run.state.policy = .allSelected(tasks: run.settings.tasks, blocks: run.blocks)
            }
            let chosen = run.state.policy
            let policy = chosen?.discrete(tasks: run.settings.tasks) ?? run.settings.allSelected
            return WeightTraining(run, number: PhaseNumber.retrain, kind: .retrain(policy), under: chosen) {
                try startRetraining($0, isBaseline: false)
            }
        case .baseline:
            return WeightTraining(run, number: PhaseNumber.baseline) { try startRetraining($0, isBaseline: true) }
        default: preconditionFailure("no phase \(outline.phase.rawValue)")
        }
    }

    /// Retraining and its baseline start from the same weights; the learned logits stay.
    private func startRetraining(_ run: any MethodRun, isBaseline: Bool) throws {
        let finished = run.state.finished
        if run.settings.training.retrain.start == .learned {
            if let learned = [Phase.policy, .warmup].first(where: finished.contains) {
                return try run.load(weightsOf: learned)
            }
            if !isBaseline { run.note("no phase has learned weights: retraining starts from the initial ones") }
        }
        try run.initialise("retrain", keepingLogits: finished.contains(.policy))
    }

    /// What candidates are trained to is no result.
    public func results(_ settings: MethodSettings) -> [PhaseResult] {
        [Phase.retrain, .policy, .warmup].map { PhaseResult($0) }
    }

    public func prepare(_ wanted: [Phase], in run: any MethodRun) throws {
        let isLearned = run.state.finished.contains(.policy)
        let learns = wanted.contains(.policy) && !isLearned
        let tries = wanted.contains(.trials) && !run.state.finished.contains(.trials)
        if tries { try PolicyTrials.check(run, learns: isLearned || learns) }
        if learns || tries {
            let beyond = try budgetsBeyondReach(run)
            if tries { try PolicyTrials.check(run, beyond: beyond.map(\.budget)) }
            if learns {
                for (budget, cheapest) in beyond {
                    run.note(
                        "policy learning will end over the budget of \(budget.text(run.settings.policy.cost)): what "
                            + "every task selects costs \(cheapest)")
                }
            }
        }
        if isRetrainedElsewhere(run.settings), wanted.contains(.retrain), !wanted.contains(.policy), !isLearned {
            throw InputError(
                file: run.place, found: "policy.budgets, and no policy that was learned",
                expected: "--phases with policy (and training.policy.iterations above 0), or --policy for a "
                    + "retraining")
        }
        if wanted.contains(.policy), let warning = try curriculumWarning(run) { run.note(warning) }
        if isLearned { try PolicyLearning.writePolicies(run) }
    }

    /// Budgets that no policy will meet, each with the least that one costs: known before any time goes into learning.
    private func budgetsBeyondReach(_ run: any MethodRun) throws -> [(budget: PolicyBudget, cheapest: String)] {
        let settings = run.settings.policy
        let open = try PolicySchedule(run).openBlocks(after: run.settings.training.policy.iterations)
        return settings.allBudgets.compactMap { budget in
            let draw = PolicyDraw(costs: run.budgetCosts, form: settings.cost, budget: budget, open: run.blocks - open)
            let cheapest = draw.cheapest(run.settings.allSelected.select.map { $0.map { _ in 0 } })
            return draw.isWithinBudget(cheapest) ? nil : (budget, draw.text(of: cheapest))
        }
    }

    /// What to say when policy learning ends before every block is open.
    private func curriculumWarning(_ run: any MethodRun) throws -> String? {
        let schedule = try PolicySchedule(run)
        let given = run.settings.training.policy.iterations
        let open = schedule.openBlocks(after: given)
        guard open < schedule.blocks else { return nil }
        return
            "policy learning opens only the last \(open) of \(run.blocks) blocks in \(given) iterations; the "
            + "others stay selected by every task. All open needs training.policy.iterations >= "
            + "\(schedule.iterationsToOpenAll) (or a smaller policy.curriculum_speed)"
    }

    public func use(_ given: SelectionPolicy, in run: any MethodRun) throws {
        if run.state.finished.contains(.policy) {
            throw InputError(
                file: run.place, found: "a policy that was learned in this run", expected: "a new run for another one")
        }
        if run.isResumed, let known = run.state.policy, known.tasks != given.tasks {
            throw InputError(
                file: run.place, found: "a retraining under another policy",
                expected: "the policy it was begun with, or a new run")
        }
        run.state.policy = given
        try run.write(given, named: [:])
        if let warning = run.macs.warning(about: given.discrete(tasks: run.settings.tasks)) { run.note(warning) }
    }
}
