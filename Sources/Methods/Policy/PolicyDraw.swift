import AdaShareModels
import AdaShareOperators
import AdaShareSupport

/// How discrete policies are taken from learned probabilities.
public struct PolicyDraw: Sendable {
    /// What they cost.
    public let costs: PartCosts
    /// What is charged.
    public let form: CostForm
    /// The most that a policy may cost; nil for any.
    public let budget: PolicyBudget?
    /// The first block with a choice; every task selects those before it.
    public let open: Int
    /// The budget in units of `costs`.
    private let limit: Int

    /// How often a sample is drawn until one is within the budget.
    static let attempts = 1000

    /// - Precondition: `open` is at most the number of blocks; a budget of milliseconds is for times.
    public init(costs: PartCosts, form: CostForm, budget: PolicyBudget?, open: Int) {
        precondition(open <= costs.blocks.count)
        self.costs = costs
        self.form = form
        self.budget = budget
        self.open = open
        limit = budget?.limit(costs, form) ?? .max
    }

    /// Whether a policy costs at most the budget.
    public func isWithinBudget(_ policy: DiscretePolicy) -> Bool { costs.cost(of: policy, form) <= limit }

    /// The policy that costs least: what has a choice is skipped.
    public func cheapest(_ probabilities: [[Double]]) -> DiscretePolicy { thresholded(probabilities, at: .infinity) }

    /// Whether the most probable policy within a budget can be found for so many tasks.
    public static func canSearch(tasks: Int, form: CostForm) -> Bool {
        form == .passes || tasks <= PartCosts.mostTasksSharing
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
        costs.mostProbable(probabilities, within: limit, form, open: open).policy
    }

    /// The most probable policy within the budget, and less probable ones that make more of it: what spending all of it
    /// is worth rises from nothing to more than any probability of a small network weighs.
    ///
    /// - Returns: each once, the most probable one first.
    /// - Precondition: `canSearch`.
    public func frontier(_ probabilities: [[Double]]) -> [DiscretePolicy] {
        var policies = [mostProbable(probabilities)]
        guard budget != nil, isWithinBudget(policies[0]) else { return policies }
        for reward in Self.rewards {
            let policy = costs.mostProbable(probabilities, within: limit, form, open: open, reward: reward).policy
            if !policies.contains(policy) { policies.append(policy) }
        }
        return policies
    }

    /// Policies that part tasks, which probabilities learned on shared weights rarely come to: one task takes blocks in
    /// turn with the others, from the first block with a choice or from where a later stage begins; and before them the
    /// one on which all tasks agree. Each is made to fit the budget, where less probable decisions go first.
    ///
    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - stages: where stages begin, by block.
    /// - Returns: each once, with the task that is alone and the block from which on, nil where all agree; none that is
    ///   over the budget.
    /// - Precondition: `canSearch`.
    public func parted(
        _ probabilities: [[Double]], stages: [Int]
    ) -> [(fork: (task: Int, block: Int)?, policy: DiscretePolicy)] {
        let (tasks, blocks) = (probabilities.count, costs.blocks.count)
        /// The most probable policy once a pattern outweighs what was learned, which decides what a budget takes away.
        func fitted(_ isSelected: (_ task: Int, _ block: Int) -> Bool) -> DiscretePolicy {
            mostProbable(
                (0..<tasks).map { task in
                    (0..<blocks).map { (isSelected(task, $0) ? 0.9 : 0.01) + 0.09 * probabilities[task][$0] }
                })
        }
        var policies: [(fork: (task: Int, block: Int)?, policy: DiscretePolicy)] = [(nil, fitted { _, _ in true })]
        let forks = [open] + stages.filter { $0 > open && $0 < blocks - 1 }
        for alone in 0..<(tasks > 1 ? tasks : 0) {
            for fork in forks {
                let policy = fitted { $1 < fork || ($1 - fork).isMultiple(of: 2) == ($0 == alone) }
                policies.append(((alone, fork), policy))
            }
        }
        var known: Set<DiscretePolicy> = []
        return policies.filter { isWithinBudget($0.policy) && known.insert($0.policy).inserted }
    }

