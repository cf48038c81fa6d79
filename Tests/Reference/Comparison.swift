/// Compares a device's float32 results with the reference, every element.
public enum Comparison {
    /// The element that differs most.
    public struct Worst: Sendable, CustomStringConvertible {
        /// Flat position of the element, or nil if the counts differ or are zero.
        public let index: Int?
        /// Its indices along each axis.
        public let indices: [Int]
        /// Value found and value expected.
        public let actual: Double, expected: Double
        /// |actual − expected| / max |expected|.
        public let error: Double

        public var description: String {
            index == nil
                ? "error \(error): element counts differ or are zero"
                : "error \(error) at \(indices): found \(actual), expected \(expected)"
        }
    }

    /// The largest error of any element, relative to the largest magnitude expected.
    ///
    ///     max |actual − expected| / max |expected|
    ///
    /// Absolute if all expected values are zero. Infinite if the counts differ, there is nothing to compare or a value
    /// is not finite, so that no such result passes a `<` test.
    public static func maximumError(actual: [Float], expected: Tensor) -> Double {
        worst(actual: actual, expected: expected).error
    }

    /// As above for float64 results.
    public static func maximumError(actual: Tensor, expected: Tensor) -> Double {
        actual.shape == expected.shape ? worst(actual.values, expected).error : .infinity
    }

    /// The element with the largest error, for a test's message.
    public static func worst(actual: [Float], expected: Tensor) -> Worst {
        worst(actual.map(Double.init), expected)
    }

    /// The same for words of float32 as they are stored: rows of `pitch`, of which the first `channels` count.
    public static func worst(stored: [UInt32], channels: Int, pitch: Int, expected: Tensor) -> Worst {
        worst(unpadded(stored, channels: channels, pitch: pitch).map { Double(Float(bitPattern: $0)) }, expected)
    }

    /// Rows of `pitch` words without what follows the first `channels` of each.
    public static func unpadded(_ stored: [UInt32], channels: Int, pitch: Int) -> [UInt32] {
        guard pitch != channels else { return stored }
        var result: [UInt32] = []
        result.reserveCapacity(stored.count / pitch * channels)
        for row in 0..<stored.count / pitch { result += stored[row * pitch..<row * pitch + channels] }
        return result
    }

    /// The position of a pad that is not zero, in rows of `pitch` words with pads after the first `channels`.
    public static func dirtyPad(stored: [UInt32], channels: Int, pitch: Int) -> Int? {
        guard pitch != channels else { return nil }
        for row in 0..<stored.count / pitch {
            for at in row * pitch + channels..<(row + 1) * pitch where Float(bitPattern: stored[at]) != 0 { return at }
        }
        return nil
    }

    /// Whether two results have the same bits.
    public static func areSame(_ a: [UInt32], _ b: [UInt32]) -> Bool { a == b }

    /// bfloat16 as the float32 of the same value.
    public static func widened(_ halves: [UInt16]) -> [UInt32] { halves.map { UInt32($0) << 16 } }

    private static func worst(_ actual: [Double], _ expected: Tensor) -> Worst {
        guard actual.count == expected.count else {
            return Worst(index: nil, indices: [], actual: .nan, expected: .nan, error: .infinity)
        }
        let magnitude = expected.maximumMagnitude
        let scale = magnitude > 0 ? magnitude : 1
        var (index, largest): (Int?, Double) = (nil, 0)
        for (position, (found, wanted)) in zip(actual, expected.values).enumerated() {
            let error = abs(found - wanted) / scale
            let bounded = error.isNaN ? Double.infinity : error
            if index == nil || bounded > largest { (index, largest) = (position, bounded) }
        }
        guard let index else { return Worst(index: nil, indices: [], actual: .nan, expected: .nan, error: .infinity) }
        var (rest, indices) = (index, [Int]())
        for extent in expected.shape.reversed() {
            indices.insert(rest % extent, at: 0)
            rest /= extent
        }
        return Worst(
            index: index, indices: indices, actual: actual[index], expected: expected.values[index], error: largest)
    }
}
