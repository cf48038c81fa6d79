import Foundation

extension Reference {
    /// c · exp(−s) · loss + s/2 and its derivatives by loss and s.
    public static func uncertainLoss(_ loss: Double, s: Double, factor: Double) -> (
        y: Double, dloss: Double, ds: Double
    ) {
        let precision = factor * exp(-s)
        return (precision * loss + s / 2, precision, 0.5 - precision * loss)
    }

    /// The geometric mean and its derivatives.
    public static func geometricMean(_ losses: [Double]) -> (y: Double, gradient: [Double]) {
        let mean = exp(losses.reduce(0) { $0 + log($1) } / Double(losses.count))
        return (mean, losses.map { mean / (Double(losses.count) * $0) })
    }
}
