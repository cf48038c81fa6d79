import AdaShareDeviceLayer

/// What becomes of a normalised value z, in the same pass.
public enum BatchNormTail: Hashable, Sendable {
    /// y = z
    case none
    /// y = max(z, 0)
    case relu
    /// The end of a residual block: y = max(residual + z, 0).
    case addReLU(residual: Value)
    /// The end of a block that is selected in parts: y = v_select · max(residual + z, 0) + v_skip · residual, with a
    /// row of the gates [L, 2].
    case mix(residual: Value, gates: Value, row: Int)

    /// What the operator is told.
    var kind: BatchNormNormalise.Tail {
        switch self {
        case .none: .none
        case .relu: .relu
        case .addReLU: .addReLU
        case .mix(_, _, let row): .mix(row: row)
        }
    }

    /// What the operator reads besides.
    var operands: [Value] {
        switch self {
        case .none, .relu: []
        case .addReLU(let residual): [residual]
        case .mix(let residual, let gates, _): [residual, gates]
        }
    }
}

/// Batch normalisation from the batch's own statistics, and these.
public struct BatchNormResult: Sendable {
    /// Of x's shape.
    public let y: Value
    /// μ [C].
    public let mean: Value
    /// 1/sqrt(σ² + ε) [C].
    public let inverseDeviation: Value
    /// What running statistics collect.
    public let statistics: ChannelStatistics
}

/// Mean and variance of each channel.
public struct ChannelStatistics: Sendable {
    /// μ [C].
    public let mean: Value
    /// Unbiased σ² [C].
    public let unbiasedVariance: Value
    /// Rows that they are of: N · H · W.
    public let rows: Int

    /// Creates statistics.
    ///
    /// - Parameters:
    ///   - mean: μ [C].
    ///   - unbiasedVariance: unbiased σ² [C].
    ///   - rows: that they are of: N · H · W.
    public init(mean: Value, unbiasedVariance: Value, rows: Int) {
        (self.mean, self.unbiasedVariance, self.rows) = (mean, unbiasedVariance, rows)
    }
}

extension Recorder {
    /// Records batch normalisation over batch and both spatial axes, from the batch's own statistics:
    ///
    ///     z = γ · (x − μ) / sqrt(σ² + ε) + β
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - gamma: γ [C].
    ///   - beta: β [C].
    ///   - epsilon: ε, added to the variance.
    ///   - tail: what becomes of z in the same pass.
    public func batchNorm(
        _ x: Value, gamma: Value, beta: Value, epsilon: Double = 1e-5, tail: BatchNormTail = .none
    ) -> BatchNormResult {
        let statistics = record(BatchNormStatistics(epsilon: epsilon), [x])
        let (mean, inverse) = (statistics[0], statistics[1])
        let y = record(BatchNormNormalise(tail: tail.kind), [x, gamma, beta, mean, inverse] + tail.operands)[0]
        return BatchNormResult(
            y: y, mean: mean, inverseDeviation: inverse,
            statistics: ChannelStatistics(mean: mean, unbiasedVariance: statistics[2], rows: x.shape.rows))
    }
}

/// Statistics of each channel; input x [N, H, W, C], outputs μ [C], 1/sqrt(σ² + ε) [C], unbiased σ² [C].
///
/// - Source: Ioffe & Szegedy 2015, algorithm 1. Kernels: `batchnorm.cl`.
public struct BatchNormStatistics: Operator {
    /// ε, added to the variance.
    public let epsilon: Double

    /// Creates the operator.
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
        let vectors = e.wideRowVectors(shape)
        let (rows, stored) = (LaunchArgument.int(shape.rows), LaunchArgument.int(shape.storedChannels))
        let group = e.library.vectorsSideBySide(shape)
        e.launch(
            "batchnorm", "batchnorm_statistics", options: group.options,
            [.input(0), .workspace, rows, stored, .int(chunks.span)],
            e.library.columns(vectors / group.count, chunks: chunks.count))
        e.launch(
            "batchnorm", "batchnorm_merge",
            [
                .workspace, .output(0), .output(1), .output(2), rows, stored, .int(chunks.span), .int(chunks.count),
                .float(epsilon), .int(shape.channels),
            ], e.library.groups(vectors))
    }
}

/// Batch normalisation and its tail from the batch's statistics; inputs x, γ, β, μ, inverse deviation, and as the tail
/// wants them, residual and gates.
///
/// The gradient is that of the whole normalisation: it goes through the statistics, which have none of their own.
public struct BatchNormNormalise: DifferentiableOperator {
    /// What becomes of z; see `BatchNormTail`.
    public enum Tail: Hashable, Sendable {
        /// `BatchNormTail.none`.
        case none
        /// `BatchNormTail.relu`.
        case relu
        /// `BatchNormTail.addReLU`.
        case addReLU
        /// `BatchNormTail.mix`, with a row of the gates.
        case mix(row: Int)
    }

