import AdaShareOperators
import Foundation

/// The most probable of all policies that cost at most so much, found exactly.
///
/// Under independent decisions a policy's probability is the product of α of what is selected and 1 − α of what is
/// skipped. What a block costs depends on who shares it: tasks that have decided alike below it have the same input and
/// compute it once. So the state between two blocks is the partition of the tasks into groups with an equal past (5 for
/// three tasks, 52 for five), and at each block every group may split into those that select and those that skip. Tasks
/// of different images are in different groups from the start.
///
/// Among partial policies of one partition, only those stay that none both cheaper and more probable makes useless, and
/// only while a Lagrangian bound (budget priced in log-probability) leaves them a chance to beat the best policy known:
/// a few hundred in all, where there would be 2^(tasks · blocks) policies.
struct PolicySearch {
    /// A policy and what it costs, `fixed` included.
    struct Found {
        var policy: DiscretePolicy
        var cost: Int
        /// Whether it is within the budget; otherwise none is, and this is the cheapest.
        var isWithin: Bool
    }

    /// A step from one partition to the next.
    private struct Move {
        /// Tasks that select the block, as bits.
        let selected: Int
        let next: Int
        /// Groups in which a task selects it.
        let payers: Int
    }

    /// A policy of the blocks so far.
    private struct Label {
        var cost: Int
        var score: Double
        /// Of the partition before, and the place among its labels.
        var parent: (partition: Int, index: Int)
        var selected: Int
    }

    /// So many labels of one partition stay at most: of those whose costs lie in the same such part of the budget, the
    /// most probable. Not reached by any network here with up to six tasks.
    private static let mostLabels = 1 << 14

    private let tasks: Int
    private let charges: [PartCosts.Block]
    /// What is paid in any case, `once` of projections included.
    private let fixed: Int
    private let budget: Int
    /// log-probability of a block's decisions, [block][tasks that select].
    private let scores: [[Double]]
    /// What a unit of cost adds to a policy's score.
    private let reward: Double
    /// The first block with a choice.
    private let open: Int
    /// Each with the number of groups, the first one that of the images; what follows it, by block with and without a
    /// choice.
    private let groups: [Int]
    private let moves: [[Move]]

    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - sources: for each task the number of its images; nil where all have the same.
    ///   - blocks: what is charged for each: `branch` to every group in which a task selects it, `branchOnce` to all of
    ///     those together, `projection` to every group.
    ///   - fixed: what is paid in any case, `projectionOnce` included.
    ///   - open: the first block with a choice; those before it are selected by every task.
    ///   - reward: what a unit of cost is worth, in log-probability; then the policy with the highest sum of both is
    ///     found instead of the most probable one.
    /// - Precondition: at least one task, at most `PartCosts.mostTasksSharing`.
    init(
        _ probabilities: [[Double]], sources: [Int]? = nil, blocks: [PartCosts.Block], fixed: Int, budget: Int,
        open: Int, reward: Double = 0
    ) {
        tasks = probabilities.count
        self.reward = reward
        charges = blocks
        self.fixed = fixed
        self.budget = budget
        self.open = open
        let all = 1 << probabilities.count
        scores = blocks.indices.map { block in
            (0..<all).map { selected in
                probabilities.indices.reduce(0) { sum, task in
                    sum + logProbability(of: selected >> task & 1 == 1, alpha: probabilities[task][block])
                }
            }
        }
        (groups, moves) = Self.partitions(from: sources ?? Array(repeating: 0, count: tasks))
    }

    /// All partitions that can be reached, numbered as they are met.
    private static func partitions(from sources: [Int]) -> (groups: [Int], moves: [[Move]]) {
        // Each task's group, groups numbered as they first appear.
        let tasks = sources.count
        var list = [compacted(sources)]
        var known: [[Int]: Int] = [list[0]: 0]
        var moves: [[Move]] = []
        while moves.count < list.count {
            let partition = list[moves.count]
            moves.append(
                (0..<1 << tasks).map { selected in
                    var payers = Set<Int>()
                    let next = compacted(
                        partition.enumerated().map { task, group in
                            let bit = selected >> task & 1
                            if bit == 1 { payers.insert(group) }
                            return 2 * group + bit
                        })
                    let number = known[next] ?? list.count
                    if number == list.count {
                        known[next] = number
                        list.append(next)
                    }
                    return Move(selected: selected, next: number, payers: payers.count)
                })
        }
        return (list.map { ($0.max() ?? 0) + 1 }, moves)
    }

