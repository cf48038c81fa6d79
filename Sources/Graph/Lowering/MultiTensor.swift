import AdaShareOperators

/// Has one launch do several small updates, whose own launches would take longer than their work.
///
/// Equal updates of tensors of one shape come together at the place of the last of them, unless something between reads
/// what they change.
struct MultiTensor {
    /// Of tensors that are joined, at most: larger ones move as soon as they have a gradient, which then is in a cache,
    /// and whose memory the next one takes.
    static let mostElements = 1 << 14
    private static let label = "several"

    /// Updates that one launch will do.
    private struct Group {
        let operation: any MultiTensorOperator
        let each: Int
        var members: [Graph.Node]

        init(_ operation: any MultiTensorOperator, _ node: Graph.Node) {
            self.operation = operation
            each = type(of: operation).inputsPerTensor
            members = [node]
        }

        /// Whether one more belongs to them.
        func takes(_ node: Graph.Node) -> Bool {
            let first = members[0]
            return first.inputs.elementsEqual(node.inputs, by: { $0.shape == $1.shape })
                && members.count < type(of: operation).mostTensors
                && (each..<first.inputs.count).allSatisfy { first.inputs[$0].id == node.inputs[$0].id }
                && first.operation.equals(node.operation)
        }

        var joined: Graph.Node {
            guard members.count > 1 else { return members[0] }
            var inputs: [Value] = []
            inputs.reserveCapacity(members.count * each + 2)
            for member in members { inputs += member.inputs[..<each] }
            inputs += members[0].inputs[each...]
            return Graph.Node(
                operation.of(tensors: members.count), inputs: inputs, outputs: [],
                label: "\(MultiTensor.label) \(members[0].inputs[0].shape)")
        }
    }

    private var nodes: [Graph.Node] = []
    /// Those that still wait, in the order they will have.
    private var groups: [Group] = []
    /// How many groups came before those that wait.
    private var passed = 0
    /// By value id: the number of the last group that changes it or reads it, from 0; −1 for none.
    private var lastChange, lastRead: [Int]

    private let mostElements: Int

    private init(valueCount: Int, mostElements: Int, capacity: Int) {
        self.mostElements = mostElements
        lastChange = [Int](repeating: -1, count: valueCount)
        lastRead = lastChange
        nodes.reserveCapacity(capacity)
    }

    /// The nodes in order, with several of them as one.
    static func joined(_ nodes: [Graph.Node], valueCount: Int, mostElements: Int) -> [Graph.Node] {
        var pass = MultiTensor(valueCount: valueCount, mostElements: mostElements, capacity: nodes.count)
        for node in nodes { pass.append(node) }
        pass.flush()
        return pass.nodes
    }

    private mutating func append(_ node: Graph.Node) {
        let latest = latestConflict(of: node)
        guard node.isUpdate, let operation = node.operation.multiTensor, operation.tensors == 1,
            node.inputs[0].shape.storedCount <= mostElements
        else {
            if latest >= passed { flush() }
            nodes.append(node)
            return
        }
        let first = max(latest + 1 - passed, 0)
        let place: Int
        if let known = groups[first...].firstIndex(where: { $0.takes(node) }) {
            place = known
            groups[place].members.append(node)
        } else {
            place = groups.count
            groups.append(Group(operation, node))
        }
        for input in node.inputs { lastRead[input.id] = max(lastRead[input.id], passed + place) }
        for position in node.mutated { lastChange[node.inputs[position].id] = passed + place }
    }

    /// The last group that a node has to come after: it changes what the node reads, or reads what the node changes.
    private func latestConflict(of node: Graph.Node) -> Int {
        var latest = -1
        for input in node.inputs { latest = max(latest, lastChange[input.id]) }
        for position in node.mutated { latest = max(latest, lastRead[node.inputs[position].id]) }
        return latest
    }

    private mutating func flush() {
        nodes += groups.map(\.joined)
        passed += groups.count
        groups.removeAll(keepingCapacity: true)
    }
}
