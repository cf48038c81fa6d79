import DeviceLayer

/// What becomes of a normalised value z, in the same pass.
public enum BatchNormTail: Hashable, Sendable {
    /// y = z
    case none
    /// y = max(z, 0)
    case relu
    /// The end of a selected block: y = max(residual + z, 0); a further input: residual.
    case add
    /// The end of a block under policy learning: y = v_select · max(residual + z, 0) + v_skip · residual, with the gates' row
    /// `block`; further inputs: residual, gates [L, 2].
    case mix(block: Int)
}

extension Recorder {
    /// Records batch normalisation over batch and both spatial axes, from the batch's own statistics:
    ///
    ///     z = γ · (x − μ) / sqrt(σ² + ε) + β
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - gamma: γ [C]; beta: β [C].
    ///   - operands: what the tail reads besides.
    /// - Returns: y, μ [C], 1/sqrt(σ² + ε) [C], unbiased σ² [C].
    public func batchNorm(
        _ x: Value, gamma: Value, beta: Value, epsilon: Double = 1e-5, tail: BatchNormTail = .none,
        operands: [Value] = []
    ) -> [Value] {
        let statistics = record(BatchNormStatistics(epsilon: epsilon), [x])
        return record(BatchNormNormalise(tail: tail), [x, gamma, beta] + statistics[..<2] + operands) + statistics
    }
}

/// Statistics of each channel; input x [N, H, W, C], outputs μ [C], 1/sqrt(σ² + ε) [C], unbiased σ² [C].
///
/// - Source: Ioffe & Szegedy 2015, algorithm 1. Kernels: `batchnorm.cl`.
public struct BatchNormStatistics: Operator {
    public let epsilon: Double

    public init(epsilon: Double = 1e-5) { self.epsilon = epsilon }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        [Shape](repeating: Shape([inputs[0].channels]), count: 3)
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        ColumnChunks(inputs[0], family: family).count * 2 * inputs[0].storedChannels * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let chunks = ColumnChunks(shape, family: e.library.family)
        let vectors = e.rowVectors(shape)
        let (rows, stored) = (LaunchArgument.int(shape.rows), LaunchArgument.int(shape.storedChannels))
        let group = e.library.vectorsSideBySide(shape)
        e.launch(
            "batchnorm", "batchnorm_statistics", options: group.options,
            [.input(0), .workspace, rows, stored, .int(chunks.span)],
            e.library.grid(vectors / group.count, chunks.count))
        e.launch(
            "batchnorm", "batchnorm_merge",
            [
                .workspace, .output(0), .output(1), .output(2), rows, stored, .int(chunks.span), .int(chunks.count),
                .float(epsilon), .int(shape.channels),
            ], e.library.groups(vectors))
    }
}

/// Batch normalisation and its tail from the batch's statistics; inputs x, γ, β, μ, inverse deviation and the tail's.
///
/// The gradient is that of the whole normalisation: it goes through the statistics, which have none of their own.
public struct BatchNormNormalise: DifferentiableOperator {
    /// What becomes of z.
    public let tail: BatchNormTail

    public init(tail: BatchNormTail = .none) { self.tail = tail }

