import AdaShareModels
import AdaShareOperators

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
    /// Expected cost under the learned probabilities; blocks without a free policy count as selected, and
    /// projections are paid once.
    public var expected: Double
    /// Cost of the discrete policy taken from them.
    public var discrete: Double

    /// Creates costs; see the properties.
    public init(
        asked: Double? = nil, askedMilliseconds: Double? = nil, measure: String? = nil, form: String, expected: Double,
        discrete: Double
    ) {
        (self.asked, self.askedMilliseconds, self.measure, self.form) = (asked, askedMilliseconds, measure, form)
        (self.expected, self.discrete) = (expected, discrete)
    }
}

extension PolicyCost {
    /// Whether the discrete policy costs more than was asked for.
    public var isOverBudget: Bool { asked.map { discrete > $0 } ?? false }

    /// The cost of a policy taken from these probabilities; nil where there are too many tasks to sum over their sets.
    init?(_ probabilities: [[Double]], drawn: DiscretePolicy, by draw: PolicyDraw, measure: BudgetMeasure) {
        let form = draw.form
        guard form == .passes || probabilities.count <= ExpectedCostLoss.maximumTasks else { return nil }
        let effective = probabilities.map { row in row.indices.map { $0 < draw.open ? 1 : row[$0] } }
        let blocks = draw.costs.expectedShare(effective, form)
        if case .milliseconds(let time)? = draw.budget { askedMilliseconds = time }
        asked = draw.budget?.share(draw.costs, form)
        self.measure = measure.rawValue
        self.form = form.rawValue
        expected = draw.costs.wholeShare(ofBlocks: blocks, form)
        discrete = draw.costs.share(of: drawn, form)
    }
}
