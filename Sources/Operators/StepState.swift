/// Everything that changes from step to step, laid out as the kernels read it (`prelude.cl`).
///
/// It lives in one small device buffer so that a plan never changes.
public struct StepState: Sendable, Equatable {
    /// Words in the buffer.
    public static let wordCount = 64
    /// Shape of the value that carries the buffer.
    public static let shape = Shape([wordCount], compact: true)

    /// Steps of the current phase taken before this one.
    public var step: UInt32 = 0
    /// Of all noise.
    public var seed: UInt64 = 0
    /// Which phase the noise belongs to.
    public var phase: UInt32 = 0
    /// Gumbel-Softmax temperature τ.
    public var temperature: Float = 1
    /// Share of all branches' cost that policy learning is steered to.
    public var budget: Float = 1
    /// Per parameter group: rate and Adam's bias corrections; groups without stay where they are.
    public var rates: [RateSlot: Rate] = [:]

    /// Learning rate of one parameter group, with Adam's bias corrections (unused by SGD).
    public struct Rate: Sendable, Equatable {
        /// Rate of the update.
        public var learningRate: Float
        /// 1 − β₁ᵗ
        public var biasCorrection1: Float
        /// sqrt(1 − β₂ᵗ)
        public var rootBiasCorrection2: Float

        /// Corrections of step `t`, counted from 1, computed in float64.
        public init(learningRate: Double, beta1: Double = 0, beta2: Double = 0, t: Int = 1) {
            self.learningRate = Float(learningRate)
            biasCorrection1 = Float(1 - power(beta1, t))
            rootBiasCorrection2 = Float((1 - power(beta2, t)).squareRoot())
        }
    }

    /// Creates the state of a first step without rates.
    public init() {}

    /// Has updates leave weights and logits as they are: every rate is 0.
    public mutating func holdWeights() {
        for slot in RateSlot.all { rates[slot] = Rate(learningRate: 0, beta1: 0.9, beta2: 0.999) }
    }

    /// The buffer's words.
    public var words: [UInt32] {
        var words = [UInt32](repeating: 0, count: Self.wordCount)
        words[0] = step
        words[1] = UInt32(truncatingIfNeeded: seed)
        words[2] = UInt32(truncatingIfNeeded: seed >> 32)
        words[3] = phase
        words[4] = temperature.bitPattern
        words[5] = budget.bitPattern
        // Groups without a rate stay where they are.
        let unset = Rate(learningRate: 0)
        for slot in RateSlot.all {
            let rate = rates[slot] ?? unset
            words[slot.offset] = rate.learningRate.bitPattern
            words[slot.offset + 1] = rate.biasCorrection1.bitPattern
            words[slot.offset + 2] = rate.rootBiasCorrection2.bitPattern
        }
        return words
    }
}

/// Where the step buffer has the learning rate of one parameter group; which group that is, is the network's business.
public struct RateSlot: Hashable, Sendable {
    /// From 0.
    public let index: Int
    private static let (first, words) = (8, 4)

    /// As many as the buffer has room for.
    public static let all = (0..<((StepState.wordCount - first) / words)).map { RateSlot($0) }

    /// - Precondition: the buffer has that many.
    public init(_ index: Int) {
        precondition(
            index >= 0 && Self.first + Self.words * (index + 1) <= StepState.wordCount, "no rate slot \(index)")
        self.index = index
    }

    /// Word of the step buffer where the group's rate begins.
    var offset: Int { Self.first + Self.words * index }
}

/// baseᵗ by repeated squaring: the same bits on every platform.
func power(_ base: Double, _ exponent: Int) -> Double {
    var result = 1.0
    var factor = base
    var rest = exponent
    while rest > 0 {
        if rest & 1 == 1 { result *= factor }
        factor *= factor
        rest >>= 1
    }
    return result
}
