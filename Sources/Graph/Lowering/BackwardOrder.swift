import AdaShareOperators

/// An order of a graph's nodes in which every backward node comes as early as what it waits for allows.
///
/// Recorded, the forward passes of all tasks come before the first gradient, and what each of them keeps waits for the
/// last. Here a task's backward pass follows its loss as far as it is the task's own: what its head has kept is freed
/// before the next task's head is computed, and gradients of weights wait instead, since nothing is updated before all
/// losses are known. What is computed again, or of parameters alone, stays just before what reads it.
struct BackwardOrder {
    private let graph: LoweredGraph
    /// By node, the last recorded forward node that has to run before it, which for a forward node is itself; −1 where
    /// none has to.
    private var position: [Int]

    init(_ graph: LoweredGraph) {
        self.graph = graph
        position = [Int](repeating: 0, count: graph.nodes.count)
        // By value, the position of the node that computed or changed it last, and of the last reader since.
        var written = [Int](repeating: -1, count: graph.valueCount)
        var read = written
        for (index, node) in graph.nodes.enumerated() {
            var own = node.isBackward || node.isRecomputation ? -1 : index
            graph.read.forEach(of: index) { own = max(own, written[$0]) }
            graph.changed.forEach(of: index) { own = max(own, read[$0]) }
            graph.read.forEach(of: index) { read[$0] = max(read[$0], own) }
            graph.changed.forEach(of: index) { (written[$0], read[$0]) = (own, -1) }
            graph.computed.forEach(of: index) { written[$0] = own }
            position[index] = own
        }
        postpone()
    }

    /// Gives what is computed again, and what waits for nothing, the position of its first reader, or of the node that
    /// changes what it reads.
    private mutating func postpone() {
        // By value, the least positions of those recorded later.
        var needed = [Int](repeating: Int.max, count: graph.valueCount)
        var changed = needed
        for (index, node) in graph.nodes.enumerated().reversed() {
            if (node.isRecomputation || position[index] < 0) && !node.isUpdate {
                var latest = Int.max
                graph.computed.forEach(of: index) { latest = min(latest, needed[$0]) }
                if latest < Int.max {
                    graph.read.forEach(of: index) { latest = min(latest, changed[$0]) }
                    position[index] = max(position[index], latest)
                }
            }
            graph.read.forEach(of: index) { needed[$0] = min(needed[$0], position[index]) }
            graph.changed.forEach(of: index) { changed[$0] = min(changed[$0], position[index]) }
        }
    }

    /// Node indices; no node comes before one that computes or changes what it reads, and those that change something
    /// come after the nodes that were recorded to read it unchanged.
    var order: [Int] { position.indices.sorted { (position[$0], $0) < (position[$1], $1) } }
}

extension LoweredGraph {
    /// The same results with less memory, where gradients are computed: as early as they can be, if that takes a
    /// hundredth less. It does where activations are larger than the gradients of weights.
    ///
    /// Where processes exchange values the recorded order stays: all of them have to exchange in one order.
    func withEarlyGradients() -> LoweredGraph {
        guard nodes.contains(where: \.isBackward), !nodes.contains(where: { $0.operation is ExchangeStart }) else {
            return self
        }
        let order = BackwardOrder(self).order
        guard order.indices.contains(where: { order[$0] != $0 }) else { return self }
        let early = LoweredGraph(self, order: order)
        let recorded = peakBytes
        return early.peakBytes < recorded - recorded / 100 ? early : self
    }

    /// The most bytes of computed values that are needed at once, workspaces excepted.
    var peakBytes: Int {
        let schedule = Schedule(self)
        let last = MemoryPlan.lastUses(self, schedule)
        var (live, peak) = (0, 0)
        var size = [Int](repeating: 0, count: valueCount)
        for (position, index) in schedule.order.enumerated() {
            var (ending, reused) = (0, 0)
            read.forEach(of: index) { id in
                guard last[id] == position else { return }
                ending += size[id]
                // A value that is read twice ends once.
                size[id] = 0
            }
            let node = nodes[index]
            for (number, value) in node.outputs.enumerated() {
                size[value.id] = value.shape.byteCount
                live += size[value.id]
                if let own = node.operation.inPlaceInputs(output: number).first, last[node.inputs[own].id] == position {
                    reused = min(ending, max(reused, size[value.id]))
                }
            }
            peak = max(peak, live - reused)
            live -= ending
            for value in node.outputs where last[value.id] < 0 { live -= size[value.id] }
        }
        return peak
    }
}
