import AdaShareOperators

/// What is needed of a graph, as one kernel family computes it: what schedule, memory plan and plan are made from.
public struct LoweredGraph {
    /// The kernels that will run.
    public let family: KernelFamily
    /// In an order in which they could run, preparations just before the first node that reads them; every one is
    /// needed.
    public let nodes: [Graph.Node]
    /// Values that live outside a plan.
    public let externals: [Graph.External]
    /// Values kept until a plan has ended, by name.
    public let outputs: [(name: String, value: Value)]
    /// By value id; nil for what nothing needs.
    let sources: [Graph.Source?]
    /// What each node reads, computes and changes in place.
    let read, computed, changed: ValueLists

    init(
        family: KernelFamily, _ lowered: LoweredNodes, externals: [Graph.External],
        outputs: [(name: String, value: Value)]
    ) {
        (self.family, self.externals, self.outputs) = (family, externals, outputs)
        (nodes, sources) = (lowered.nodes, lowered.sources)
        (read, computed, changed) = (lowered.read, lowered.computed, lowered.changed)
    }

    /// The same nodes in another order.
    ///
    /// - Parameter order: node indices, of which none comes before what it waits for.
    init(_ graph: LoweredGraph, order: [Int]) {
        var ordered = LoweredNodes(externals: graph.externals, valueCount: graph.valueCount)
        for index in order { ordered.add(graph.nodes[index]) }
        self.init(family: graph.family, ordered, externals: graph.externals, outputs: graph.outputs)
    }

    /// The same with other operators on the same values.
    init(_ graph: LoweredGraph, nodes: [Graph.Node]) {
        self.nodes = nodes
        (family, externals, outputs, sources) = (graph.family, graph.externals, graph.outputs, graph.sources)
        (read, computed, changed) = (graph.read, graph.computed, graph.changed)
    }

    var valueCount: Int { sources.count }
    /// Whether it leaves all parameters as they are.
    var infers: Bool { changed.ids.isEmpty }

    /// By value id, whether a node changes it.
    var changes: [Bool] {
        var changes = [Bool](repeating: false, count: valueCount)
        for id in changed.ids { changes[id] = true }
        return changes
    }

    func source(of value: Value) -> Graph.Source? { sources[value.id] }

    func externalName(_ value: Value) -> String {
        guard case .external(let index) = source(of: value) else { preconditionFailure("not an external value") }
        return externals[index].name
    }
}

extension Graph {
    /// Rewrites what is needed of the graph for one kernel family: drops what no output and no update needs, fuses what
    /// a convolution computes in the same launch, joins small updates, chooses algorithms, packs weights for them, and
    /// fits workspaces beside the activations, or gradients between the forward passes, where that takes less memory.
    ///
    /// - Precondition: activations are stored as the choices' arithmetic stores them.
    public func lowered(for family: KernelFamily, choices: AlgorithmChoices = AlgorithmChoices()) -> LoweredGraph {
        lowered(for: family, choices: choices, joining: MultiTensor.mostElements)
    }

    /// - Parameter elements: of the largest tensors whose updates are joined.
    func lowered(for family: KernelFamily, choices: AlgorithmChoices, joining elements: Int) -> LoweredGraph {
        var live = liveNodes()
        if Fusion.isWorthIt(live, of: self) {
            var fusion = Fusion(live, of: self)
            live = fusion.fused()
        }
        live = MultiTensor.joined(live, valueCount: valueCount, mostElements: elements)
        let lowering = KernelLowering(
            family, choices, externals: externals, valueCount: valueCount, infers: !live.contains(where: \.isUpdate))
        for node in live { lowering.append(node) }
        let graph = LoweredGraph(family: family, lowering.lowered, externals: externals, outputs: outputs)
        return choices.fitsMemory ? graph.withFittingWorkspaces().withEarlyGradients() : graph
    }

    /// Dead-code elimination: what outputs and updates need, in recorded order.
    private func liveNodes() -> [Node] {
        var needed = [Bool](repeating: false, count: valueCount)
        for output in outputs { needed[output.value.id] = true }
        var live: [Node] = []
        live.reserveCapacity(nodes.count)
        let (read, computed, changed) = valuesOfNodes
        for index in nodes.indices.reversed() where !changed[index].isEmpty || computed.contains(of: index, needed) {
            live.append(nodes[index])
            read.forEach(of: index) { needed[$0] = true }
        }
        live.reverse()
        return live
    }

    /// Every distinct convolution, all passes, in the order of their recording; no device is needed.
    public var convolutionProblems: [ConvolutionProblem] {
        var seen = Set<ConvolutionProblem>()
        return nodes.compactMap { node in
            (node.operation.lowerable as? any ConvolutionPass)?
                .problem(node.inputShapes, node.outputShapes)
        }.filter { seen.insert($0).inserted }
    }
}