    private var blocks: Int { charges.count }

    private func moves(at block: Int, from partition: Int) -> ArraySlice<Move> {
        block < open ? moves[partition].suffix(1) : moves[partition][...]
    }

    private func cost(_ move: Move, from partition: Int, at block: Int) -> Int {
        groups[partition] * charges[block].projection + move.payers * charges[block].branch
            + (move.payers > 0 ? charges[block].branchOnce : 0)
    }

    private func score(_ move: Move, from partition: Int, at block: Int) -> Double {
        scores[block][move.selected] + reward * Double(cost(move, from: partition, at: block))
    }

    /// What a block costs that every task selects, on one value for each of the images.
    private func forced(_ block: Int) -> Int { groups[0] * charges[block].branch + charges[block].branchOnce }

    func best() -> Found {
        let free = priced(at: 0)
        if free.cost <= budget { return Found(policy: free.policy, cost: free.cost, isWithin: true) }
        // Skipping is cheapest: the first groups throughout, so that no projection is paid more often.
        let cheapest = DiscretePolicy(
            select: Array(repeating: (0..<blocks).map { $0 < open }, count: tasks))
        let least = charges.indices.reduce(fixed) {
            $0 + groups[0] * charges[$1].projection + ($1 < open ? forced($1) : 0)
        }
        if least > budget { return Found(policy: cheapest, cost: least, isWithin: false) }

        // The price of a unit at which the best priced policy just fits: its bound is the tightest.
        var (low, high) = (0.0, 1 / Double(max(1, budget)))
        var feasible = priced(at: high)
        while feasible.cost > budget {
            (low, high) = (high, high * 4)
            feasible = priced(at: high)
        }
        for _ in 0..<40 {
            let middle = (low + high) / 2
            let found = priced(at: middle)
            if found.cost <= budget {
                high = middle
                if found.score >= feasible.score { feasible = found }
            } else {
                low = middle
            }
        }
        let exact = search(price: high, atLeast: feasible.score) ?? (feasible.policy, feasible.cost)
        return Found(policy: exact.policy, cost: exact.cost, isWithin: true)
    }

    /// What the blocks from each one on can add at most, if a unit of cost takes `price` from the log-probability:
    /// [block][partition].
    private func values(price: Double) -> [[Double]] {
        var values = [[Double]](repeating: [], count: blocks) + [Array(repeating: 0, count: groups.count)]
        for block in (0..<blocks).reversed() {
            values[block] = groups.indices.map { partition in
                moves(at: block, from: partition).map {
                    score($0, from: partition, at: block) - price * Double(cost($0, from: partition, at: block))
                        + values[block + 1][$0.next]
                }.max() ?? 0
            }
        }
        return values
    }

    /// The best policy where cost has a price.
    private func priced(at price: Double) -> (policy: DiscretePolicy, cost: Int, score: Double) {
        let values = values(price: price)
        var (partition, spent, score) = (0, fixed, 0.0)
        var selected: [Int] = []
        for block in 0..<blocks {
            func worth(_ move: Move) -> Double {
                self.score(move, from: partition, at: block) - price * Double(cost(move, from: partition, at: block))
                    + values[block + 1][move.next]
            }
            // Of equal ones the last: the one that selects.
            guard let move = moves(at: block, from: partition).max(by: { worth($0) <= worth($1) }) else { break }
            spent += cost(move, from: partition, at: block)
            score += self.score(move, from: partition, at: block)
            selected.append(move.selected)
            partition = move.next
        }
        return (policy(selected), spent, score)
    }

