import AdaShareDatasets
import AdaShareModels
import AdaShareSupport

extension DiscretePolicy {
    /// As many selected decisions as `density` says, up to rounding, drawn at random; those of one seed are nested:
    /// what a sparser policy selects, a denser one selects too.
    ///
    /// - Precondition: `density` is within 0...1.
    package static func nested(density: Double, tasks: Int, blocks: Int, seed: UInt64) -> DiscretePolicy {
        precondition((0...1).contains(density), "density \(density) outside 0...1")
        let count = Int((density * Double(tasks * blocks)).rounded())
        let order = randomOrder(tasks: tasks, blocks: blocks, seed: seed)
        return selecting(order.prefix(count), tasks: tasks, blocks: blocks)
    }

    /// These decisions select, all others skip.
    static func selecting(
        _ decisions: some Sequence<(task: Int, block: Int)>, tasks: Int, blocks: Int
    ) -> DiscretePolicy {
        var select = [[Bool]](repeating: [Bool](repeating: false, count: blocks), count: tasks)
        for (task, block) in decisions { select[task][block] = true }
        return DiscretePolicy(select: select)
    }

    /// Every decision once, in an order drawn at random.
    static func randomOrder(tasks: Int, blocks: Int, seed: UInt64) -> [(task: Int, block: Int)] {
        var random = CounterRandom(state: seed)
        let draws = (0..<(tasks * blocks)).map { _ in random.uniform() }
        return draws.indices.sorted { (draws[$0], $0) < (draws[$1], $1) }.map { ($0 / blocks, $0 % blocks) }
    }

    /// Policies on which all tasks agree, from 90 % of the blocks to none in steps of a tenth, each only once where
    /// there are fewer blocks than steps; nested, at random.
    package static func alike(tasks: Int, blocks: Int, seed: UInt64) -> [DiscretePolicy] {
        (0...9).reversed().reduce(into: []) { policies, tenths in
            let one = nested(density: Double(tenths) / 10, tasks: 1, blocks: blocks, seed: seed)
            let policy = DiscretePolicy(select: Array(repeating: one.select[0], count: tasks))
            if policies.last != policy { policies.append(policy) }
        }
    }
}
