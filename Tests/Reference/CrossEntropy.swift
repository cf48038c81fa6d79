import Foundation

extension Reference {
    /// Softmax of one row of scores, shifted by its maximum.
    static func softmax(_ scores: [Double]) -> [Double] {
        let peak = scores.max() ?? 0
        let exponentials = scores.map { exp($0 - peak) }
        let total = exponentials.reduce(0, +)
        return exponentials.map { $0 / total }
    }

    /// Logarithm of the softmax of one row of scores.
    static func logSoftmax(_ scores: [Double]) -> [Double] {
        let peak = scores.max() ?? 0
        let logTotal = log(scores.map { exp($0 - peak) }.reduce(0, +))
        return scores.map { $0 - peak - logTotal }
    }

    /// Softmax cross-entropy over all pixels with a label, as PyTorch's (weighted) mean.
    ///
    ///     loss = Σ w[g]·(−log softmax(z)[g]) / Σ w[g],   dz = w[g]/Σw · (softmax(z) − onehot(g))
    ///
    /// - Parameter logits: z, shape [N, h, w, K].
    /// - Parameter labels: g, classes 0..<K or `ignore`, row-major of `labelShape`; resized to [h, w] by nearest
    ///   neighbour.
    /// - Parameter labelShape: [N, H, W].
    /// - Parameter classWeights: one weight per class, shape [K], or nil for 1 each.
    /// - Returns: the loss and its gradient, shape of the logits; both zero when no pixel has weight.
    public static func softmaxCrossEntropy(
        logits: Tensor, labels: [Int32], labelShape: [Int], ignore: Int32, classWeights: Tensor? = nil
    ) -> (loss: Double, gradient: Tensor) {
        let (n, h, w, classes) = extents(logits)
        precondition(
            labelShape.count == 3 && labelShape[0] == n && labels.count == labelShape.reduce(1, *),
            "expected labels of shape [\(n), H, W], found \(labelShape) with \(labels.count) values")
        var gradient = Tensor.zeros(shape: logits.shape)
        var (loss, totalWeight) = (0.0, 0.0)
        forEachResized(n: n, from: (labelShape[1], labelShape[2]), to: (h, w)) { source, target in
            let label = labels[source]
            if label == ignore { return }
            precondition(label >= 0 && label < classes, "label \(label) lies outside 0..<\(classes)")
            let weight = classWeights?.values[Int(label)] ?? 1
            let row = Array(logits.values[target * classes..<(target + 1) * classes])
            loss -= weight * logSoftmax(row)[Int(label)]
            totalWeight += weight
            let probabilities = softmax(row)
            for k in 0..<classes {
                gradient.values[target * classes + k] = weight * (probabilities[k] - (k == label ? 1 : 0))
            }
        }
        guard totalWeight > 0 else { return (0, .zeros(shape: logits.shape)) }
        return (loss / totalWeight, gradient.map { $0 / totalWeight })
    }
}
