import Models
import Operators

/// What a learned policy costs, beside what was asked for: MACs of the blocks as a share of selecting everything.
public struct PolicyCost: Codable, Sendable, Equatable {
    /// `policy.budget`; nil where the cost was left free.
    public var asked: Double?
    /// What is charged, `policy.cost`.
    public var form: String
    /// Expected cost under the learned probabilities; blocks the curriculum has not opened count as selected.
    public var expected: Double
    /// Cost of the discrete policy drawn from them.
    public var discrete: Double
}

extension Trainer {
    /// The cost of a policy drawn from these probabilities; nil where there are too many tasks to sum over their sets.
    func policyCost(_ probabilities: [[Double]], first: Int, drawn: DiscretePolicy) -> PolicyCost? {
        let settings = experiment.configuration.policy
        guard settings.cost == .passes || probabilities.count <= ExpectedCostLoss.maximumTasks else { return nil }
        let cost = experiment.trainingCost
        let effective = probabilities.map { row in row.indices.map { $0 < first ? 1 : row[$0] } }
        return PolicyCost(
            asked: settings.budget, form: settings.cost.rawValue,
            expected: cost.expectedShare(effective, form: settings.cost),
            discrete: cost.share(drawn, form: settings.cost))
    }
}
