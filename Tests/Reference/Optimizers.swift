import Foundation

extension Reference {
    /// One step of stochastic gradient descent with PyTorch's momentum and coupled weight decay.
    ///
    ///     g = gradient + decay·p,   b = g on the first step, else momentum·b + g,   p ← p − rate·b
    ///
    /// - Parameter buffer: b of the step before, or nil on the first.
    /// - Returns: the new parameter and buffer.
    public static func sgd(
        parameter: Tensor, gradient: Tensor, buffer: Tensor?, learningRate: Double, momentum: Double = 0.9,
        weightDecay: Double = 0
    ) -> (parameter: Tensor, buffer: Tensor) {
        let decayed = gradient.zip(parameter) { $0 + weightDecay * $1 }
        let next = buffer.map { $0.zip(decayed) { momentum * $0 + $1 } } ?? decayed
        return (parameter.zip(next) { $0 - learningRate * $1 }, next)
    }

    /// One step of Adam with coupled weight decay.
    ///
    ///     g = gradient + decay·p,   m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²
    ///     p ← p − rate/(1 − β₁ᵗ) · m / (sqrt(v)/sqrt(1 − β₂ᵗ) + ε)
    ///
    /// - Parameter first: m before the step; zeros before the first.
    /// - Parameter second: v before the step; zeros before the first.
    /// - Parameter step: t, counted from 1.
    /// - Returns: the new parameter, m and v.
    /// - Source: Kingma & Ba 2015, algorithm 1, with PyTorch's placement of ε.
    public static func adam(
        parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: Int, learningRate: Double,
        betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8, weightDecay: Double = 0
    ) -> (parameter: Tensor, first: Tensor, second: Tensor) {
        let decayed = gradient.zip(parameter) { $0 + weightDecay * $1 }
        let m = first.zip(decayed) { betas.0 * $0 + (1 - betas.0) * $1 }
        let v = second.zip(decayed) { betas.1 * $0 + (1 - betas.1) * $1 * $1 }
        let stepSize = learningRate / (1 - pow(betas.0, Double(step)))
        let correction = (1 - pow(betas.1, Double(step))).squareRoot()
        let move = m.zip(v) { stepSize * $0 / ($1.squareRoot() / correction + epsilon) }
        return (parameter.zip(move, -), m, v)
    }
}
