import Models
import Operators

/// How discrete policies are taken from learned probabilities.
public struct PolicyDraw: Sendable {
    /// Counts what they cost.
    public let cost: CostModel
    /// What is charged.
    public let form: CostForm
    /// Share of hard sharing's cost that a policy may have; nil for any.
    public let budget: Double?
    /// The first block with a choice; every task selects those before it.
    public let open: Int
    /// The budget in MACs of the backbone.
    private let limit: Int

    /// How often a sample is drawn until one is within the budget.
    static let attempts = 1000

    /// - Precondition: `open` is at most the number of blocks.
    public init(cost: CostModel, form: CostForm, budget: Double?, open: Int) {
        precondition(open <= cost.blocks.count)
        self.cost = cost
        self.form = form
        self.budget = budget
        self.open = open
        limit = budget.map { Int(($0 * Double(cost.macsOfHardSharing(form))).rounded(.down)) } ?? .max
    }

    /// Whether a policy costs at most the budget.
    public func isWithinBudget(_ policy: DiscretePolicy) -> Bool { cost.macs(policy, form: form) <= limit }

    /// The policy that costs least: what has a choice is skipped.
    public func cheapest(_ probabilities: [[Double]]) -> DiscretePolicy { thresholded(probabilities, at: .infinity) }

    /// Whether the most probable policy within a budget can be found for so many tasks.
    public static func canSearch(tasks: Int, form: CostForm) -> Bool {
        form == .passes || tasks <= CostModel.mostTasksSharing
    }

    /// Selects where α is at least a threshold, whatever that costs.
    public func thresholded(_ probabilities: [[Double]], at threshold: Double = 0.5) -> DiscretePolicy {
        DiscretePolicy(
            select: probabilities.map { row in row.indices.map { $0 < open || row[$0] >= threshold } })
    }

    /// The most probable policy within the budget; the cheapest one where none is.
    ///
    /// - Precondition: `canSearch`.
    public func mostProbable(_ probabilities: [[Double]]) -> DiscretePolicy {
        cost.mostProbablePolicy(probabilities, within: limit, form: form, open: open).policy
    }

    /// Policies drawn from the probabilities, only those within the budget: fewer than asked for, or none, where those
    /// are rare.
    ///
    /// - Parameter seed: each draw is a pure function of it and the draw's number.
    public func samples(_ probabilities: [[Double]], count: Int, seed: UInt64) -> [DiscretePolicy] {
        var state = StepState()
        state.seed = seed
        let numbers = probabilities.indices.map(cost.architecture.number)
        func sample(_ name: String) -> DiscretePolicy {
            DiscretePolicy(
                select: probabilities.enumerated().map { task, row in
                    let uniforms = Philox.uniforms(
                        rows: row.count, columns: 1, name: "\(name)/task\(numbers[task])", state: state)
                    return row.indices.map { $0 < open || Double(uniforms[$0]) < row[$0] }
                })
        }
        return (0..<count).compactMap { number in
            (0..<(budget == nil ? 1 : Self.attempts)).lazy
                .map { sample($0 == 0 ? "policy/sample/\(number)" : "policy/sample/\(number)/\($0)") }
                .first(where: isWithinBudget)
        }
    }

    /// What people should know of a policy taken from these probabilities.
    public func remarks(on policy: DiscretePolicy, from probabilities: [[Double]]) -> [String] {
        var lines: [String] = []
        if let budget {
            func name(_ policy: DiscretePolicy) -> String { percent(cost.shareOfHardSharing(policy, form: form)) }
            let cheapest = cheapest(probabilities)
            let choices = policy.taskCount * (policy.blockCount - open)
            let against = zip(policy.select, probabilities).reduce(0) { sum, rows in
                sum + (open..<policy.blockCount).count { rows.0[$0] != (rows.1[$0] >= 0.5) }
            }
            if !isWithinBudget(cheapest) {
                lines.append(
                    "no policy is within the budget of \(percent(budget)) of \(form.base): this one costs \(name(policy)), the "
                        + "cheapest \(name(cheapest))")
            } else if !isWithinBudget(policy) {
                lines.append(
                    "the policy is over the budget of \(percent(budget)) of \(form.base): it costs \(name(policy)); the cheapest "
                        + "would cost \(name(cheapest))")
            } else if against > 0 {
                lines.append(
                    "\(against) of \(choices) decisions go against their probability, to stay within \(percent(budget)) of "
                        + form.base)
            }
        }
        if let line = cost.warning(about: policy) { lines.append(line) }
        return lines
    }
}

extension CostForm {
    /// What a cost in this form is a share of, for people.
    public var base: String { self == .shared ? "hard sharing" : "a full pass per task" }
}

extension CostModel {
    /// A line about a policy that costs more than sharing everything; nil where it does not.
    ///
    /// - Precondition: the policy fits the architecture.
    public func warning(about policy: DiscretePolicy) -> String? {
        let share = shareOfHardSharing(policy, form: .shared)
        guard share > 1 else { return nil }
        return
            "the policy costs \(percent(share)) of hard sharing, which runs all tasks in one pass: more than sharing "
            + "everything"
    }
}
