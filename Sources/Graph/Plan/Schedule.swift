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
        let hoisted = Self.hoistable(graph)
        self.hoisted = hoisted
        var isHoisted = [Bool](repeating: false, count: graph.nodes.count)
        for index in hoisted { isHoisted[index] = true }

        // position = the node after which this one runs; eager nodes sort behind the compute node they follow.
        var position = [Int](repeating: -1, count: graph.nodes.count)
        var hazards = Hazards(graph)
        for (index, node) in graph.nodes.enumerated() {
            var ready = node.inputs.reduce(-1) { latest, value in
                guard case .node(let producer)? = graph.source(of: value), !isHoisted[producer] else {
                    return latest
                }
                return max(latest, position[producer])
            }
            let order = hazards.predecessors(of: node, index: index)
            ready = order.reduce(ready) { isHoisted[$1] ? $0 : max($0, position[$1]) }
            position[index] = node.isEager ? ready : index
        }
        // Eager nodes by the node they follow; those that wait for nothing come first.
        var followers = [[Int]](repeating: [], count: graph.nodes.count + 1)
        for (index, node) in graph.nodes.enumerated() where node.isEager && !isHoisted[index] {
            followers[position[index] + 1].append(index)
        }
        var order = followers[0]
        order.reserveCapacity(graph.nodes.count)
        for (index, node) in graph.nodes.enumerated() {
            if !isHoisted[index] && !node.isEager { order.append(index) }
            order += followers[index + 1]
        }
        self.order = order
    }

    /// By value id, what is read in every step, or kept behind it.
    func reads(_ graph: LoweredGraph) -> [Bool] {
        var isRead = [Bool](repeating: false, count: graph.valueCount)
        for index in order {
            for value in graph.nodes[index].inputs { isRead[value.id] = true }
        }
        for output in graph.outputs { isRead[output.value.id] = true }
        return isRead
    }

    private static func hoistable(_ graph: LoweredGraph) -> [Int] {
        var changed = [Bool](repeating: false, count: graph.valueCount)
        for node in graph.nodes {
            for position in node.mutated { changed[node.inputs[position].id] = true }
        }
        return graph.nodes.indices.filter { index in
            let node = graph.nodes[index]
            let isConstant = node.inputs.allSatisfy { value in
                guard case .external(let external)? = graph.source(of: value) else { return false }
                return graph.externals[external].role == .parameter && !changed[value.id]
            }
            guard isConstant, !node.isUpdate, !node.inputs.isEmpty else { return false }
            return node.operation.workspaceByteCount(
                inputs: node.inputShapes, outputs: node.outputShapes, family: graph.family) == 0
        }
    }

    /// Read-after-write, write-after-read and write-after-write order on values changed in place.
    private struct Hazards {
        /// By value id: the node that changed it last, and who has read it since.
        private var lastWriter: [Int?]
        private var readers: [[Int]]
        /// Values that some node changes; the others have no hazards.
        private var changing: [Bool]

        init(_ graph: LoweredGraph) {
            lastWriter = Array(repeating: nil, count: graph.valueCount)
            readers = Array(repeating: [], count: graph.valueCount)
            changing = Array(repeating: false, count: graph.valueCount)
            for node in graph.nodes {
                for position in node.mutated { changing[node.inputs[position].id] = true }
            }
        }

        mutating func predecessors(of node: Graph.Node, index: Int) -> [Int] {
            var found: [Int] = []
            for position in node.mutated {
                let id = node.inputs[position].id
                if let writer = lastWriter[id] { found.append(writer) }
                found += readers[id]
                readers[id] = []
                lastWriter[id] = index
            }
            for value in node.inputs where changing[value.id] && lastWriter[value.id] != index {
                if let writer = lastWriter[value.id] { found.append(writer) }
                readers[value.id].append(index)
            }
            return found
        }
    }
}
