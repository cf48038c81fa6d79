import AdaShareDeviceLayer

/// Sum over all rows of each channel: the gradient of a bias.
public struct ColumnSum: Operator {
    /// Creates the operator, which has no attributes.
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([inputs[0].channels])] }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        ColumnChunks(inputs[0], family: family).count * inputs[0].storedChannels * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let chunks = ColumnChunks(shape, family: e.library.family)
        let vectors = e.rowVectors(shape)
        e.launch(
            "reduction", "column_sums", [.input(0), .workspace, .int(shape.rows), .int(vectors), .int(chunks.span)],
            e.library.columns(vectors, chunks: chunks.count))
        e.launch(
            "reduction", "column_totals", [.workspace, .output(0), .int(vectors), .int(chunks.count)],
            e.library.groups(vectors))
    }
}