    /// Inputs before the tail's.
    private static let firstOperand = 5

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let channels = Shape([inputs[0].channels])
        let operands =
            switch tail {
            case .none, .relu: 0
            case .add: 1
            case .mix: 2
            }
        precondition(inputs.count == Self.firstOperand + operands, "\(tail) has \(operands) operands")
        precondition(inputs[1..<Self.firstOperand].allSatisfy { $0 == channels }, "γ, β, μ, 1/σ must be \(channels)")
        if inputs.count > Self.firstOperand {
            precondition(inputs[0] == inputs[5], "residual \(inputs[5]) and branch \(inputs[0]) differ")
        }
        if case .mix(let block) = tail {
            precondition(inputs[6].rows > block && inputs[6].channels == 2, "gates \(inputs[6]) have no row \(block)")
        }
        return [inputs[0]]
    }

    public func inPlaceInputs(output: Int) -> [Int] {
        switch tail {
        case .none, .relu: [0]
        case .add, .mix: [0, Self.firstOperand]
        }
    }

    /// A block's output is the next one's input and kept; the others cost one pass over what is kept.
    public var recomputation: Recomputation {
        switch tail {
        case .none, .relu: .always
        case .add, .mix: .never
        }
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        // Mirrors `TAIL_NONE` and its neighbours in the kernel.
        let (kind, block, residual, gates): (Int, Int, LaunchArgument, LaunchArgument) =
            switch tail {
            case .none: (0, 0, .zeros, .zeros)
            case .relu: (1, 0, .zeros, .zeros)
            case .add: (2, 0, .input(5), .zeros)
            case .mix(let block): (3, block, .input(5), .input(6))
            }
        e.launch(
            "batchnorm", "batchnorm_normalise",
            (0..<Self.firstOperand).map(LaunchArgument.input) + [
                residual, gates, .output(0), .int(shape.rows), .int(shape.storedChannels), .int(kind), .int(block),
            ], e.library.range(e.vectors(shape)))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        guard let dy = call.gradients[0] else { return gradients }
        /// Of z.
        let dz: Value
        switch tail {
        case .none, .relu: dz = dy
        case .add:
            dz = recorder.record(ReLUGradient(), [call.outputs[0], dy])[0]
            gradients[5] = dz
        case .mix(let block):
            let z = recorder.record(BatchNormNormalise(), Array(call.inputs[..<Self.firstOperand]))[0]
            let mixed = recorder.record(
                ResidualMixGradient(block: block), [call.inputs[5], z, call.inputs[6], dy])
            (gradients[5], dz, gradients[6]) = (mixed[0], mixed[1], mixed[2])
        }
        if call.wanted[..<3].contains(true) {
            let inputs = [call.inputs[0], dz] + call.inputs[1..<Self.firstOperand]
            let found = recorder.record(BatchNormGradient(relu: tail == .relu), inputs)
            for (position, gradient) in found.enumerated() { gradients[position] = gradient }
        }
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of batch normalisation without a tail, or with ReLU; inputs x, dy, γ, β, μ, inverse deviation; outputs dx, dγ, dβ.
///
/// Where ReLU was 0 follows from x: the output need not be kept.
public struct BatchNormGradient: Operator {
    public let relu: Bool

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1], "x \(inputs[0]) and dy \(inputs[1]) differ")
        return [inputs[0], inputs[2], inputs[2]]
    }

    public func inPlaceInputs(output: Int) -> [Int] { output == 0 ? [1, 0] : [] }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        ColumnChunks(inputs[0], family: family).count * 2 * inputs[0].storedChannels * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let chunks = ColumnChunks(shape, family: e.library.family)
        let vectors = e.rowVectors(shape)
        let rows = LaunchArgument.int(shape.rows)
        let stored = LaunchArgument.int(shape.storedChannels)
        let group = e.library.vectorsSideBySide(shape)
        e.launch(
            "batchnorm", "batchnorm_backward_sums", options: group.options,
            [
                .input(0), .input(1), .input(2), .input(3), .input(4), .input(5), .workspace, rows, stored,
                .int(chunks.span), .flag(relu),
            ], e.library.grid(vectors / group.count, chunks.count))
        e.launch(
            "batchnorm", "batchnorm_backward_merge",
            [.workspace, .output(1), .output(2), stored, .int(chunks.count)], e.library.groups(vectors))
        e.launch(
            "batchnorm", "batchnorm_backward_input",
            [
                .input(0), .input(1), .input(2), .input(3), .input(4), .input(5), .output(1), .output(2),
                .output(0), rows, stored, .flag(relu),
            ], e.library.range(e.vectors(shape)))
    }
}

/// Batch normalisation with running statistics as y = scale · x + shift, for a convolution's epilogue; inputs γ, β, running
/// mean, running variance, outputs scale [C] = γ / sqrt(σ² + ε) and shift [C] = β − μ · scale.
public struct BatchNormAffine: Operator {
    public let epsilon: Double

    public init(epsilon: Double = 1e-5) { self.epsilon = epsilon }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0], inputs[0]] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let buffers = (0..<4).map(LaunchArgument.input) + [.output(0), .output(1)]
        e.launch(
            "batchnorm", "batchnorm_affine", buffers + [.float(epsilon)], e.library.grid(e.rowVectors(e.inputs[0])))
    }
}

/// Moves running statistics by n equal updates: r ← (1−m)ⁿ r + (1−(1−m)ⁿ) s, and counts n batches.
///
/// Inputs: μ, unbiased σ², running mean, running variance, batches tracked, non-finite flag.
public struct BatchNormUpdate: Operator {
    public let momentum: Double
    /// n, the number of task paths through the node.
    public let batches: Int

    public init(momentum: Double = 0.1, batches: Int) {
        self.momentum = momentum
        self.batches = batches
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [] }
    public var mutatedInputs: [Int] { [2, 3, 4] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let buffers = (0..<6).map(LaunchArgument.input)
        e.launch(
            "batchnorm", "batchnorm_update",
            buffers + [.int(shape.storedChannels), .float(power(1 - momentum, batches)), .int(batches)],
            e.library.grid(e.rowVectors(shape)))
    }
}

/// How a reduction over rows is cut: a function of shape and family alone, so sums keep their order.
struct ColumnChunks {
    /// Rows per chunk.
    let span: Int
    let count: Int
    init(_ shape: Shape, family: KernelFamily) {
        span = KernelLibrary.rowsPerChunk(shape, family: family)
        count = (shape.rows + span - 1) / span
    }
}
