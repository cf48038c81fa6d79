import AdaShareOperators
import AdaShareSupport

/// Replaces operators that stand for others, node by node.
final class KernelLowering: Lowering {
    let family: KernelFamily
    let choices: AlgorithmChoices
    private(set) var lowered: LoweredNodes
    /// Values of parameters, where no node changes one.
    private let constants: Set<Int>
    /// Positions of preparations among the nodes.
    private var preparations: [Int] = []
    private var index = HashIndex(capacity: 1 << 8)
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
        let isRecomputed = current?.isRecomputation ?? false
        let hash = Graph.Node.hash(inputs, isRecomputed: isRecomputed)
        let known = index.position(hash: hash) {
            lowered.has(operation, inputs, isRecomputed: isRecomputed, at: preparations[$0])
        }
        if let known { return lowered.nodes[preparations[known]].outputs }
        let outputs = operation.outputShapes(inputs.map(\.shape)).map { lowered.value($0) }
        preparations.append(lowered.nodes.count)
        index.append(hash: hash)
        lowered.add(Graph.Node(operation, inputs: inputs, outputs: outputs, label: current?.label ?? ""))
        return outputs
    }
}

/// Nodes of a graph that is being lowered, and their values. A structure of its own, so that adding a node is one
/// access to it.
struct LoweredNodes {
    private(set) var nodes: [Graph.Node] = []
    /// By value id; nil for what no node computes.
    private(set) var sources: [Graph.Source?]
    /// By value id, the last node that changed it in place; −1 for none.
    private var lastChange: [Int]
    /// What each node reads, computes and changes in place.
    private(set) var (read, computed, changed) = (ValueLists(), ValueLists(), ValueLists())

    init(externals: [Graph.External], valueCount: Int) {
        sources = [Graph.Source?](repeating: nil, count: valueCount)
        lastChange = [Int](repeating: -1, count: valueCount)
        nodes.reserveCapacity(1 << 11)
        for index in externals.indices { sources[externals[index].value.id] = .external(index) }
    }

    /// A value that the traced graph does not have.
    mutating func value(_ shape: Shape) -> Value {
        sources.append(nil)
        lastChange.append(-1)
        return Value(id: sources.count - 1, shape: shape)
    }

    /// Whether a node computes what an operator would make of values as they are now.
    func has(_ operation: any Operator, _ inputs: [Value], isRecomputed: Bool, at position: Int) -> Bool {
        nodes[position].applies(operation, to: inputs, isRecomputed: isRecomputed)
            && inputs.allSatisfy { lastChange[$0.id] < position }
    }

    mutating func add(_ node: Graph.Node) {
        for value in node.outputs { sources[value.id] = .node(nodes.count) }
        for position in node.mutated { lastChange[node.inputs[position].id] = nodes.count }
        read.append(node.inputs)
        computed.append(node.outputs)
        changed.append(node.mutated, of: node.inputs)
        nodes.append(node)
    }
}
