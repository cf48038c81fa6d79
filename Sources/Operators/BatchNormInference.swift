import AdaShareDeviceLayer

extension Recorder {
    /// Records batch normalisation from running statistics:
    ///
    ///     z = γ · (x − μ) / sqrt(σ² + ε) + β
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - gamma: γ [C].
    ///   - beta: β [C].
    ///   - mean: μ [C].
    ///   - variance: σ² [C].
    ///   - epsilon: ε, added to the variance.
    ///   - tail: what becomes of z in the same pass.
    /// - Returns: y, of x's shape.
    public func batchNorm(
        _ x: Value, gamma: Value, beta: Value, mean: Value, variance: Value, epsilon: Double = 1e-5,
        tail: BatchNormTail = .none
    ) -> Value {
        record(
            BatchNormInference(epsilon: epsilon, tail: tail.kind), [x, gamma, beta, mean, variance] + tail.operands)[0]
    }

    /// Records the move of running statistics towards a batch's, by n equal updates.
    ///
    /// - Parameters:
    ///   - batch: the batch's statistics.
    ///   - mean: running mean [C], changed.
    ///   - variance: running variance [C], changed.
    ///   - tracked: counter of batches [1], changed.
    ///   - paths: n.
    ///   - flag: the non-finite flag that gates updates.
    public func updateStatistics(
        towards batch: ChannelStatistics, mean: Value, variance: Value, tracked: Value, paths: Int, flag: Value
    ) {
        _ = record(
            BatchNormUpdate(batches: paths), [batch.mean, batch.unbiasedVariance, mean, variance, tracked, flag])
    }
}

/// Batch normalisation with running statistics and its tail; inputs x, γ, β, running mean, running variance, and as the
/// tail wants them, residual and gates.
///
/// Behind a convolution it becomes that one's epilogue; alone, it is normalised as scale · (x − 0) · 1 + shift. Its
/// gradient is that of a scale and a shift which nothing moves: γ, β and the statistics have none.
public struct BatchNormInference: LowerableOperator, DifferentiableOperator {
    /// ε, added to the variance.
    public let epsilon: Double
    /// What becomes of z.
    public let tail: BatchNormNormalise.Tail

    /// Creates the operator.
    public init(epsilon: Double = 1e-5, tail: BatchNormNormalise.Tail = .none) {
        self.epsilon = epsilon
        self.tail = tail
    }

    /// Positions of γ, β, running mean and running variance: the inputs of `affine`.
    public static let statistics = 1..<5

    public var lowerable: (any LowerableOperator)? { self }

    /// The same as a scale and a shift of each channel.
    public var affine: BatchNormAffine { BatchNormAffine(epsilon: epsilon) }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        BatchNormNormalise(tail: tail).outputShapes(inputs)
    }

    /// - Precondition: no gradient is wanted of γ, β and the statistics.
    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        precondition(!call.wanted[Self.statistics].contains(true), "running statistics with a gradient")
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        guard let dy = call.gradients[0] else { return gradients }
        let dz: Value
        switch tail {
        case .none: dz = dy
        case .relu, .addReLU: dz = recorder.record(ReLUGradient(), [call.outputs[0], dy])[0]
        case .mix: preconditionFailure("the gradient of a mix with running statistics")
        }
        let scale = recorder.record(affine, Array(call.inputs[Self.statistics]))[0]
        if call.wanted[0] { gradients[0] = recorder.record(ChannelMix(), [dz, scale])[0] }
        if tail == .addReLU, call.wanted[BatchNormNormalise.residual] { gradients[BatchNormNormalise.residual] = dz }
        return gradients
    }

    public func lowered(_ inputs: [Value], _ outputs: [Value], in lowering: any Lowering) -> LoweredApplication {
        let affine = lowering.prepare(affine, Array(inputs[Self.statistics]))
        let constants = [0.0, 1].map { lowering.prepare(Fill(affine[0].shape, value: $0), [])[0] }
        return LoweredApplication(
            BatchNormNormalise(tail: tail), [inputs[0]] + affine + constants + inputs[Self.statistics.upperBound...])
    }
}

/// Batch normalisation with running statistics as y = scale · x + shift, for a convolution's epilogue; inputs γ, β,
/// running mean, running variance, outputs scale [C] = γ / sqrt(σ² + ε) and shift [C] = β − μ · scale.
public struct BatchNormAffine: Operator {
    /// ε, added to the variance.
    public let epsilon: Double

    /// Creates the operator.
    public init(epsilon: Double = 1e-5) { self.epsilon = epsilon }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0], inputs[0]] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let buffers = (0..<4).map(LaunchArgument.input) + [.output(0), .output(1)]
        e.launch(
            "batchnorm", "batchnorm_affine", buffers + [.float(epsilon)], e.library.grid(e.wideRowVectors(e.inputs[0])))
    }
}

/// Moves running statistics by n equal updates: r ← (1−m)ⁿ r + (1−(1−m)ⁿ) s, and counts n batches.
///
/// Inputs: of each batch norm μ, unbiased σ², running mean, running variance, batches tracked; then the non-finite
/// flag.
public struct BatchNormUpdate: MultiTensorOperator {
    /// m, the share of the new statistics in one update.
    public let momentum: Double
    /// n, the number of task paths through the node.
    public let batches: Int
    public let tensors: Int

    /// Creates the operator for one batch norm, or for several of as many channels.
    public init(momentum: Double = 0.1, batches: Int, tensors: Int = 1) {
        self.momentum = momentum
        self.batches = batches
        self.tensors = tensors
    }

    public static let (inputsPerTensor, mutatedPerTensor, mostTensors) = (5, [2, 3, 4], 24)
    public func of(tensors: Int) -> BatchNormUpdate {
        BatchNormUpdate(momentum: momentum, batches: batches, tensors: tensors)
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.rowVectors(e.inputs[0])
        let numbers: [LaunchArgument] = [.float(power(1 - momentum, batches)), .int(batches)]
        launch("batchnorm", "batchnorm_update", numbers, vectors: n, e.library.grid(n), on: &e)
    }
}
