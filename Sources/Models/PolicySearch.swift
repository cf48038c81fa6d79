import Foundation
import Operators

/// The most probable of all policies that cost at most so much, found exactly.
///
/// Under independent decisions a policy's probability is the product of α of what is selected and 1 − α of what is
/// skipped. What a block costs depends on who shares it: tasks that have decided alike below it have the same input and
/// compute it once. So the state between two blocks is the partition of the tasks into groups with an equal past (5 for
/// three tasks, 52 for five), and at each block every group may split into those that select and those that skip.
///
/// Among partial policies of one partition, only those stay that none both cheaper and more probable makes useless, and
/// only while a Lagrangian bound (budget priced in log-probability) leaves them a chance to beat the best policy known:
/// a few hundred in all, where there would be 2^(tasks · blocks) policies.
struct PolicySearch {
    /// What is charged, in whole units of any kind, so that sums are exact.
    struct Charges {
        /// Of each block's branch, paid by every group in which a task selects it.
        var branches: [Int]
        /// Of each block's projection, paid by every group; 0 without one.
        var projections: [Int]
        /// What is paid in any case.
        var fixed: Int
    }

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
    private let charges: Charges
    private let budget: Int
    /// log-probability of a block's decisions, [block][tasks that select].
    private let scores: [[Double]]
    /// The first block with a choice.
    private let open: Int
    /// Each with the number of groups, the first one that of all tasks in one group; what follows it, by block with and
    /// without a choice.
    private let groups: [Int]
    private let moves: [[Move]]

    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - open: the first block with a choice; those before it are selected by every task.
    /// - Precondition: at least one task, at most `CostModel.mostTasksSharing`.
    init(_ probabilities: [[Double]], charges: Charges, budget: Int, open: Int) {
        tasks = probabilities.count
        self.charges = charges
        self.budget = budget
        self.open = open
        let all = 1 << probabilities.count
        scores = charges.branches.indices.map { block in
            (0..<all).map { selected in
                probabilities.indices.reduce(0) { sum, task in
                    sum + logProbability(of: selected >> task & 1 == 1, alpha: probabilities[task][block])
                }
            }
        }
        (groups, moves) = Self.partitions(tasks: probabilities.count)
    }