    /// What becomes of z.
    public let tail: Tail

    /// Creates the operator.
    public init(tail: Tail = .none) { self.tail = tail }

    /// Positions of the tail's operands, behind those of every normalisation.
    static let residual = 5
    private static let gates = 6

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let channels = Shape([inputs[0].channels])
        let operands =
            switch tail {
            case .none, .relu: 0
            case .addReLU: 1
            case .mix: 2
            }
        precondition(inputs.count == Self.residual + operands, "\(tail) has \(operands) operands")
        precondition(inputs[1..<Self.residual].allSatisfy { $0 == channels }, "γ, β, μ, 1/σ must be \(channels)")
        if operands > 0 {
            let residual = inputs[Self.residual]
            precondition(inputs[0] == residual, "residual \(residual) and branch \(inputs[0]) differ")
        }
        if case .mix(let row) = tail {
            let gates = inputs[Self.gates]
            precondition(gates.rows > row && gates.channels == 2, "gates \(gates) have no row \(row)")
        }
        return [inputs[0]]
    }

    public func inPlaceInputs(output: Int) -> [Int] {
        switch tail {
        case .none, .relu: [0]
        case .addReLU, .mix: [0, Self.residual]
        }
    }

    /// A block's output is the next one's input and kept; the others cost one pass over what is kept.
    public var recomputation: Recomputation {
        switch tail {
        case .none, .relu: .always
        case .addReLU, .mix: .never
        }
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        // Mirrors `TAIL_NONE` and its neighbours in the kernel.
        let (kind, row, residual, gates): (Int, Int, LaunchArgument, LaunchArgument) =
            switch tail {
            case .none: (0, 0, .zeros, .zeros)
            case .relu: (1, 0, .zeros, .zeros)
            case .addReLU: (2, 0, .input(Self.residual), .zeros)
            case .mix(let row): (3, row, .input(Self.residual), .input(Self.gates))
            }
        e.launch(
            "batchnorm", "batchnorm_normalise",
            (0..<Self.residual).map(LaunchArgument.input) + [
                residual, gates, .output(0), .int(shape.rows), .int(shape.storedChannels), .int(kind), .int(row),
            ], e.library.range(e.wideVectors(shape)))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        guard let dy = call.gradients[0] else { return gradients }
        /// Of z.
        let dz: Value
        switch tail {
        case .none, .relu: dz = dy
        case .addReLU:
            dz = recorder.record(ReLUGradient(), [call.outputs[0], dy])[0]
            gradients[Self.residual] = dz
        case .mix(let row):
            let z = recorder.record(BatchNormNormalise(), Array(call.inputs[..<Self.residual]))[0]
            let mixed = recorder.record(
                ResidualMixGradient(row: row), [call.inputs[Self.residual], z, call.inputs[Self.gates], dy])
            (gradients[Self.residual], dz, gradients[Self.gates]) = (mixed[0], mixed[1], mixed[2])
        }
        if call.wanted[..<3].contains(true) {
            let inputs = [call.inputs[0], dz] + call.inputs[1..<Self.residual]
            let found = recorder.record(BatchNormGradient(relu: tail == .relu), inputs)
            for (position, gradient) in found.enumerated() { gradients[position] = gradient }
        }
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of batch normalisation without a tail, or with ReLU; inputs x, dy, γ, β, μ, inverse deviation; outputs dx,
/// dγ, dβ.
///
/// Where ReLU was 0 follows from x: the output need not be kept.
public struct BatchNormGradient: Operator {
    /// Whether ReLU followed.
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
        let vectors = e.wideRowVectors(shape)
        let rows = LaunchArgument.int(shape.rows)
        let stored = LaunchArgument.int(shape.storedChannels)
        let group = e.library.vectorsSideBySide(shape)
        e.launch(
            "batchnorm", "batchnorm_backward_sums", options: group.options,
            [
                .input(0), .input(1), .input(2), .input(3), .input(4), .input(5), .workspace, rows, stored,
                .int(chunks.span), .flag(relu),
            ], e.library.columns(vectors / group.count, chunks: chunks.count))
        e.launch(
            "batchnorm", "batchnorm_backward_merge",
            [.workspace, .output(1), .output(2), stored, .int(chunks.count)], e.library.groups(vectors))
        e.launch(
            "batchnorm", "batchnorm_backward_input",
            [
                .input(0), .input(1), .input(2), .input(3), .input(4), .input(5), .output(1), .output(2),
                .output(0), rows, stored, .flag(relu),
            ], e.library.range(e.wideVectors(shape)))
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
