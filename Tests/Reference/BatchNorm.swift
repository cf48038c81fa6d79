extension Reference {
    /// Normalises each channel by the batch's own statistics, in two passes.
    ///
    ///     y = γ · (x − μ) / sqrt(σ² + ε) + β,   σ² = Σ (x − μ)² / n
    ///
    /// - Parameter x: input, shape [N, H, W, C].
    /// - Parameter gamma: scale, shape [C].
    /// - Parameter beta: offset, shape [C].
    /// - Returns: y, same shape; μ, 1/sqrt(σ² + ε) and σ²·n/(n − 1) for the running statistics, all [C]. With n = 1 the
    ///   unbiased variance is given as 0, since PyTorch refuses that case and it has no value.
    /// - Source: Ioffe & Szegedy 2015, algorithm 1.
    public static func batchNormTraining(
        x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Double = 1e-5
    ) -> (y: Tensor, mean: Tensor, inverseDeviation: Tensor, unbiasedVariance: Tensor) {
        let channels = extents(x).c
        let n = Double(x.count / channels)
        let mean = channelSums(x).map { $0 / n }
        var squares = x
        for index in 0..<x.count {
            let deviation = x.values[index] - mean.values[index % channels]
            squares.values[index] = deviation * deviation
        }
        let squareSums = channelSums(squares)
        let inverseDeviation = squareSums.map { 1 / ($0 / n + epsilon).squareRoot() }
        let unbiasedVariance = squareSums.map { n > 1 ? $0 / (n - 1) : 0 }
        let y = normalise(x, mean: mean, inverseDeviation: inverseDeviation, gamma: gamma, beta: beta)
        return (y, mean, inverseDeviation, unbiasedVariance)
    }

    /// Normalises each channel by given statistics.
    ///
    ///     y = γ · (x − μ) / sqrt(σ² + ε) + β
    ///
    /// - Parameter mean: running mean, shape [C].
    /// - Parameter variance: running variance, shape [C].
    public static func batchNormInference(
        x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Double = 1e-5
    ) -> Tensor {
        let inverseDeviation = variance.map { 1 / ($0 + epsilon).squareRoot() }
        return normalise(x, mean: mean, inverseDeviation: inverseDeviation, gamma: gamma, beta: beta)
    }

    /// The gradients of batch normalisation in training mode, through the batch's own statistics.
    ///
    ///     x̂ = (x − μ)·ρ,  dβ = Σ dy,  dγ = Σ dy·x̂,  dx = γ·ρ·(dy − dβ/n − x̂·dγ/n)
    ///
    /// - Parameter mean: the forward pass's μ, shape [C].
    /// - Parameter inverseDeviation: the forward pass's ρ = 1/sqrt(σ² + ε), shape [C].
    /// - Returns: dx, shape of x; dγ and dβ, shape [C].
    public static func batchNormBackward(
        x: Tensor, dy: Tensor, gamma: Tensor, mean: Tensor, inverseDeviation: Tensor
    ) -> (dx: Tensor, dgamma: Tensor, dbeta: Tensor) {
        let channels = extents(x).c
        let n = Double(x.count / channels)
        let unit = Tensor.filled(shape: [channels], with: 1)
        let zero = Tensor.zeros(shape: [channels])
        let normalised = normalise(x, mean: mean, inverseDeviation: inverseDeviation, gamma: unit, beta: zero)
        let dbeta = channelSums(dy)
        let dgamma = channelSums(dy.zip(normalised, *))
        var dx = dy
        for index in 0..<x.count {
            let c = index % channels
            let centred = dy.values[index] - dbeta.values[c] / n - normalised.values[index] * dgamma.values[c] / n
            dx.values[index] = gamma.values[c] * inverseDeviation.values[c] * centred
        }
        return (dx, dgamma, dbeta)
    }

    /// Moves running statistics by `count` equal updates at once.
    ///
    ///     r ← (1 − m)ⁿ·r + (1 − (1 − m)ⁿ)·s
    ///
    /// - Parameter running: running mean or variance before, shape [C].
    /// - Parameter statistic: the batch's mean or unbiased variance, shape [C].
    /// - Parameter count: n, how many tasks pass the layer.
    public static func runningStatistics(
        running: Tensor, statistic: Tensor, momentum: Double = 0.1, count: Int = 1
    ) -> Tensor {
        var keep = 1.0
        for _ in 0..<count { keep *= 1 - momentum }
        return running.zip(statistic) { keep * $0 + (1 - keep) * $1 }
    }

    /// Sums each channel over the batch and both spatial axes.
    private static func channelSums(_ x: Tensor) -> Tensor {
        biasGradient(dy: x)
    }

    private static func normalise(
        _ x: Tensor, mean: Tensor, inverseDeviation: Tensor, gamma: Tensor, beta: Tensor
    ) -> Tensor {
        let channels = extents(x).c
        var y = x
        for index in 0..<x.count {
            let c = index % channels
            let normalised = (x.values[index] - mean.values[c]) * inverseDeviation.values[c]
            y.values[index] = gamma.values[c] * normalised + beta.values[c]
        }
        return y
    }
}
