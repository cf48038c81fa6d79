import AdaShareDeviceLayer

/// Gradients of y = v_select · max(r + f, 0) + v_skip · r; inputs r, f, gates [L, 2], dy; outputs dr, df, dgates (zero
/// outside the row).
public struct ResidualMixGradient: Operator {
    /// Row of the gates.
    public let row: Int

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1] && inputs[0] == inputs[3], "r, f and dy differ: \(inputs)")
        return [inputs[0], inputs[1], inputs[2]]
    }

    public func inPlaceInputs(output: Int) -> [Int] { [[0, 3], [1, 3], []][output] }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        2 * KernelLibrary.mostPartials * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        let (size, groups) = e.library.partialRange(n)
        e.launch(
            "residual", "residual_mixed_backward",
            [
                .input(0), .input(1), .input(2), .input(3), .output(0), .output(1), .workspace, .int(row),
                .int(n),
            ],
            size)
        e.launch(
            "residual", "residual_mixed_gate",
            [.workspace, .output(2), .int(groups), .int(row), .int(e.outputs[2].rows)],
            e.library.groups(1))
    }
}

/// The gradient of a drawn gate that selected its block, straight through: inputs y = max(r + f, 0), r, dy; output
/// dgates [L, 2], zero outside the block's row.
///
///     ∂/∂v_select = Σ dy · y,  ∂/∂v_skip = Σ dy · r
///
/// - Source: Bengio, Léonard, Courville 2013; kernels `residual_gate_sums` and `residual_mixed_gate` in `residual.cl`.
public struct DrawnGateGradient: Operator {
    /// Row of the gates, 0-based block index.
    public let block: Int
    /// L.
    public let blocks: Int

    /// Creates the operator.
    ///
    /// - Precondition: the block is one of them.
    public init(block: Int, blocks: Int) {
        precondition((0..<blocks).contains(block), "block \(block) of \(blocks)")
        self.block = block
        self.blocks = blocks
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1] && inputs[0] == inputs[2], "y, r and dy differ: \(inputs)")
        return [Shape([blocks, 2])]
    }

    public var isEager: Bool { true }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        2 * KernelLibrary.mostPartials * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        let (size, groups) = e.library.partialRange(n)
        e.launch(
            "residual", "residual_gate_sums", [.input(0), .input(1), .input(2), .workspace, .int(n)], size)
        e.launch(
            "residual", "residual_mixed_gate",
            [.workspace, .output(0), .int(groups), .int(block), .int(blocks)], e.library.groups(1))
    }
}
