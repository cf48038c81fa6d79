import AdaShareOperators

/// The order in which a graph's nodes run.
///
/// That is the recorded order, except that an update or an eager operator moves up to just after the last node it must
/// wait for: the readers of what it changes, and what it reads. So gradients die early.
struct Schedule {
    /// Node indices in execution order.
    let order: [Int]
    /// Nodes that read only parameters nobody changes here: they run once per parameter version, not per step.
    /// Nodes with a workspace stay in the step, because that lies in the arena.
    let hoisted: [Int]

    init(_ graph: LoweredGraph) {
        let changes = graph.changes
        hoisted = Self.hoistable(graph, changes)
        let count = graph.nodes.count
        var isHoisted = [Bool](repeating: false, count: count)
        for index in hoisted { isHoisted[index] = true }

        // position = the node after which this one runs; eager nodes sort behind the compute node they follow.
        var position = [Int](repeating: -1, count: count)
        // By value id, of those that some node changes: the position of that node, and of the last reader since.
        var written = [Int](repeating: -1, count: graph.valueCount)
        var read = written
        let isEager = graph.nodes.map(\.isEager)
        for index in 0..<count {
            var ready = -1
            graph.read.forEach(of: index) { id in
                if case .node(let producer)? = graph.sources[id], !isHoisted[producer] {
                    ready = max(ready, position[producer])
                } else if changes[id] {
                    ready = max(ready, written[id])
                }
            }
            graph.changed.forEach(of: index) { ready = max(ready, read[$0]) }
            let own = isEager[index] ? ready : index
            position[index] = own
            graph.read.forEach(of: index) { if changes[$0] { read[$0] = max(read[$0], own) } }
            graph.changed.forEach(of: index) { (written[$0], read[$0]) = (own, -1) }
        }
        order = Self.order(position, isEager, isHoisted)
    }

    /// Nodes one after another, each followed by the eager ones that have waited for it, in recorded order; those that
    /// wait for nothing come first.
    private static func order(_ position: [Int], _ isEager: [Bool], _ isHoisted: [Bool]) -> [Int] {
        // By the node they follow, and 0 for none: the first of a list.
        var first = [Int](repeating: -1, count: position.count + 1)
        var next = first
        for index in position.indices.reversed() where isEager[index] && !isHoisted[index] {
            next[index] = first[position[index] + 1]
            first[position[index] + 1] = index
        }
        var order: [Int] = []
        order.reserveCapacity(position.count)
        for index in -1..<position.count {
            if index >= 0, !isHoisted[index], !isEager[index] { order.append(index) }
            var follower = first[index + 1]
            while follower >= 0 {
                order.append(follower)
                follower = next[follower]
            }
        }
        return order
    }

    /// By value id, what is read in every step, or kept behind it.
    func reads(_ graph: LoweredGraph) -> [Bool] {
        var isRead = [Bool](repeating: false, count: graph.valueCount)
        for index in order {
            graph.read.forEach(of: index) { isRead[$0] = true }
        }
        for output in graph.outputs { isRead[output.value.id] = true }
        return isRead
    }

    private static func hoistable(_ graph: LoweredGraph, _ changes: [Bool]) -> [Int] {
        let isConstant = graph.sources.indices.map { id in
            guard case .external(let external)? = graph.sources[id] else { return false }
            return graph.externals[external].role == .parameter && !changes[id]
        }
        // What an exchange changes has to be computed in every step.
        var isExchanged = [Bool](repeating: false, count: graph.valueCount)
        for index in graph.nodes.indices where graph.nodes[index].operation is ExchangeStart {
            graph.read.forEach(of: index) { isExchanged[$0] = true }
        }
        return graph.nodes.indices.filter { index in
            guard !graph.nodes[index].outputs.contains(where: { isExchanged[$0.id] }) else { return false }
            let read = graph.read[index]
            guard !read.isEmpty, read.allSatisfy({ isConstant[graph.read.ids[$0]] }) else { return false }
            let node = graph.nodes[index]
            return !node.isUpdate
                && node.operation.workspaceByteCount(
                    inputs: node.inputShapes, outputs: node.outputShapes, family: graph.family) == 0
        }
    }
}
