import Models
import Operators

/// What a learned policy costs, beside what was asked for, as shares of hard sharing's cost.
public struct PolicyCost: Codable, Sendable, Equatable {
    /// The budget; nil where the cost was left free.
    public var asked: Double?
    /// The budget in milliseconds, where it was given so.
    public var askedMilliseconds: Double?
    /// What is counted, `policy.budget_for`; nil in states of older versions, which counted multiply-accumulates.
    public var measure: String?
    /// What is charged, `policy.cost`.
    public var form: String
    /// Expected cost under the learned probabilities; blocks the curriculum has not opened count as selected, and
    /// projections are paid once.
    public var expected: Double
    /// Cost of the discrete policy taken from them.
    public var discrete: Double
}

extension Trainer {
    /// How discrete policies are taken from the probabilities now.
    ///
    /// - Parameter budget: the most they may cost; nil for any.
    func policyDraw(within budget: PolicyBudget?) throws -> PolicyDraw {
        PolicyDraw(
            costs: experiment.budgetCosts, form: experiment.configuration.policy.cost, budget: budget,
            open: try firstOpenBlock())
    }

    /// The cost of a policy taken from these probabilities; nil where there are too many tasks to sum over their sets.
    func policyCost(_ probabilities: [[Double]], drawn: DiscretePolicy, by draw: PolicyDraw) -> PolicyCost? {
        let settings = experiment.configuration.policy
        guard settings.cost == .passes || probabilities.count <= ExpectedCostLoss.maximumTasks else { return nil }
        let effective = probabilities.map { row in row.indices.map { $0 < draw.open ? 1 : row[$0] } }
        let blocks = draw.costs.expectedShare(effective, settings.cost)
        var milliseconds: Double?
        if case .milliseconds(let time)? = draw.budget { milliseconds = time }
        return PolicyCost(
            asked: draw.budget?.share(draw.costs, settings.cost), askedMilliseconds: milliseconds,
            measure: settings.budgetFor.rawValue, form: settings.cost.rawValue,
            expected: draw.costs.wholeShare(ofBlocks: blocks, settings.cost),
            discrete: draw.costs.share(of: drawn, settings.cost))
    }
}
