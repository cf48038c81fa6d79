/// The median of numbers, which has the least absolute error of all constants.
///
/// Its loss is the mean distance from it.
public struct MedianGuess: ConstantGuess {
    private var histogram = ValueHistogram()
    private let isLabel: @Sendable (Float) -> Bool

    /// Creates an empty guess.
    ///
    /// - Parameter isLabel: whether a value is a label.
    public init(isLabel: @escaping @Sendable (Float) -> Bool) { self.isLabel = isLabel }

    public mutating func add(_ label: ImageLabel) {
        for value in label.numbers where isLabel(value) { histogram.add(value) }
    }

    public func prediction() -> [Float] { [Float(histogram.median)] }

    public func loss() -> Double { histogram.meanDistanceFromMedian }
}

/// Counts and sums of numbers in bins of one part in 2048, whatever their size: a median without keeping the numbers.
///
/// The bin of a number is the upper half of its bit pattern with four bits more, so bins are ordered and a bin's mean
/// stands for its numbers. The result is exact where the numbers of the median's bin are equal.
private struct ValueHistogram: Sendable {
    private static let shift = 12
    private var counts: [Int] = []
    private var sums: [Double] = []
    private var total = 0

    mutating func add(_ value: Float) {
        guard value.isFinite else { return }
        if counts.isEmpty {
            counts = Array(repeating: 0, count: 1 << (32 - Self.shift))
            sums = Array(repeating: 0, count: counts.count)
        }
        // Maps bit patterns to unsigned numbers of the same order as the values.
        let bits = value.bitPattern
        let key = Int((bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits) >> Self.shift)
        counts[key] += 1
        sums[key] += Double(value)
        total += 1
    }

    /// Mean of the bin that holds the number with `rank` smaller ones.
    private func value(rank: Int) -> Double {
        var seen = 0
        for key in counts.indices where counts[key] > 0 {
            seen += counts[key]
            if seen > rank { return sums[key] / Double(counts[key]) }
        }
        return 0
    }

    var median: Double { (value(rank: (total - 1) / 2) + value(rank: total / 2)) / 2 }

    var meanDistanceFromMedian: Double {
        let median = median
        var sum = 0.0
        for key in counts.indices where counts[key] > 0 {
            sum += abs(sums[key] - Double(counts[key]) * median)
        }
        return total == 0 ? .nan : sum / Double(total)
    }
}
