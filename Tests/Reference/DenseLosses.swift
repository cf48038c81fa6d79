/// How stored normal colours become the direction a prediction is compared with.
public enum NormalConvention: Sendable {
    /// Decoded, v/127.5 − 1, in order (x, y, z) = (R, G, B).
    case exact
    /// The raw colour 0..255 as a vector, in order B, G, R.
    case published
}

/// Which labels of a regression count.
public enum ValidRule: Sendable {
    /// g > bound (depth).
    case greaterThan(Double)
    /// g ≠ value (keypoints, edges).
    case notEqual(Double)

    /// Whether a label counts.
    public func holds(_ label: Double) -> Bool {
        switch self {
        case .greaterThan(let bound): label > bound
        case .notEqual(let value): label != value
        }
    }
}

extension Reference {
    /// Smallest length a vector is divided by, as in PyTorch's `normalize`.
    static let smallestLength = 1e-12

    /// One minus the mean cosine between predicted and stored normals over valid pixels.
    ///
    ///     loss = 1 − 1/V · Σ p̂·t̂,   v̂ = v / max(|v|, 1e-12),   dp = −1/V · (t̂ − (p̂·t̂)·p̂) / |p|
    ///
    /// - Parameter prediction: p, shape [N, h, w, 3].
    /// - Parameter labels: raw colours 0..255 in R, G, B order, shape [N, H, W, 3], resized to [h, w] by nearest
    ///   neighbour. A pixel whose largest channel is 255 is invalid.
    /// - Returns: the loss and its gradient, shape of the prediction; both zero without a valid pixel.
    public static func cosineLoss(
        prediction: Tensor, labels: Tensor, mode: NormalConvention
    ) -> (loss: Double, gradient: Tensor) {
        let (n, h, w, channels) = extents(prediction)
        let label = extents(labels)
        precondition(channels == 3 && label.c == 3 && label.n == n, "found \(prediction.shape) and \(labels.shape)")
        var gradient = Tensor.zeros(shape: prediction.shape)
        var (cosines, valid) = (0.0, 0)
        forEachResized(n: n, from: (label.h, label.w), to: (h, w)) { source, target in
            let colour = Array(labels.values[source * 3..<source * 3 + 3])
            if max(colour[0], colour[1], colour[2]) >= 255 { return }
            let stored = mode == .exact ? colour.map { $0 / 127.5 - 1 } : colour.reversed()
            let vector = Array(prediction.values[target * 3..<target * 3 + 3])
            let truth = stored.map { $0 / max(length(stored), smallestLength) }
            let size = length(vector)
            let unit = vector.map { $0 / max(size, smallestLength) }
            let cosine = zip(unit, truth).map { $0 * $1 }.reduce(0, +)
            cosines += cosine
            valid += 1
            for axis in 0..<3 {
                // Below the bound the divisor is a constant, so the projection drops out.
                let slope =
                    size < smallestLength
                    ? truth[axis] / smallestLength : (truth[axis] - cosine * unit[axis]) / size
                gradient.values[target * 3 + axis] = -slope
            }
        }
        guard valid > 0 else { return (0, .zeros(shape: prediction.shape)) }
        return (1 - cosines / Double(valid), gradient.map { $0 / Double(valid) })
    }

    /// Mean absolute error over valid pixels.
    ///
    ///     loss = 1/V · Σ |p − g|,   dp = sign(p − g)/V,  sign(0) = 0
    ///
    /// - Parameter prediction: p, shape [N, h, w, 1].
    /// - Parameter labels: g, shape [N, H, W], resized to [h, w] by nearest neighbour.
    /// - Returns: the loss and its gradient, shape of the prediction; both zero without a valid pixel.
    public static func maskedL1(
        prediction: Tensor, labels: Tensor, valid rule: ValidRule
    ) -> (loss: Double, gradient: Tensor) {
        let (n, h, w, channels) = extents(prediction)
        precondition(
            channels == 1 && labels.shape.count == 3 && labels.shape[0] == n,
            "found \(prediction.shape) and \(labels.shape)")
        var gradient = Tensor.zeros(shape: prediction.shape)
        var (errors, valid) = (0.0, 0)
        forEachResized(n: n, from: (labels.shape[1], labels.shape[2]), to: (h, w)) { source, target in
            let label = labels.values[source]
            guard rule.holds(label) else { return }
            let difference = prediction.values[target] - label
            errors += abs(difference)
            valid += 1
            gradient.values[target] = sign(difference)
        }
        guard valid > 0 else { return (0, .zeros(shape: prediction.shape)) }
        return (errors / Double(valid), gradient.map { $0 / Double(valid) })
    }

    /// −1, 0 or 1.
    static func sign(_ x: Double) -> Double {
        x > 0 ? 1 : x < 0 ? -1 : 0
    }

    private static func length(_ vector: [Double]) -> Double {
        vector.map { $0 * $0 }.reduce(0, +).squareRoot()
    }
}
