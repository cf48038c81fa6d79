/// Values that belong to the nodes of a graph, as ids, node after node in one array. Passes over a graph read these
/// instead of the nodes, whose references each of them would count.
struct ValueLists {
    private(set) var ids: [Int] = []
    private var starts = [0]

    /// - Parameter append: adds the ids of one node.
    init(_ nodes: [Graph.Node], append: (Graph.Node, inout [Int]) -> Void) {
        ids.reserveCapacity(4 * nodes.count)
        starts.reserveCapacity(nodes.count + 1)
        for node in nodes {
            append(node, &ids)
            starts.append(ids.count)
        }
    }

    /// Where among `ids` those of a node are.
    subscript(node: Int) -> Range<Int> { starts[node]..<starts[node + 1] }

    func forEach(of node: Int, _ body: (Int) -> Void) {
        for place in self[node] { body(ids[place]) }
    }
}
