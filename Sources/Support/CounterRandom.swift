/// A stream of random numbers that is a pure function of its keys.
///
/// The keys are hashed into a starting point; draw number i is the SplitMix64 finaliser of `start + i · γ`. Two streams
/// whose keys differ anywhere are unrelated, and no stream depends on how much another was used, so work can be cut
/// over threads in any way.
///
/// - Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
public struct CounterRandom: RandomNumberGenerator, Sendable {
    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var state: UInt64

    /// Creates the stream of a seed and any number of integer keys; the order of the keys matters.
    public init(seed: UInt64, _ keys: UInt64...) {
        self.init(seed: seed, keys: keys)
    }

    /// Creates the stream of a seed, a name (a phase, a purpose) and integer keys.
    public init(seed: UInt64, name: String, _ keys: UInt64...) {
        self.init(seed: seed, keys: [FNV1a.hash(of: name)] + keys)
    }

    /// The stream of SplitMix64 that begins at `state`.
    public init(state: UInt64) { self.state = state }

    private init(seed: UInt64, keys: [UInt64]) {
        var hash = Self.mix(seed &+ Self.step)
        for key in keys {
            hash = Self.mix((hash ^ Self.mix(key &+ Self.step)) &+ Self.step)
        }
        state = hash
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mix(state)
    }

    /// A number drawn uniformly from [0, 1), a multiple of 2⁻⁵³.
    public mutating func uniform() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// A number drawn uniformly from a range.
    public mutating func uniform(_ range: ClosedRange<Double>) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// An integer drawn uniformly from `0..<bound`, without bias.
    ///
    /// - Precondition: `bound` is positive.
    public mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0, "a bound must be positive")
        let range = UInt64(bound)
        let threshold = (0 &- range) % range
        while true {
            let (high, low) = next().multipliedFullWidth(by: range)
            if low >= threshold { return Int(high) }
        }
    }

    /// The numbers `0..<count` in random order (Fisher-Yates).
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, integer(below: last + 1))
        }
        return order
    }

    /// The finaliser of SplitMix64: a bijection of 64-bit words.
    package static func mix(_ word: UInt64) -> UInt64 {
        var z = word
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
