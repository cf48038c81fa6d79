import AdaShareOperators

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
    /// A node, as its encoding sees it: the operator and the shapes it reads. One reference is quicker to copy than
    /// both.
    private struct Key: Hashable {
        let node: Graph.Node

        static func == (a: Self, b: Self) -> Bool {
            a.node === b.node
                || a.node.inputs.elementsEqual(b.node.inputs, by: { $0.shape == $1.shape })
                    && a.node.operation.equals(b.node.operation)
        }

        func hash(into hasher: inout Hasher) {
            // One number: dictionaries mix each that they are given.
            var mixed = UInt(bitPattern: ObjectIdentifier(type(of: node.operation)))
            for input in node.inputs {
                mixed = (mixed ^ UInt(input.shape.storedCount << 8 | input.shape.channels)) &* 0x9E37_79B9_7F4A_7C15
            }
            hasher.combine(mixed)
        }
    }

    let library: KernelLibrary
    private var encodings: [Key: Encoding] = [:]
    /// Encodings at most; beyond, all are forgotten that no plan holds.
    private static let capacity = 1 << 12

    init(library: KernelLibrary) { self.library = library }

    func encoding(of node: Graph.Node) throws -> Encoding {
        let key = Key(node: node)
        if let known = encodings[key] { return known }
        if encodings.count >= Self.capacity { encodings.removeAll() }
        let encoding = try Encoding(
            node.operation, inputs: node.inputShapes, outputs: node.outputShapes, library: library)
        encodings[key] = encoding
        return encoding
    }
}
