import Foundation

/// The best output that does not look at the image, learned from the labels of a split.
///
/// | kind | output | loss that it reaches |
/// |---|---|---|
/// | segmentation, classification | logarithms of the class frequencies | entropy of the frequencies |
/// | normals | direction of the mean unit vector, in the trained space | 1 − length of the mean |
/// | depth, keypoints, edges | median | mean distance from the median |
///
/// The largest class output is the most frequent class, so the same output serves loss and metrics. With class weights
/// the frequencies are weighted, as the loss is.
public struct ConstantGuess: Sendable {
    private enum State: Sendable {
        case classes(counts: [Double], ignoreLabel: Int)
        case direction(sum: SIMD3<Double>, count: Int, space: NormalSpace)
        case median(ValueHistogram, isDepth: Bool)
    }

    private var state: State

    /// Creates an empty guess for a task.
    ///
    /// - Parameters:
    ///   - kind: what the task predicts.
    ///   - channels: its outputs.
    ///   - ignoreLabel: class label that is left out.
    ///   - normals: the space in which normals are trained.
    ///   - classWeights: weights of the classes in the loss, or `nil` for equal ones.
    public init(
        kind: TaskKind, channels: Int, ignoreLabel: Int = 255, normals: NormalSpace = .exact,
        classWeights: [Double]? = nil
    ) {
        precondition(classWeights.map { $0.count == channels } ?? true, "one weight per class")
        weights = classWeights ?? Array(repeating: 1, count: channels)
        switch kind {
        case .segmentation, .classification:
            let ignored = kind == .classification && ignoreLabel < channels ? -1 : ignoreLabel
            state = .classes(counts: Array(repeating: 0, count: channels), ignoreLabel: ignored)
        case .normals: state = .direction(sum: .zero, count: 0, space: normals)
        case .depth: state = .median(ValueHistogram(), isDepth: true)
        case .keypoints, .edges: state = .median(ValueHistogram(), isDepth: false)
        }
    }

    private let weights: [Double]

    /// Adds class labels; ignored ones and values outside the classes are left out.
    ///
    /// - Precondition: the task is a segmentation or a classification.
    public mutating func add(label: [Int32]) {
        guard case .classes(var counts, let ignored) = state else {
            preconditionFailure("this task has labels of numbers, not of classes")
        }
        for value in label where value != ignored && value >= 0 && value < counts.count { counts[Int(value)] += 1 }
        state = .classes(counts: counts, ignoreLabel: ignored)
    }

    /// Adds labels of numbers: one per pixel, or for normals raw colours R, G, B; invalid ones are left out.
    ///
    /// - Precondition: the task is neither a segmentation nor a classification.
    public mutating func add(label: [Float]) {
        switch state {
        case .classes: preconditionFailure("this task has labels of classes, not of numbers")
        case .direction(var sum, var count, let space):
            for index in 0..<label.count / 3 {
                let colour = vector(label, at: index)
                guard isValidNormal(colour) else { continue }
                sum += normalised(
                    space == .exact ? decodedNormal(colour) : SIMD3(colour.z, colour.y, colour.x))
                count += 1
            }
            state = .direction(sum: sum, count: count, space: space)
        case .median(var histogram, let isDepth):
            state = .median(ValueHistogram(), isDepth: isDepth)  // Gives up the copy of a large histogram.
            for value in label where isDepth ? isValidDepth(value) : value != 255 { histogram.add(value) }
            state = .median(histogram, isDepth: isDepth)
        }
    }

    /// The constant output, one number per channel, to be scored like a prediction of 1 × 1 pixels.
    ///
    /// Without any label: zeros. A class that never occurs gets the logarithm of 10⁻³⁰.
    public func prediction() -> [Float] {
        switch state {
        case .classes(let counts, _):
            let shares = shares(counts)
            return shares.map { shares.allSatisfy(\.isZero) ? 0 : Float(log(max($0, 1e-30))) }
        case .direction(let sum, _, _):
            let unit = normalised(sum)
            return [Float(unit.x), Float(unit.y), Float(unit.z)]
        case .median(let histogram, _): return [Float(histogram.median)]
        }
    }

    /// The task's loss (without λ) at the constant output; NaN without any label.
    public func loss() -> Double {
        switch state {
        case .classes(let counts, _):
            let shares = shares(counts)
            guard !shares.allSatisfy(\.isZero) else { return .nan }
            return shares.reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) }
        case .direction(let sum, let count, _):
            return count == 0 ? .nan : 1 - (sum * sum).sum().squareRoot() / Double(count)
        case .median(let histogram, _): return histogram.meanDistanceFromMedian
        }
    }

    private func shares(_ counts: [Double]) -> [Double] {
        let weighted = zip(counts, weights).map { $0 * $1 }
        let total = weighted.reduce(0, +)
        return total > 0 ? weighted.map { $0 / total } : weighted.map { _ in 0 }
    }
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
