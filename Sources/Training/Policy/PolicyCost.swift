import Models
import Operators

/// What a learned policy costs, beside what was asked for: MACs of the backbone as shares of hard sharing's.
public struct PolicyCost: Codable, Sendable, Equatable {
    /// `policy.budget`; nil where the cost was left free.
    public var asked: Double?
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
    func policyDraw() throws -> PolicyDraw {
        let settings = experiment.configuration.policy
        return PolicyDraw(
            cost: experiment.trainingCost, form: settings.cost, budget: settings.budget, open: try firstOpenBlock())
    }

    /// The cost of a policy taken from these probabilities; nil where there are too many tasks to sum over their sets.
    func policyCost(_ probabilities: [[Double]], drawn: DiscretePolicy, by draw: PolicyDraw) -> PolicyCost? {
        let settings = experiment.configuration.policy
        guard settings.cost == .passes || probabilities.count <= ExpectedCostLoss.maximumTasks else { return nil }
        let effective = probabilities.map { row in row.indices.map { $0 < draw.open ? 1 : row[$0] } }
        let blocks = draw.cost.expectedShare(effective, form: settings.cost)
        return PolicyCost(
            asked: settings.budget, form: settings.cost.rawValue,
            expected: draw.cost.backboneShare(ofBlocks: blocks, form: settings.cost),
            discrete: draw.cost.shareOfHardSharing(drawn, form: settings.cost))
    }
}