    /// All partitions that can be reached, numbered as they are met.
    private static func partitions(tasks: Int) -> (groups: [Int], moves: [[Move]]) {
        // Each task's group, groups numbered as they first appear.
        var known: [[Int]: Int] = [Array(repeating: 0, count: tasks): 0]
        var list = [Array(repeating: 0, count: tasks)]
        var moves: [[Move]] = []
        while moves.count < list.count {
            let partition = list[moves.count]
            moves.append(
                (0..<1 << tasks).map { selected in
                    var names: [Int: Int] = [:]
                    var payers = Set<Int>()
                    let next = partition.enumerated().map { task, group -> Int in
                        let bit = selected >> task & 1
                        if bit == 1 { payers.insert(group) }
                        let name = names[2 * group + bit] ?? names.count
                        names[2 * group + bit] = name
                        return name
                    }
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

    private var blocks: Int { charges.branches.count }

    private func moves(at block: Int, from partition: Int) -> ArraySlice<Move> {
        block < open ? moves[partition].suffix(1) : moves[partition][...]
    }

    private func cost(_ move: Move, from partition: Int, at block: Int) -> Int {
        groups[partition] * charges.projections[block] + move.payers * charges.branches[block]
    }

    func best() -> Found {
        let free = priced(at: 0)
        if free.cost <= budget { return Found(policy: free.policy, cost: free.cost, isWithin: true) }
        // Skipping is cheapest: one group throughout, so that no projection is paid twice.
        let cheapest = DiscretePolicy(
            select: Array(repeating: (0..<blocks).map { $0 < open }, count: tasks))
        let least = charges.fixed + charges.projections.reduce(0, +) + charges.branches.prefix(open).reduce(0, +)
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
                    scores[block][$0.selected] - price * Double(cost($0, from: partition, at: block))
                        + values[block + 1][$0.next]
                }.max() ?? 0
            }
        }
        return values
    }

    /// The best policy where cost has a price.
    private func priced(at price: Double) -> (policy: DiscretePolicy, cost: Int, score: Double) {
        let values = values(price: price)
        var (partition, spent, score) = (0, charges.fixed, 0.0)
        var selected: [Int] = []
        for block in 0..<blocks {
            func worth(_ move: Move) -> Double {
                scores[block][move.selected] - price * Double(cost(move, from: partition, at: block))
                    + values[block + 1][move.next]
            }
            // Of equal ones the last: the one that selects.
            guard let move = moves(at: block, from: partition).max(by: { worth($0) <= worth($1) }) else { break }
            spent += cost(move, from: partition, at: block)
            score += scores[block][move.selected]
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
                rest[block + 1].projections + charges.projections[block],
                rest[block + 1].forced + (block < open ? charges.branches[block] : 0)
            )
        }
        var labels: [[[Label]]] = [groups.map { _ in [] }]
        labels[0][0] = [Label(cost: charges.fixed, score: 0, parent: (0, 0), selected: 0)]
        for block in 0..<blocks {
            var next: [[Label]] = groups.map { _ in [] }
            for partition in groups.indices {
                for (index, label) in labels[block][partition].enumerated() {
                    for move in moves(at: block, from: partition) {
                        let cost = label.cost + cost(move, from: partition, at: block)
                        let score = label.score + scores[block][move.selected]
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
            sum + zip(rows.0, rows.1).reduce(0) { $0 + Models.logProbability(of: $1.0, alpha: $1.1) }
        }
    }
}

extension CostModel {
    /// More tasks than that have too many partitions to be searched for policies that share work.
    public static let mostTasksSharing = 6

    /// A policy with its cost.
    public struct ChosenPolicy: Sendable, Hashable {
        public let policy: DiscretePolicy
        /// MACs of the backbone, in the form asked for.
        public let macs: Int
        /// Whether that is within the budget; otherwise no policy is, and this is the cheapest one.
        public let isWithinBudget: Bool
    }

    /// MACs of the backbone under a policy.
    ///
    /// - Precondition: the policy fits the architecture (`DiscretePolicy.validate(for:)`).
    public func macs(_ policy: DiscretePolicy, form: CostForm) -> Int {
        form == .shared ? macsShared(policy) : macsSelected(policy)
    }

    /// MACs of the backbone where every task selects every block: for all tasks in one pass, or in one pass for each.
    public func macsOfHardSharing(_ form: CostForm) -> Int {
        macs(.hardSharing(tasks: architecture.tasks.count, blocks: blocks.count), form: form)
    }

    /// The backbone's cost as a share of hard sharing's.
    ///
    /// - Precondition: the policy fits the architecture.
    public func shareOfHardSharing(_ policy: DiscretePolicy, form: CostForm) -> Double {
        Double(macs(policy, form: form)) / Double(macsOfHardSharing(form))
    }

    /// What remains for the blocks of a budget for the whole backbone, as a share of all blocks: stem and projections
    /// run in any case. Below 0 where they exceed it alone.
    ///
    /// - Parameter budget: share of hard sharing's cost.
    public func blockBudget(_ budget: Double, form: CostForm) -> Double { 1 - (1 - budget) / blockPart(form) }

    /// The reverse of `blockBudget`: the backbone's share where the blocks have a share and nothing else is saved.
    public func backboneShare(ofBlocks share: Double, form: CostForm) -> Double { 1 - (1 - share) * blockPart(form) }

    /// The blocks' part of hard sharing's cost.
    private func blockPart(_ form: CostForm) -> Double {
        // Stem, projections and blocks are run equally often.
        let branches = blocks.reduce(0) { $0 + $1.macs }
        return Double(branches) / Double(stemMacs + blocks.reduce(branches) { $0 + $1.projectionMacs })
    }

    /// The most probable policy under independent decisions whose backbone costs at most a number of MACs; of equally
    /// probable ones one of the cheapest.
    ///
    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - macs: the budget.
    ///   - form: `.shared` counts common work once, `.passes` counts a pass per task.
    ///   - open: the first block with a choice; those before it are selected.
    /// - Precondition: one row per task with one number per block; at most `mostTasksSharing` tasks where work is
    /// shared.
    public func mostProbablePolicy(
        _ probabilities: [[Double]], within macs: Int, form: CostForm, open: Int = 0
    ) -> ChosenPolicy {
        precondition(probabilities.count == architecture.tasks.count, "one row per task")
        precondition(probabilities.allSatisfy { $0.count == blocks.count }, "one probability per block")
        // Nothing is shared by tasks with images of their own.
        guard form == .shared, !architecture.classification else {
            return mostProbablePasses(probabilities, within: macs, open: open)
        }
        precondition(probabilities.count <= Self.mostTasksSharing, "\(probabilities.count) tasks")
        let charges = PolicySearch.Charges(
            branches: blocks.map(\.macs), projections: blocks.map(\.projectionMacs), fixed: stemMacs)
        let found = PolicySearch(probabilities, charges: charges, budget: macs, open: open).best()
        return ChosenPolicy(policy: found.policy, macs: found.cost, isWithinBudget: found.isWithin)
    }

    /// Where each task pays for itself, decisions of different tasks are those of one task about more blocks.
    private func mostProbablePasses(_ probabilities: [[Double]], within macs: Int, open: Int) -> ChosenPolicy {
        let tasks = probabilities.count
        // Blocks of all tasks side by side, so that those without a choice come first.
        let order = blocks.indices.flatMap { block in (0..<tasks).map { (task: $0, block: block) } }
        let charges = PolicySearch.Charges(
            branches: order.map { blocks[$0.block].macs }, projections: order.map { blocks[$0.block].projectionMacs },
            fixed: tasks * stemMacs)
        let row = order.map { probabilities[$0.task][$0.block] }
        let found = PolicySearch([row], charges: charges, budget: macs, open: open * tasks).best()
        let flat = found.policy.select[0]
        let policy = DiscretePolicy(
            select: (0..<tasks).map { task in blocks.indices.map { flat[$0 * tasks + task] } })
        return ChosenPolicy(policy: policy, macs: found.cost, isWithinBudget: found.isWithin)
    }
}
