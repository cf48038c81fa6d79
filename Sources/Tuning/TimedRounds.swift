/// How long measurements of times may take.
package enum MeasuringTime {
    /// Whether as few rounds as possible do, disturbed or not: for those who look at no times, as tests of all else.
    @TaskLocal package static var isLeast = false
}

/// Rounds of measurements, each of one or more times taken in turns, repeated until it is known what each takes
/// undisturbed.
///
/// Other work on the machine adds to times and takes nothing away, so the smallest ones are what is sought. They are
/// found once the three smallest of each agree.
package struct TimedRounds<Round> {
    /// Every round, in order.
    package private(set) var rounds: [Round] = []
    /// Whether the smallest times agree; else the machine was busy to the end, and they are too large.
    package private(set) var isSettled = false
    private let times: (Round) -> [Double]
    private let tolerance: Double

    /// Measures at least 5 rounds and 0.8 s, at most 200 rounds, and none after 3 s; where `MeasuringTime` is least,
    /// 5 rounds.
    ///
    /// - Parameters:
    ///   - measure: one round.
    ///   - times: what a round took, in milliseconds; as many in every round.
    ///   - tolerance: so much above the smallest the third smallest may lie, relatively.
    ///   - elapsed: milliseconds since the start; the wall clock's if nil.
    package init(
        tolerance: Double = 0.01, elapsed: (() -> Double)? = nil, _ measure: () throws -> Round,
        times: @escaping (Round) -> [Double]
    ) rethrows {
        self.times = times
        self.tolerance = tolerance
        let start = ContinuousClock.now
        let elapsed = elapsed ?? { (ContinuousClock.now - start).milliseconds }
        let isLeast = MeasuringTime.isLeast
        repeat {
            rounds.append(try measure())
            isSettled = rounds.count >= 5 && agree
        } while rounds.count < 5
            || !isLeast && rounds.count < 200 && elapsed() < (isSettled ? 800 : 3000)
    }

    /// Whether the three smallest of each time do.
    private var agree: Bool {
        let all = rounds.map(times)
        return all[0].indices.allSatisfy { index in
            let smallest = all.map { $0[index] }.sorted()
            return smallest[2] <= smallest[0] * (1 + tolerance)
        }
    }

    /// The smallest of a time.
    package func smallest(_ time: (Round) -> Double) -> Double { rounds.map(time).min() ?? 0 }
}

extension Duration {
    package var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15 }
}
