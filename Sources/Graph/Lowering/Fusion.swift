import AdaShareOperators

/// What a convolution computes in the same launch: batch norm from running statistics behind it, and a sum that it is
/// the last to contribute to.
///
/// A convolution is fused only where nothing else reads its result. Its epilogue is float32 throughout, so that with
/// narrow activations one rounding less is made.
struct Fusion {
    private var nodes: [Graph.Node?]
    /// By value id: the node that computes it, how many inputs and outputs it is.
    private var producers: [Int?]
    private var readers: [Int]
    /// By position, updates before that node: what is between two of them sees the same parameters.
    private var updates: [Int] = []

    /// - Parameter nodes: the live ones of the graph.
    init(_ nodes: [Graph.Node], of graph: Graph) {
        // A conversion of the array would cast every node by itself.
        self.nodes = nodes.map(Optional.some)
        producers = [Int?](repeating: nil, count: graph.valueCount)
        readers = [Int](repeating: 0, count: graph.valueCount)
        updates.reserveCapacity(nodes.count)
        var count = 0
        for (position, node) in nodes.enumerated() {
            for input in node.inputs { readers[input.id] += 1 }
            for output in node.outputs { producers[output.id] = position }
            updates.append(count)
            if node.isUpdate { count += 1 }
        }
        for output in graph.outputs { readers[output.value.id] += 1 }
    }

    /// Whether there may be something to fuse: mostly there is not, and to look closer takes longer.
    static func isWorthIt(_ nodes: [Graph.Node], of graph: Graph) -> Bool {
        nodes.contains { node in
            let type = type(of: node.operation)
            guard type == Sum.self else { return type == BatchNormInference.self }
            guard case .node(let index) = graph.source(of: node.inputs[1]) else { return false }
            return Swift.type(of: graph.nodes[index].operation) == Convolution.self
        }
    }

    /// The nodes that remain, in order.
    mutating func fused() -> [Graph.Node] {
        for position in nodes.indices {
            guard let node = nodes[position] else { continue }
            let type = type(of: node.operation)
            if type == BatchNormInference.self {
                fuseBatchNorm(node, at: position)
            } else if type == Sum.self {
                fuseSum(node, at: position)
            }
        }
        return nodes.compactMap { $0 }
    }

    /// The convolution that computes a value which only one node reads.
    private func convolution(_ value: Value) -> (position: Int, node: Graph.Node, operation: Convolution)? {
        guard readers[value.id] == 1, let position = producers[value.id], let node = nodes[position],
            let operation = node.operation as? Convolution
        else { return nil }
        return (position, node, operation)
    }

    /// The convolution moves to where the normalisation was: the residual is there by then.
    private mutating func fuseBatchNorm(_ node: Graph.Node, at position: Int) {
        guard let operation = node.operation as? BatchNormInference, let found = convolution(node.inputs[0]),
            updates[found.position] == updates[position],
            let both = ConvolutionBatchNorm(found.operation, operation)
        else { return }
        nodes[found.position] = nil
        nodes[position] = Graph.Node(
            both, inputs: found.node.inputs + node.inputs.dropFirst(), outputs: node.outputs, label: found.node.label)
    }

    /// Each term behind the first is a convolution which adds what the terms before it came to.
    private mutating func fuseSum(_ node: Graph.Node, at position: Int) {
        var added: [(position: Int, node: Graph.Node)] = []
        var sum = node.inputs[0]
        for (number, term) in node.inputs.enumerated().dropFirst() {
            guard let found = convolution(term), let operation = found.operation.addingResidual,
                // What is added has to be there.
                producers[sum.id].map({ $0 < found.position }) ?? true
            else { return }
            let output = number == node.inputs.count - 1 ? node.outputs[0] : term
            added.append(
                (
                    found.position,
                    Graph.Node(operation, inputs: found.node.inputs + [sum], outputs: [output], label: found.node.label)
                ))
            sum = term
        }
        for (place, convolution) in added { nodes[place] = convolution }
        producers[node.outputs[0].id] = added.last?.position
        nodes[position] = nil
    }
}
