import Foundation

/// One draw of soft or straight-through decisions.
public struct GumbelSample: Sendable {
    /// The decisions, shape [L, 2]: column 0 select, column 1 skip.
    public let v: Tensor
    /// The soft decisions; equal to `v` unless straight-through.
    public let soft: Tensor
    /// softmax(logits), shape [L, 2].
    public let probabilities: Tensor
    /// τ.
    public let temperature: Double

    /// Carries a gradient of the decisions back to the logits, through the soft decisions in both modes.
    ///
    ///     da = s·(dv − Σ dv·s)/τ,   dz = da − α·Σ da
    ///
    /// - Parameter dv: gradient of `v`, shape [L, 2].
    /// - Returns: gradient of the logits, shape [L, 2].
    public func gradient(dv: Tensor) -> Tensor {
        var dz = Tensor.zeros(shape: v.shape)
        let columns = v.shape[1]
        for row in 0..<v.shape[0] {
            let cells = row * columns..<(row + 1) * columns
            let mean = cells.map { dv.values[$0] * soft.values[$0] }.reduce(0, +)
            let da = cells.map { soft.values[$0] * (dv.values[$0] - mean) / temperature }
            let total = da.reduce(0, +)
            for (column, cell) in cells.enumerated() {
                dz.values[cell] = da[column] - probabilities.values[cell] * total
            }
        }
        return dz
    }
}

extension Reference {
    /// Samples decisions by Gumbel-Softmax from given uniform numbers.
    ///
    ///     v = softmax((log softmax(z) + G)/τ),   G = −log(−log U)
    ///
    /// - Parameter logits: z, shape [L, 2].
    /// - Parameter uniforms: U in (0, 1), shape [L, 2].
    /// - Parameter straightThrough: makes `v` one-hot (the first of equal maxima) and keeps the soft gradient.
    /// - Source: Jang, Gu & Poole 2017; method, section 2.
    public static func gumbelSoftmax(
        logits: Tensor, uniforms: Tensor, temperature: Double, straightThrough: Bool = false
    ) -> GumbelSample {
        precondition(
            logits.shape.count == 2 && logits.shape == uniforms.shape, "found \(logits.shape) and \(uniforms.shape)")
        var soft = Tensor.zeros(shape: logits.shape)
        var hard = soft
        var probabilities = soft
        let columns = logits.shape[1]
        for row in 0..<logits.shape[0] {
            let cells = row * columns..<(row + 1) * columns
            let scores = Array(logits.values[cells])
            let noise = uniforms.values[cells].map { -log(-log($0)) }
            let decisions = softmax(zip(logSoftmax(scores), noise).map { ($0 + $1) / temperature })
            var winner = 0
            for column in 1..<columns where decisions[column] > decisions[winner] { winner = column }
            soft.values.replaceSubrange(cells, with: decisions)
            probabilities.values.replaceSubrange(cells, with: softmax(scores))
            hard.values[cells.lowerBound + winner] = 1
        }
        return GumbelSample(
            v: straightThrough ? hard : soft, soft: soft, probabilities: probabilities, temperature: temperature)
    }
}