    private func policy(_ selected: [Int]) -> DiscretePolicy {
        DiscretePolicy(select: (0..<tasks).map { task in selected.map { $0 >> task & 1 == 1 } })
    }

    /// The most probable policy within the budget.
    ///
    /// - Parameters:
    ///   - price: any is right; a good one leaves little to look at.
    ///   - known: log-probability of some policy within the budget.
    private func search(price: Double, atLeast known: Double) -> (policy: DiscretePolicy, cost: Int)? {
        let values = values(price: price)
        // A sum of many terms is not known better than that.
        let tolerance = 1e-9 * (1 + abs(known))
        // What remains to be paid at least, by a group.
        var rest = Array(repeating: (projections: 0, forced: 0), count: blocks + 1)
        for block in (0..<blocks).reversed() {
            rest[block] = (
                rest[block + 1].projections + charges[block].projection,
                rest[block + 1].forced + (block < open ? forced(block) : 0)
            )
        }
        var labels: [[[Label]]] = [groups.map { _ in [] }]
        labels[0][0] = [Label(cost: fixed, score: 0, parent: (0, 0), selected: 0)]
        for block in 0..<blocks {
            var next: [[Label]] = groups.map { _ in [] }
            for partition in groups.indices {
                for (index, label) in labels[block][partition].enumerated() {
                    for move in moves(at: block, from: partition) {
                        let cost = label.cost + cost(move, from: partition, at: block)
                        let score = label.score + self.score(move, from: partition, at: block)
                        let least = cost + groups[move.next] * rest[block + 1].projections + rest[block + 1].forced
                        guard least <= budget,
                            score + values[block + 1][move.next] + price * Double(budget - cost) >= known - tolerance
                        else { continue }
                        next[move.next].append(
                            Label(cost: cost, score: score, parent: (partition, index), selected: move.selected))
                    }
                }
            }
            labels.append(next.map(undominated))
        }
        var best: (partition: Int, index: Int)?
        for partition in groups.indices {
            guard let last = labels[blocks][partition].indices.last else { continue }
            let label = labels[blocks][partition][last]
            if let known = best.map({ labels[blocks][$0.partition][$0.index] }),
                (known.score, -known.cost) >= (label.score, -label.cost)
            {
                continue
            }
            best = (partition, last)
        }
        guard var place = best else { return nil }
        let cost = labels[blocks][place.partition][place.index].cost
        var selected: [Int] = []
        for block in (1...blocks).reversed() {
            let label = labels[block][place.partition][place.index]
            selected.append(label.selected)
            place = label.parent
        }
        return (policy(selected.reversed()), cost)
    }

    /// Labels by rising cost and rising probability: none that another one is as cheap and as probable as.
    private func undominated(_ labels: [Label]) -> [Label] {
        var kept: [Label] = []
        for label in labels.sorted(by: { ($0.cost, -$0.score) < ($1.cost, -$1.score) })
        where label.score > kept.last?.score ?? -.infinity {
            kept.append(label)
        }
        guard kept.count > Self.mostLabels else { return kept }
        // The last of each part is its most probable one.
        func part(_ label: Label) -> Int { label.cost / (budget / Self.mostLabels + 1) }
        return kept.indices.filter { $0 + 1 == kept.count || part(kept[$0]) != part(kept[$0 + 1]) }.map { kept[$0] }
    }
}

/// log α of selecting or log(1 − α) of skipping; finite for what cannot be, so that sums can be compared.
private func logProbability(of isSelected: Bool, alpha: Double) -> Double {
    log(max(isSelected ? alpha : 1 - alpha, .leastNormalMagnitude))
}

extension DiscretePolicy {
    /// The log-probability of the policy under independent decisions.
    ///
    /// - Parameter probabilities: α, [task][block].
    public func logProbability(under probabilities: [[Double]]) -> Double {
        zip(select, probabilities).reduce(0) { sum, rows in
            sum + zip(rows.0, rows.1).reduce(0) { $0 + AdaShareModels.logProbability(of: $1.0, alpha: $1.1) }
        }
    }
}
