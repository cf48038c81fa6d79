import AdaShareOperators

/// Replaces operators that stand for others, node by node.
final class KernelLowering: Lowering {
    let family: KernelFamily
    let choices: AlgorithmChoices
    private(set) var lowered: LoweredNodes
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
        constants = infers ? Set(externals.filter { $0.role == .parameter }.map(\.value.id)) : []
        lowered = LoweredNodes(externals: externals, valueCount: valueCount)
    }

    /// Appends a node of the traced graph and what it needs before.
    func append(_ node: Graph.Node) {
        guard let operation = node.operation.lowerable else { return lowered.add(node) }
        current = node
        let application = operation.lowered(node.inputs, node.outputs, in: self)
        current = nil
        lowered.add(
            Graph.Node(application.operation, inputs: application.inputs, outputs: node.outputs, label: node.label))
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
            operation, inputs, mutations: lowered.mutations, isRecomputed: current?.isRecomputation ?? false)
        if let known = preparations[key] { return known }
        let outputs = operation.outputShapes(inputs.map(\.shape)).map { lowered.value($0) }
        lowered.add(Graph.Node(operation, inputs: inputs, outputs: outputs, label: current?.label ?? ""))
        preparations[key] = outputs
        return outputs
    }
}

/// Nodes of a graph that is being lowered, and their values. A structure of its own, so that adding a node is one
/// access to it.
struct LoweredNodes {
    private(set) var nodes: [Graph.Node] = []
    /// By value id; nil for what no node computes.
    private(set) var sources: [Graph.Source?]
    /// By value id, how often it has been changed in place by the nodes so far.
    private(set) var mutations: [Int]
    /// What each node reads, computes and changes in place.
    private(set) var (read, computed, changed) = (ValueLists(), ValueLists(), ValueLists())

    init(externals: [Graph.External], valueCount: Int) {
        sources = [Graph.Source?](repeating: nil, count: valueCount)
        mutations = [Int](repeating: 0, count: valueCount)
        nodes.reserveCapacity(1 << 11)
        for index in externals.indices { sources[externals[index].value.id] = .external(index) }
    }

    /// A value that the traced graph does not have.
    mutating func value(_ shape: Shape) -> Value {
        sources.append(nil)
        mutations.append(0)
        return Value(id: sources.count - 1, shape: shape)
    }

    mutating func add(_ node: Graph.Node) {
        for value in node.outputs { sources[value.id] = .node(nodes.count) }
        for position in node.mutated { mutations[node.inputs[position].id] += 1 }
        read.append(node.inputs)
        computed.append(node.outputs)
        changed.append(node.mutated, of: node.inputs)
        nodes.append(node)
    }
}
