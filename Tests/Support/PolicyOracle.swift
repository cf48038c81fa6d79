import Foundation

/// Tries every policy of a small network: 2^(tasks · free blocks) of them.
///
/// Tasks with the same decisions so far compute a block once; a block's projection is paid by every such group, its
/// branch by every group in which a task selects it.
public struct PolicyOracle {
    /// Costs of each block.
    let branches, projections: [Int]
    /// Of each block, however many groups select it.
    let once: [Int]
    /// What is paid in any case.
    let fixed: Int
    /// α, [task][block].
    let alphas: [[Double]]
    /// The first block with a choice.
    let open: Int
    /// What a unit of cost is worth.
    let reward: Double
    /// For each task the number of its images: tasks of different ones have nothing in common.
    let sources: [Int]

    /// - Parameters:
    ///   - once: nothing if nil.
    ///   - sources: the same for all if nil.
    public init(
        branches: [Int], once: [Int]? = nil, projections: [Int], fixed: Int, alphas: [[Double]], open: Int,
        reward: Double = 0, sources: [Int]? = nil
    ) {
        self.branches = branches
        self.once = once ?? branches.map { _ in 0 }
        self.projections = projections
        self.fixed = fixed
        self.alphas = alphas
        self.open = open
        self.reward = reward
        self.sources = sources ?? alphas.map { _ in 0 }
    }

    /// What a search has to find: the highest log-probability within a budget, with the reward for what is spent, nil
    /// where nothing is, and the least cost.
    public func best(within budget: Int) -> (score: Double?, leastCost: Int) {
        var best = (score: -Double.infinity, leastCost: Int.max)
        // A task's past, as its images and the bits of its decisions.
        func visit(_ block: Int, _ pasts: [Int], _ cost: Int, _ score: Double) {
            guard block < branches.count else {
                best.leastCost = min(best.leastCost, cost)
                if cost <= budget { best.score = max(best.score, score + reward * Double(cost)) }
                return
            }
            let tasks = pasts.count
            for selected in block < open ? ((1 << tasks) - 1)..<(1 << tasks) : 0..<(1 << tasks) {
                var (cost, score, next) = (cost + (selected == 0 ? 0 : once[block]), score, pasts)
                for task in 0..<tasks {
                    let isSelected = selected >> task & 1 == 1
                    score += log(isSelected ? alphas[task][block] : 1 - alphas[task][block])
                    next[task] = 2 * pasts[task] + (isSelected ? 1 : 0)
                    // The first task of a group pays, and of those that select.
                    if !pasts[..<task].contains(pasts[task]) { cost += projections[block] }
                    let others = (0..<task).contains { pasts[$0] == pasts[task] && selected >> $0 & 1 == 1 }
                    if isSelected && !others { cost += branches[block] }
                }
                visit(block + 1, next, cost, score)
            }
        }
        visit(0, sources, fixed, 0)
        return (best.score.isFinite ? best.score : nil, best.leastCost)
    }
}
