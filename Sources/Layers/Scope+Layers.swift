import AdaShareOperators

/// Layers of one operator, with the parameters they declare.
extension Scope {
    /// A convolution, and where asked for its bias and ReLU; parameters `weight` and `bias`.
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - channels: K.
    ///   - kernel: taps along each axis.
    ///   - stride: pixels of x from one of y to the next.
    ///   - dilation: pixels from tap to tap.
    ///   - padding: zeros beside x, along each axis.
    ///   - bias: whether one is added.
    ///   - relu: whether negative results become 0.
    ///   - initial: of weights and bias; nil for uniform within ±1/sqrt(fan-in).
    ///   - element: what y is stored as; nil for what activations are.
    /// - Returns: y [N, P, Q, K].
    public func convolution(
        _ x: Value, channels: Int, kernel: Int, stride: Int = 1, dilation: Int = 1, padding: Int = 0,
        bias: Bool = false, relu: Bool = false, initial: Initializer? = nil, element: ElementType? = nil
    ) -> Value {
        let initial = initial ?? .uniform(fanIn: x.shape.channels * kernel * kernel)
        let weights = parameter(
            "weight", [channels, x.shape.channels, kernel, kernel], layout: .convolution, initial: initial)
        let bias = bias ? parameter("bias", [channels], initial: initial) : nil
        return named {
            $0.convolution(
                x, weights: weights, bias: bias, relu: relu, stride: stride, dilation: dilation, padding: padding,
                element: element)
        }
    }

    /// A linear layer with bias on one pixel; parameters `weight` and `bias`, uniform within ±1/sqrt(fan-in).
    ///
    /// - Parameters:
    ///   - x: [N, 1, 1, C].
    ///   - channels: K.
    ///   - element: what y is stored as; nil for what activations are.
    /// - Returns: y [N, 1, 1, K].
    public func linear(_ x: Value, channels: Int, element: ElementType? = nil) -> Value {
        let initial = Initializer.uniform(fanIn: x.shape.channels)
        let weights = parameter("weight", [channels, x.shape.channels], layout: .linear, initial: initial)
        let bias = parameter("bias", [channels], initial: initial)
        return named { $0.convolution(x, weights: weights, bias: bias, element: element) }
    }

    /// Batch normalisation and its tail: from the batch's statistics in training, from running ones in inference.
    ///
    /// Parameters `weight` (γ, 1 at first) and `bias` (β, 0), and as state `running_mean`, `running_var` and
    /// `num_batches_tracked`, which `updateStatistics` moves.
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - tail: what becomes of the normalised value in the same pass.
    /// - Returns: y, of x's shape.
    public func batchNorm(_ x: Value, tail: BatchNormTail = .none) -> Value {
        func state(_ name: String, _ initial: Initializer, _ layout: ParameterLayout = .vector) -> Value {
            parameter(
                name, layout == .counter ? [] : [x.shape.channels], layout: layout, initial: initial,
                group: .batchNormState, isTrainable: false)
        }
        let declared = parameters(mode == .training ? 5 : 4) {
            [
                parameter("weight", [x.shape.channels], initial: .ones),
                parameter("bias", [x.shape.channels], initial: .zeros),
                state("running_mean", .zeros), state("running_var", .ones),
            ] + (mode == .training ? [state("num_batches_tracked", .zeros, .counter)] : [])
        }
        let (gamma, beta, mean, variance) = (declared[0], declared[1], declared[2], declared[3])
        guard mode == .training else {
            return named { $0.batchNorm(x, gamma: gamma, beta: beta, mean: mean, variance: variance, tail: tail) }
        }
        let tracked = declared[4]
        let result = named { $0.batchNorm(x, gamma: gamma, beta: beta, tail: tail) }
        trace.statistics.visit(
            BatchStatistics.Running(scope: path, mean: mean, variance: variance, tracked: tracked),
            result.statistics)
        return result.y
    }

    /// Records the running-statistics updates of every batch norm that was applied in training, in the order of the
    /// applications: n equal updates at once where n in a row had the same input, one after the other where inputs
    /// differ.
    ///
    /// - Parameter flag: the non-finite flag that gates updates.
    public func updateStatistics(flag: Value) { trace.statistics.update(in: trace.recorder, flag: flag) }

    /// The batch norms that were applied in training.
    package var statistics: BatchStatistics { trace.statistics }

    /// ReLU and dropout in one pass; the same noise for the same scope, seed, phase, step and image of a batch.
    ///
    /// - Parameters:
    ///   - x: of any shape.
    ///   - probability: that of zeroing an element, in [0, 1).
    public func reluDropout(_ x: Value, probability: Double) -> Value {
        let before = trace.firstImage * (x.shape.storedCount / x.shape[0])
        return record(ReLUDropout(probability: probability, name: joined("dropout"), before: before), [x, step])[0]
    }

    /// A sample of gates by their logits, at the step's temperature; the same noise for the same scope, seed, phase and
    /// step.
    ///
    /// - Parameters:
    ///   - logits: [L, 2], column 0 = select and column 1 = skip.
    ///   - straightThrough: whether the forward pass takes the one-hot of the sample.
    /// - Returns: gates [L, 2].
    public func gumbelSoftmax(_ logits: Value, straightThrough: Bool = false) -> Value {
        let noise = record(UniformNoise(rows: logits.shape.rows, columns: 2, name: joined("gumbel")), [step])[0]
        return named { $0.gumbelSoftmax(logits, uniforms: noise, straightThrough: straightThrough).gates }
    }

    /// Max pooling over 3×3 windows, stride 2, padding 1.
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - ceilMode: whether a last partial window counts.
    public func maxPool(_ x: Value, ceilMode: Bool) -> Value { record(MaxPool(ceilMode: ceilMode), [x])[0] }

    /// Mean over both spatial axes: [N, H, W, C] → [N, 1, 1, C].
    public func globalAveragePool(_ x: Value) -> Value { record(GlobalAveragePool(), [x])[0] }

    /// Sum of tensors of one shape, added in order.
    ///
    /// - Precondition: at least one.
    public func sum(_ terms: [Value]) -> Value { terms.count == 1 ? terms[0] : record(Sum(), terms)[0] }
}

extension Initializer {
    /// Uniform within ±1/sqrt(fan-in).
    static func uniform(fanIn: Int) -> Initializer { .uniform(bound: 1 / Double(fanIn).squareRoot()) }
}
