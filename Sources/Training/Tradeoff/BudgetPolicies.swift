import AdaShareExperiments
import AdaShareMethods
import AdaShareModels

extension Experiment {
    /// Whether a policy costs more than a budget, as it is planned: by the multiply-accumulates, or the measured times
    /// of its parts. False where budgets count time and none is known.
    package func plans(_ policy: DiscretePolicy, above budget: PolicyBudget) -> Bool {
        guard !configuration.policy.isTimed || partTimes != nil else { return false }
        return !PolicyDraw(costs: budgetCosts, form: configuration.policy.cost, budget: budget, open: 0)
            .isWithinBudget(policy)
    }

    /// The budgets whose policies take more than they allow, as planned, or as measured where that was done.
    ///
    /// - Parameters:
    ///   - policies: of several budgets.
    ///   - tradeoff: what was measured; nil where nothing was.
    package func missed(
        _ policies: [(budget: PolicyBudget, policy: SelectionPolicy)], measured tradeoff: Tradeoff?
    ) -> Set<PolicyBudget> {
        let names = tasks.map(\.name)
        return Set(
            policies.filter { budget, policy in
                let point = tradeoff?.points.first { $0.name == SideRuns.Kind.budget(budget).name }
                return point?.isOver(configuration.policy.budgetFor)
                    ?? plans(policy.discrete(tasks: names), above: budget)
            }.map(\.budget))
    }
}

extension SideRuns {
    /// What follows the name of a network that takes more than its budget, wherever tables have it.
    package static let overMark = " !"
    /// What that means.
    package static let overLegend = "! over its budget"

    /// Budgets by the policies that they came to, those of one policy together, in order.
    ///
    /// - Parameters:
    ///   - policies: of each budget.
    ///   - missed: budgets whose policies take more.
    /// - Returns: what the budgets are called together, with a clause about those that were missed.
    package static func grouped(
        _ policies: [(budget: PolicyBudget, policy: SelectionPolicy)], missed: Set<PolicyBudget> = []
    ) -> [(budgets: String, miss: String, policy: SelectionPolicy)] {
        var groups: [(budgets: [PolicyBudget], policy: SelectionPolicy)] = []
        for (budget, policy) in policies {
            if let place = groups.firstIndex(where: { $0.policy.tasks == policy.tasks }) {
                groups[place].budgets.append(budget)
            } else {
                groups.append(([budget], policy))
            }
        }
        return groups.map { budgets, policy in
            let over = budgets.filter(missed.contains)
            func list(_ budgets: [PolicyBudget]) -> String { budgets.map(\.name).joined(separator: " and ") }
            let all = over.count == 1 ? "its budget" : "its budgets"
            let miss = over.isEmpty ? "" : ", over \(over.count < budgets.count ? "the budget of \(list(over))" : all)"
            return (list(budgets), miss, policy)
        }
    }
}
