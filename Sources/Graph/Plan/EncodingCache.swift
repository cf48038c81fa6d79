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
    private struct Key: Hashable {
        let operation: any Operator
        let inputs: [Shape]

        static func == (a: Self, b: Self) -> Bool { a.operation.equals(b.operation) && a.inputs == b.inputs }

        func hash(into hasher: inout Hasher) {
            hasher.combine(ObjectIdentifier(type(of: operation)))
            for shape in inputs { hasher.combine(shape.storedCount) }
        }
    }

    let library: KernelLibrary
    private var encodings: [Key: Encoding] = [:]
    /// Encodings at most; beyond, all are forgotten that no plan holds.
    private static let capacity = 1 << 12

    init(library: KernelLibrary) { self.library = library }

    func encoding(of node: Graph.Node) throws -> Encoding {
        let key = Key(operation: node.operation, inputs: node.inputShapes)
        if let known = encodings[key] { return known }
        if encodings.count >= Self.capacity { encodings.removeAll() }
        let encoding = try Encoding(
            node.operation, inputs: node.inputShapes, outputs: node.outputShapes, library: library)
        encodings[key] = encoding
        return encoding
    }
}
