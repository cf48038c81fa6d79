import AdaShareOperators

/// What the parts of a network cost, in whole units of one kind, so that sums are exact: multiply-accumulates of one
/// image, or nanoseconds of a step on a device.
///
/// Two forms of adding up. `.shared`: tasks of the same images that have decided alike so far have the same value, and
/// what is computed on it is paid once. `.passes`: every task pays for a pass of its own.
public struct PartCosts: Sendable, Hashable, Codable {
    /// What is counted.
    public enum Unit: String, Sendable, Hashable, Codable {
        /// Multiply-accumulates of one image, or time of a step on a device in ns.
        case macs, nanoseconds
    }

    /// One residual block.
    public struct Block: Sendable, Hashable, Codable {
        /// Of the branch, each time it is computed.
        public var branch: Int
        /// Of the branch, once however often it is computed: updates of its weights.
        public var branchOnce: Int
        /// Of the projection, each time; 0 without one.
        public var projection: Int
        /// Of the projection, once.
        public var projectionOnce: Int

        /// Creates costs of a block; see the properties.
        public init(branch: Int, branchOnce: Int = 0, projection: Int = 0, projectionOnce: Int = 0) {
            self.branch = branch
            self.branchOnce = branchOnce
            self.projection = projection
            self.projectionOnce = projectionOnce
        }
    }

    /// What the numbers count.
    public let unit: Unit
    /// For each task the number of its images: tasks of different ones have no value in common.
    public let sources: [Int]
    /// Of the stem, each time it is computed.
    public var stem: Int
    /// What is paid once whatever the policy; for times these are the heads, losses and updates of the stem.
    public var once: Int
    /// Bottom to top.
    public var blocks: [Block]
    /// Costs of a network whose tasks are all given the same images.
    ///
    /// - Precondition: at least one task; nothing is negative.
    public init(unit: Unit, tasks: Int, stem: Int, once: Int = 0, blocks: [Block]) {
        self.init(unit: unit, sources: Array(repeating: 0, count: tasks), stem: stem, once: once, blocks: blocks)
    }

    /// Costs of a network whose tasks may be given different images.
    ///
    /// - Parameters:
    ///   - unit: what the numbers count.
    ///   - sources: for each task the number of its images, as `NetworkArchitecture.sources`.
    ///   - stem: of the stem, each time it is computed.
    ///   - once: what is paid once whatever the policy.
    ///   - blocks: of the residual blocks, bottom to top.
    /// - Precondition: at least one task; nothing is negative.
    public init(unit: Unit, sources: [Int], stem: Int, once: Int = 0, blocks: [Block]) {
        precondition(!sources.isEmpty)
        self.unit = unit
        self.sources = compacted(sources)
        self.stem = stem
        self.once = once
        self.blocks = blocks
    }

    /// Tasks that the network has.
    public var tasks: Int { sources.count }
    /// Passes of hard sharing: one for each of the images.
    public var passes: Int { (sources.max() ?? 0) + 1 }

    /// What a policy costs.
    ///
    /// - Precondition: the policy has a row for each task with a decision for each block.
    public func cost(of policy: DiscretePolicy, _ form: CostForm) -> Int {
        precondition(
            policy.taskCount == tasks && policy.blockCount == blocks.count,
            "policy of \(policy.taskCount) tasks × \(policy.blockCount) blocks for a network of \(tasks) × "
                + "\(blocks.count)")
        switch form {
        case .passes:
            return once
                + policy.select.reduce(0) { total, row in
                    zip(blocks, row).reduce(total + stem) { sum, pair in
                        let block = pair.0
                        let branch = pair.1 ? block.branch + block.branchOnce : 0
                        return sum + block.projection + block.projectionOnce + branch
                    }
                }
        case .shared:
            // Tasks of the same images with equal decisions so far have the same number: what a block is given.
            var value = sources
            var total = once + passes * stem
            for (index, block) in blocks.enumerated() {
                let selecting = Set((0..<tasks).filter { policy.select[$0][index] }.map { value[$0] })
                total += Set(value).count * block.projection + block.projectionOnce
                total += selecting.count * block.branch + (selecting.isEmpty ? 0 : block.branchOnce)
                value = compacted((0..<tasks).map { 2 * value[$0] + (policy.select[$0][index] ? 1 : 0) })
            }
            return total
        }
    }

    /// What is paid where every task selects every block: in one pass for all of the same images, or in one for each.
    public func hardSharing(_ form: CostForm) -> Int {
        cost(of: .hardSharing(tasks: tasks, blocks: blocks.count), form)
    }

    /// A policy's cost as a share of hard sharing's in the same form.
    ///
    /// - Precondition: as `cost(of:_:)`.
    public func share(of policy: DiscretePolicy, _ form: CostForm) -> Double {
        Double(cost(of: policy, form)) / Double(hardSharing(form))
    }

    /// What is paid where no task selects a block.
    private func leastCost(_ form: CostForm) -> Int {
        let nothing = [[Bool]](repeating: Array(repeating: false, count: blocks.count), count: tasks)
        return cost(of: DiscretePolicy(select: nothing), form)
    }

    // MARK: Expected cost

    /// Cost of each block's branch as a share of all branches; projections and stem run in any case and are not
    /// charged.
    public var blockShares: [Double] {
        let costs = blocks.map { $0.branch + $0.branchOnce }
        let total = costs.reduce(0, +)
        return costs.map { Double($0) / Double(total) }
    }

