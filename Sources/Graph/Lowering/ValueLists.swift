import AdaShareOperators

/// Values that belong to the nodes of a graph, as ids, node after node in one array. Passes over a graph read these
/// instead of the nodes, whose references each of them would count.
struct ValueLists {
    private(set) var ids: [Int] = []
    private var starts = [0]

    init() {
        ids.reserveCapacity(1 << 13)
        starts.reserveCapacity(1 << 11)
    }

    /// Adds what belongs to the next node.
    mutating func append(_ values: [Value]) {
        for value in values { ids.append(value.id) }
        starts.append(ids.count)
    }

    /// Adds some of the values for the next node, by position.
    mutating func append(_ positions: [Int], of values: [Value]) {
        for position in positions { ids.append(values[position].id) }
        starts.append(ids.count)
    }

    /// Where among `ids` those of a node are.
    subscript(node: Int) -> Range<Int> { starts[node]..<starts[node + 1] }

    func forEach(of node: Int, _ body: (Int) -> Void) {
        for place in self[node] { body(ids[place]) }
    }

    /// Whether one of a node's values is among some, by value id.
    func contains(of node: Int, _ isOne: [Bool]) -> Bool { self[node].contains { isOne[ids[$0]] } }
}
