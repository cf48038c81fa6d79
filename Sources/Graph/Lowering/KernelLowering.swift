import AdaShareOperators

/// Replaces operators that stand for others, node by node.
final class KernelLowering: Lowering {
    let family: KernelFamily
    let choices: AlgorithmChoices
    private(set) var nodes: [Graph.Node] = []
    /// By value id.
    private(set) var sources: [Graph.Source?]
    /// By value id, how often it has been changed in place by the nodes so far.
    private var mutations: [Int]
    /// Values of parameters, where no node changes one.
    private let constants: Set<Int>
    private var preparations: [Graph.NodeKey: [Value]] = [:]
    private var algorithms: [ConvolutionProblem: ConvolutionAlgorithm] = [:]
    /// The node whose operator is being replaced.
    private var current: Graph.Node?

    /// - Parameter infers: whether no node changes a parameter.
    init(
        _ family: KernelFamily, _ choices: AlgorithmChoices, externals: [Graph.External], valueCount: Int, infers: Bool
    ) {
        (self.family, self.choices) = (family, choices)
        sources = [Graph.Source?](repeating: nil, count: valueCount)
        mutations = [Int](repeating: 0, count: valueCount)
        constants = infers ? Set(externals.filter { $0.role == .parameter }.map(\.value.id)) : []
        nodes.reserveCapacity(1 << 11)
        for index in externals.indices { sources[externals[index].value.id] = .external(index) }
    }

    /// Appends a node of the traced graph and what it needs before.
    func append(_ node: Graph.Node) {
        guard let operation = node.operation.lowerable else { return add(node) }
        current = node
        let lowered = operation.lowered(node.inputs, node.outputs, in: self)
        current = nil
        add(Graph.Node(lowered.operation, inputs: lowered.inputs, outputs: node.outputs, label: node.label))
    }

    func isConstant(_ value: Value) -> Bool { constants.contains(value.id) }

    func algorithm(for problem: ConvolutionProblem) -> ConvolutionAlgorithm {
        if let known = algorithms[problem] { return known }
        let chosen = choices.algorithm(for: problem, family: family)
        algorithms[problem] = chosen
        return chosen
    }

    func prepare(_ operation: any Operator, _ inputs: [Value]) -> [Value] {
        // What is computed again is not kept in between: neither are its preparations.
        let key = Graph.NodeKey(
            operation, inputs, mutations: mutations, isRecomputed: current?.isRecomputation ?? false)
        if let known = preparations[key] { return known }
        let outputs = operation.outputShapes(inputs.map(\.shape)).map { shape in
            sources.append(nil)
            mutations.append(0)
            return Value(id: sources.count - 1, shape: shape)
        }
        add(Graph.Node(operation, inputs: inputs, outputs: outputs, label: current?.label ?? ""))
        preparations[key] = outputs
        return outputs
    }

    private func add(_ node: Graph.Node) {
        for value in node.outputs { sources[value.id] = .node(nodes.count) }
        for position in node.mutated { mutations[node.inputs[position].id] += 1 }
        nodes.append(node)
    }
}
