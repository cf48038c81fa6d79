import Foundation

/// The logarithms of the classes' frequencies, which have the least cross-entropy of all constants.
///
/// The loss that they reach is the entropy of the frequencies. The largest output is the most frequent class, so that
/// loss and metrics are served by the same one. With class weights frequencies are weighted, as the loss is.
public struct ClassFrequencies: ConstantGuess {
    private var counts: [Double]
    private let weights: [Double]
    private let ignored: Int

    /// Creates an empty guess.
    ///
    /// - Parameters:
    ///   - classes: how many there are.
    ///   - ignored: the label that is left out.
    ///   - weights: of the classes in the loss; nil for equal ones.
    /// - Precondition: one weight per class.
    public init(classes: Int, ignored: Int, weights: [Double]? = nil) {
        precondition(weights.map { $0.count == classes } ?? true, "one weight per class")
        counts = Array(repeating: 0, count: classes)
        self.weights = weights ?? Array(repeating: 1, count: classes)
        self.ignored = ignored
    }

    public mutating func add(_ label: ImageLabel) {
        for value in label.classes where value != ignored && value >= 0 && value < counts.count {
            counts[Int(value)] += 1
        }
    }

    /// A class that never occurs gets the logarithm of 10⁻³⁰.
    public func prediction() -> [Float] {
        let shares = shares
        return shares.map { shares.allSatisfy(\.isZero) ? 0 : Float(log(max($0, 1e-30))) }
    }

    public func loss() -> Double {
        let shares = shares
        guard !shares.allSatisfy(\.isZero) else { return .nan }
        return shares.reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) }
    }

    private var shares: [Double] {
        let weighted = zip(counts, weights).map { $0 * $1 }
        let total = weighted.reduce(0, +)
        return total > 0 ? weighted.map { $0 / total } : weighted.map { _ in 0 }
    }
}
