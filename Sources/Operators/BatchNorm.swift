import DeviceLayer

/// Normalises each channel over the batch and both spatial axes, optionally followed by ReLU.
///
///     y = γ · (x − μ) / sqrt(σ² + ε) + β
///
/// Inputs: x [N, H, W, C], γ [C], β [C]. Outputs: y, μ [C], 1/sqrt(σ² + ε) [C], unbiased σ² [C].
///
/// - Source: Ioffe & Szegedy 2015, algorithm 1. Kernel: `batchnorm.cl`.
public struct BatchNorm: DifferentiableOperator {
    public let epsilon: Double
    public let relu: Bool

    public init(epsilon: Double = 1e-5, relu: Bool = false) {
        self.epsilon = epsilon
        self.relu = relu
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let statistics = Shape([inputs[0].channels])
        precondition(inputs[1] == statistics && inputs[2] == statistics, "γ, β must be \(statistics)")
        return [inputs[0], statistics, statistics, statistics]
    }

    public func inPlaceInputs(output: Int) -> [Int] { output == 0 ? [0] : [] }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        ColumnChunks(inputs[0], family: family).count * 2 * inputs[0].storedChannels * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let chunks = ColumnChunks(shape, family: e.library.family)
        let vectors = e.rowVectors(shape)
        let rows = LaunchArgument.int(shape.rows)
        let stored = LaunchArgument.int(shape.storedChannels)
        try e.launch(
            "batchnorm", "batchnorm_statistics", options: chunks.options,
            [.input(0), .workspace, rows, stored, .int(chunks.span)],
            e.library.grid(vectors / chunks.group, chunks.count))
        try e.launch(
            "batchnorm", "batchnorm_merge",
            [
                .workspace, .output(1), .output(2), .output(3), rows, stored, .int(chunks.span), .int(chunks.count),
                .float(epsilon), .int(shape.channels),
            ], e.library.grid(vectors))
        try BatchNormNormalise(relu: relu).encode(&e, mean: .output(1), inverse: .output(2))
    }

    public var recomputation: Recomputation { .always }

    public func recompute(inputs: [Value], outputs: [Value], in recorder: any Recorder) -> [Value] {
        recorder.record(BatchNormNormalise(relu: relu), inputs + outputs[1...2]) + outputs[1...]
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil, nil, nil] }
        let inputs = [call.inputs[0], dy, call.inputs[1], call.inputs[2], call.outputs[1], call.outputs[2]]
        let gradients = recorder.record(BatchNormGradient(relu: relu), inputs)
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// The outputs of `BatchNorm` from statistics that are known; inputs x, γ, β, μ, inverse deviation.
public struct BatchNormNormalise: Operator {
    public let relu: Bool

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }
    public func inPlaceInputs(output: Int) -> [Int] { [0] }

    public func encode(_ e: inout LaunchEncoder) throws { try encode(&e, mean: .input(3), inverse: .input(4)) }

    func encode(_ e: inout LaunchEncoder, mean: LaunchArgument, inverse: LaunchArgument) throws {
        let shape = e.inputs[0]
        try e.launch(
            "batchnorm", "batchnorm_normalise",
            [
                .input(0), .input(1), .input(2), mean, inverse, .output(0), .int(shape.rows),
                .int(shape.storedChannels), .flag(relu),
            ], e.library.range(e.vectors(shape)))
    }
}

/// Gradients of `BatchNorm`; inputs x, dy, γ, β, μ, inverse deviation; outputs dx, dγ, dβ.
///
/// Where ReLU was 0 follows from x: the output need not be kept.
public struct BatchNormGradient: Operator {
    public let relu: Bool

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0], inputs[2], inputs[2]] }

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
        try e.launch(
            "batchnorm", "batchnorm_backward_sums", options: chunks.options,
            [
                .input(0), .input(1), .input(2), .input(3), .input(4), .input(5), .workspace, rows, stored,
                .int(chunks.span), .flag(relu),
            ], e.library.grid(vectors / chunks.group, chunks.count))
        try e.launch(
            "batchnorm", "batchnorm_backward_merge",
            [.workspace, .output(1), .output(2), stored, .int(chunks.count)], e.library.grid(vectors))
        try e.launch(
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
        try e.launch(
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
        try e.launch(
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
    /// Vectors side by side per work-item, for kernels that read whole cache lines in a row.
    let group: Int

    /// Compile options of such kernels.
    var options: [String] { group == 1 ? [] : ["-DVG=\(group)"] }

    init(_ shape: Shape, family: KernelFamily) {
        group = family == .cpu && shape.storedChannels % 64 == 0 ? 4 : 1
        span = KernelLibrary.rowsPerChunk(shape, family: family)
        count = (shape.rows + span - 1) / span
    }
}