    /// What remains for the branches of a budget for everything, as a share of all branches: the rest runs in any case.
    /// Below 0 where that exceeds it alone.
    ///
    /// - Parameters:
    ///   - budget: share of hard sharing's cost.
    ///   - form: `.shared` counts common work once, `.passes` counts a pass per task.
    public func blockBudget(_ budget: Double, _ form: CostForm) -> Double {
        let (all, least) = (Double(hardSharing(form)), Double(leastCost(form)))
        return (budget * all - least) / (all - least)
    }

    /// The reverse of `blockBudget`: the share of everything where the branches have a share and nothing else is saved.
    public func wholeShare(ofBlocks share: Double, _ form: CostForm) -> Double {
        let (all, least) = (Double(hardSharing(form)), Double(leastCost(form)))
        return (least + share * (all - least)) / all
    }

    /// Expected cost of the branches under independent decisions, as a share of selecting everything in the same form.
    /// What is paid once for a branch is counted as often as it is computed.
    ///
    /// With 0 and 1 for probabilities: the share of a discrete policy.
    ///
    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - form: what is charged; see `ExpectedCostLoss` for the formulas.
    /// - Precondition: one row per task with one number per block.
    public func expectedShare(_ probabilities: [[Double]], _ form: CostForm) -> Double {
        precondition(probabilities.allSatisfy { $0.count == blocks.count }, "one probability per block")
        let shares = blockShares
        switch form {
        case .passes:
            let sums = probabilities.map { row in zip(shares, row).reduce(0) { $0 + $1.0 * $1.1 } }
            return sums.reduce(0, +) / Double(sums.count)
        case .shared:
            precondition(probabilities.count == tasks, "one row per task")
            let sum = (1..<(1 << tasks)).reduce(0.0) { sum, set in
                let members = sources.indices.filter { set >> $0 & 1 == 1 }
                // Tasks of different images have nothing in common.
                guard Set(members.map { sources[$0] }).count == 1 else { return sum }
                let rows = members.map { probabilities[$0] }
                let rest = blocks.indices.reversed().reduce(0) { rest, block in
                    let all = rows.reduce(1) { $0 * $1[block] }
                    let none = rows.reduce(1) { $0 * (1 - $1[block]) }
                    return shares[block] * all + (all + none) * rest
                }
                return sum + (rows.count % 2 == 1 ? rest : -rest)
            }
            return sum / Double(passes)
        }
    }

    // MARK: The most probable policy

    /// More tasks than that may have too many partitions to be searched for policies that share work.
    public static let mostTasksSharing = 6

    /// A policy with its cost.
    public struct Chosen: Sendable, Hashable {
        /// Its decisions; blocks without a choice are selected.
        public let policy: DiscretePolicy
        /// In the form asked for.
        public let cost: Int
        /// Whether that is within the budget; otherwise no policy is, and this is the cheapest one.
        public let isWithinBudget: Bool
    }

    /// The most probable policy under independent decisions that costs at most so much; of equally probable ones one of
    /// the cheapest.
    ///
    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - budget: the most it may cost.
    ///   - form: `.shared` counts common work once, `.passes` counts a pass per task.
    ///   - open: the first block with a choice; those before it are selected.
    ///   - reward: what spending the whole budget is worth, in log-probability: above 0, a less probable policy is
    ///     taken where it makes more of the budget.
    /// - Precondition: one row per task with one number per block; at most `mostTasksSharing` tasks where work is
    ///   shared.
    public func mostProbable(
        _ probabilities: [[Double]], within budget: Int, _ form: CostForm, open: Int = 0, reward: Double = 0
    ) -> Chosen {
        let reward = reward / Double(max(1, budget))
        precondition(probabilities.count == tasks, "one row per task")
        precondition(probabilities.allSatisfy { $0.count == blocks.count }, "one probability per block")
        // Where no task shares a value, what a task pays does not depend on others, unless they pay for updates
        // together.
        let isSeparate = passes == tasks && blocks.allSatisfy { $0.branchOnce == 0 && $0.projectionOnce == 0 }
        guard form == .shared, !isSeparate else {
            return mostProbablePasses(probabilities, within: budget, open: open, reward: reward)
        }
        precondition(tasks <= Self.mostTasksSharing, "\(tasks) tasks")
        let fixed = blocks.reduce(once + passes * stem) { $0 + $1.projectionOnce }
        let found = PolicySearch(
            probabilities, sources: sources, blocks: blocks, fixed: fixed, budget: budget, open: open, reward: reward
        ).best()
        return Chosen(policy: found.policy, cost: found.cost, isWithinBudget: found.isWithin)
    }

    /// Where each task pays for itself, decisions of different tasks are those of one task about more blocks.
    private func mostProbablePasses(
        _ probabilities: [[Double]], within budget: Int, open: Int, reward: Double
    ) -> Chosen {
        // Blocks of all tasks side by side, so that those without a choice come first.
        let order = blocks.indices.flatMap { block in (0..<tasks).map { (task: $0, block: block) } }
        let row = order.map { probabilities[$0.task][$0.block] }
        let found = PolicySearch(
            [row], blocks: order.map { blocks[$0.block] },
            fixed: order.reduce(once + tasks * stem) { $0 + blocks[$1.block].projectionOnce }, budget: budget,
            open: open * tasks, reward: reward
        ).best()
        let flat = found.policy.select[0]
        let policy = DiscretePolicy(
            select: (0..<tasks).map { task in blocks.indices.map { flat[$0 * tasks + task] } })
        return Chosen(policy: policy, cost: found.cost, isWithinBudget: found.isWithin)
    }
}