    /// In log-probability, for the whole budget.
    private static let rewards = [3.0, 6, 12, 25, 50, 100]
    /// At most so many policies on a frontier.
    static let mostOnFrontier = rewards.count + 1

    /// Policies drawn from the probabilities, only those within the budget: fewer than asked for, or none, where those
    /// are rare.
    ///
    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - numbers: of the tasks, in the names of their random numbers.
    ///   - count: number of draws.
    ///   - seed: each draw is a pure function of it and the draw's number.
    public func samples(
        _ probabilities: [[Double]], numbers: [Int], count: Int, seed: UInt64
    ) -> [DiscretePolicy] {
        guard budget == nil || isWithinBudget(cheapest(probabilities)) else { return [] }
        var state = StepState()
        state.seed = seed
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

    /// Whether the budget is milliseconds.
    var isInTime: Bool { if case .milliseconds? = budget { true } else { false } }

    /// What a policy costs, for people: milliseconds where the budget is, or a share of the form's base.
    func text(of policy: DiscretePolicy) -> String {
        if isInTime { return "\(readable(costs.milliseconds(of: policy, form))) ms" }
        return readable(100 * costs.share(of: policy, form)) + " %"
    }

    /// What people should know of a policy taken from these probabilities.
    public func remarks(on policy: DiscretePolicy, from probabilities: [[Double]]) -> [String] {
        var lines: [String] = []
        if let budget {
            let most = budget.text(form)
            let cheapest = cheapest(probabilities)
            let choices = policy.taskCount * (policy.blockCount - open)
            let against = zip(policy.select, probabilities).reduce(0) { sum, rows in
                sum + (open..<policy.blockCount).count { rows.0[$0] != (rows.1[$0] >= 0.5) }
            }
            if !isWithinBudget(cheapest) {
                lines.append(
                    "no policy is within the budget of \(most): this one costs \(text(of: policy)), the cheapest "
                        + text(of: cheapest))
            } else if !isWithinBudget(policy) {
                lines.append(
                    "the policy is over the budget of \(most): it costs \(text(of: policy)); the cheapest would cost "
                        + text(of: cheapest))
            } else if against > 0 {
                let isFree = isWithinBudget(thresholded(probabilities))
                let best = Self.canSearch(tasks: policy.taskCount, form: form) ? mostProbable(probabilities) : policy
                let why =
                    best != policy
                    ? ": it is not the most probable policy within \(most)" : isFree ? "" : ", to stay within \(most)"
                lines.append("\(against) of \(choices) decisions go against their probability\(why)")
            }
        }
        if let line = costs.warning(about: policy) { lines.append(line) }
        return lines
    }
}

extension CostForm {
    /// What a cost in this form is a share of, for people.
    public var base: String { self == .shared ? "hard sharing" : "a full pass per task" }
}

extension PartCosts {
    /// A line about a policy that costs more than sharing everything; nil where it does not.
    ///
    /// - Precondition: the policy fits the network.
    public func warning(about policy: DiscretePolicy) -> String? {
        let share = share(of: policy, .shared)
        guard share > 1 else { return nil }
        return
            "the policy \(unit == .macs ? "costs" : "takes") \(percent(share)) of "
            + "\(unit == .macs ? "" : "the time of ")hard "
            + "sharing, which runs all tasks in one pass: more than sharing everything"
    }

    /// Milliseconds of a step under a policy.
    ///
    /// - Precondition: these are times, and the policy fits the network.
    public func milliseconds(of policy: DiscretePolicy, _ form: CostForm = .shared) -> Double {
        precondition(unit == .nanoseconds)
        return Double(cost(of: policy, form)) / 1e6
    }
}
