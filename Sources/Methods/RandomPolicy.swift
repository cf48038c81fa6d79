import AdaShareModels
import AdaShareSchema
import AdaShareSupport

/// Weights under a policy drawn at random: as dense as asked, or as near to `policy.budget` as a random order of
/// decisions comes. The policy is a function of the seed.
public struct RandomPolicy: Method {
    public static let kind = "random_policy"
    public static let meaning =
        "the weights under a policy drawn at random, near to `policy.budget` where there is one; one phase, "
        + "`train`"
    public static var fields: [ConfigurationField<RandomPolicy>] {
        [
            .key(
                "density", \.density, limit: .between(0, 1),
                "Share of the decisions that are to select, where `random_policy` has no `policy.budget`.")
        ]
    }

    /// `method.density`: the share of decisions that select, from 0 to 1, where there is no budget.
    public var density = 0.5

    public init() {}

    public func validate(_ settings: MethodSettings, file: String) throws {
        guard !settings.policy.budgets.isEmpty else { return }
        throw InputError(
            file: file, place: "policy.budgets", found: "several budgets with method random_policy",
            expected: "policy.budget, and a run for each")
    }

    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        if let policy { return ([(.retrain(policy), 1)], []) }
        return ([(.hardSharing, 1)], ["training is counted under hard sharing: its policy is not drawn yet"])
    }

    public func countsBudgets(_ settings: MethodSettings) -> Bool { settings.policy.hasBudget }

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(.train, iterations: settings.wholeLength)]
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        try WeightTraining.under(run) {
            SelectionPolicy(try draw(run.settings, run.budgetCosts), tasks: run.settings.tasks)
        }
    }

    public func foreseenPolicy(_ settings: MethodSettings, macs: PartCosts) throws -> DiscretePolicy? {
        settings.policy.isTimed && settings.policy.budget != nil ? nil : try draw(settings, macs)
    }

    /// Decisions in an order drawn at random: so many of them, or as many as fit into the budget and then each of the
    /// others that still does, once. To go on until none fits would give policies on which all tasks agree, since what
    /// makes them agree costs nothing.
    func draw(_ settings: MethodSettings, _ costs: PartCosts) throws -> DiscretePolicy {
        let (tasks, blocks) = (settings.tasks.count, settings.architecture.blocks.count)
        let seed = UInt64(settings.training.seed)
        guard let budget = settings.policy.budget else {
            return .nested(density: density, tasks: tasks, blocks: blocks, seed: seed)
        }
        let draw = PolicyDraw(costs: costs, form: settings.policy.cost, budget: budget, open: 0)
        let order = DiscretePolicy.randomOrder(tasks: tasks, blocks: blocks, seed: seed)
        func first(_ count: Int) -> DiscretePolicy { .selecting(order.prefix(count), tasks: tasks, blocks: blocks) }
        // Not the first that exceeds it: tasks that come to agree share work again.
        guard let count = (0...order.count).last(where: { draw.isWithinBudget(first($0)) }) else {
            var least = draw.text(of: first(0))
            if case .share = budget { least += " of \(settings.policy.cost.base)" }
            throw InputError(
                file: "configuration", place: "policy.budget", found: budget.name,
                expected: "at least \(least), what a network costs that skips every block")
        }
        var policy = first(count)
        for (task, block) in order.dropFirst(count) {
            var select = policy.select
            select[task][block] = true
            let candidate = DiscretePolicy(select: select)
            if draw.isWithinBudget(candidate) { policy = candidate }
        }
        return policy
    }
}
