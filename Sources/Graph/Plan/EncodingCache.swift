import AdaShareOperators
import AdaShareSupport

extension LoweredGraph {
    /// What its operators launch, in recorded order.
    ///
    /// - Throws: as `Encoding.init`.
    public func encodings(library: KernelLibrary) throws -> [Encoding] {
        try nodes.map {
            try Encoding(
                $0.operation, inputs: $0.inputShapes, outputs: $0.outputShapes, library: library)
        }
    }
}

/// The encodings of operators that have been planned.
final class EncodingCache {
    let library: KernelLibrary
    /// Each with a node that has it, and where they are by what they depend on.
    private var known: [(node: Graph.Node, encoding: Encoding)] = []
    private var index = HashIndex(capacity: 1 << 9)
    /// Encodings at most, but for those of one plan and as many others; beyond, all are forgotten that no plan holds.
    /// Every size of images has encodings of its own, each with objects of the driver.
    private static let leastCapacity = 1 << 8

    init(library: KernelLibrary) { self.library = library }

    /// The number of encodings that are known.
    var count: Int { known.count }

    /// The encodings of a plan's nodes.
    ///
    /// - Throws: as `Encoding.init`.
    func encodings(of nodes: [Graph.Node]) throws -> [Encoding] {
        let capacity = max(Self.leastCapacity, 2 * nodes.count)
        return try nodes.map { try encoding(of: $0, capacity) }
    }

    private func encoding(of node: Graph.Node, _ capacity: Int) throws -> Encoding {
        let hash = Self.hash(node)
        let place = index.position(hash: hash) { place in
            let other = known[place].node
            return node.inputs.elementsEqual(other.inputs, by: { $0.shape == $1.shape })
                && node.operation.equals(other.operation)
        }
        if let place { return known[place].encoding }
        if known.count >= capacity {
            known.removeAll()
            index.removeAll()
        }
        let encoding = try Encoding(
            node.operation, inputs: node.inputShapes, outputs: node.outputShapes, library: library)
        known.append((node, encoding))
        index.append(hash: hash)
        return encoding
    }

    /// Of what an encoding depends on: the operator and the shapes it reads.
    private static func hash(_ node: Graph.Node) -> Int {
        node.inputs.reduce(Int(bitPattern: ObjectIdentifier(type(of: node.operation)))) {
            HashIndex.hash($0, $1.shape.storedCount << 8 | $1.shape.channels)
        }
    }
}
