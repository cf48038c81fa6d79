import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators

/// Measures the algorithms that can compute a convolution, on random data.
public struct AlgorithmSearch {
    let library: KernelLibrary
    /// How often each is measured, and by what clock.
    let measuring: Measuring

    /// What one algorithm came to.
    public struct Result: Sendable, Hashable, Codable {
        /// What was measured.
        public let algorithm: ConvolutionAlgorithm
        /// The best of a few runs: others on the machine only ever make one longer.
        public let milliseconds: Double
        /// How much longer the second best run was, as a part of the best: small where both were left alone; 0 of
        /// what was too slow to be measured twice.
        public let scatter: Double
        /// The largest deviation from float64 among sampled results, as a part of the largest one; the greatest number
        /// where one is none.
        public let error: Double
        /// Whether it may be used.
        public var isRight: Bool { error <= algorithm.largestError }

        /// The best of this and an earlier measurement of the same.
        func best(with earlier: Result) -> Result {
            let (best, other) = milliseconds <= earlier.milliseconds ? (self, earlier) : (earlier, self)
            return Result(
                algorithm: algorithm, milliseconds: best.milliseconds,
                scatter: min(best.scatter, other.milliseconds / best.milliseconds - 1), error: error)
        }
    }

    /// Another algorithm than the heuristic's has to be better by this much, so that noise does not decide.
    private static let margin = 0.03

    /// How candidates are measured.
    struct Measuring {
        /// How often each is: more often than a few times as long as all of them together are short.
        var fewestRounds = 3
        var mostRounds = 20
        var milliseconds = 100.0
        /// How many times as long as the fastest one an algorithm may take to be measured again.
        var mostBehind = 2.0
        /// A run shorter than that may have been disturbed by as much, and is repeated before it is judged.
        var shortMilliseconds = 50.0
        /// Of algorithms that take longer than that, the run whose result is checked counts as well, and one more is
        /// enough.
        var longMilliseconds = 200.0
        /// As `mostBehind`, where the fastest one takes so long.
        var mostBehindLong = 1.4
        /// How much longer the contenders for the first place are measured while their order is in doubt.
        var mostDeciding = 30
        var decidingMilliseconds = 1500.0
        /// Milliseconds that one run takes.
        var clock: (OperatorRun) throws -> Double = { try $0.once() }
    }

    /// A search that repeats short runs until their order is settled.
    ///
    /// - Parameter library: the kernels of the device.
    public init(library: KernelLibrary) { self.init(library: library, measuring: Measuring()) }

    /// A search that times each algorithm once: to see what is right, not what is fastest.
    package static func glance(library: KernelLibrary) -> AlgorithmSearch {
        var measuring = Measuring()
        (measuring.fewestRounds, measuring.mostRounds, measuring.mostDeciding) = (1, 1, 0)
        return AlgorithmSearch(library: library, measuring: measuring)
    }

    init(library: KernelLibrary, measuring: Measuring) {
        self.library = library
        self.measuring = measuring
    }

    /// An algorithm that computes a problem here.
    package struct Candidate {
        package let algorithm: ConvolutionAlgorithm
        /// What it launches; empty where that cannot be told, which is said when it is measured.
        package let encodings: [Encoding]
    }

    /// Compiles candidates on all cores. What does not compile is left out where it is measured.
    package func prepare(_ candidates: some Sequence<Candidate>) {
        try? library.prepare(candidates.flatMap(\.encodings))
    }

    /// Every algorithm that computes a problem here, the heuristic's choice first; those that launch what an earlier
    /// one launches are left out.
    package func candidates(for problem: ConvolutionProblem, arithmetic: ConvolutionArithmetic) -> [Candidate] {
        var known: Set<[String]> = []
        return ConvolutionAlgorithm.candidates(for: problem, family: library.family, arithmetic: arithmetic)
            .compactMap { algorithm in
                guard let encodings = try? encodings(of: algorithm, for: problem, arithmetic: arithmetic) else {
                    return Candidate(algorithm: algorithm, encodings: [])
                }
                let isNew = known.insert(encodings.flatMap(\.signature)).inserted
                return isNew ? Candidate(algorithm: algorithm, encodings: encodings) : nil
            }
    }

    private func encodings(
        of candidate: ConvolutionAlgorithm, for problem: ConvolutionProblem, arithmetic: ConvolutionArithmetic
    ) throws -> [Encoding] {
        let choices = AlgorithmChoices(arithmetic, measured: [problem: candidate])
        return try OperatorCase(problem).graph(arithmetic).lowered(for: library.family, choices: choices)
            .encodings(library: library)
    }

    /// Times candidates for a problem and checks them against float64.
    ///
    /// Those that cannot run here, for want of memory, are left out.
    ///
    /// - Parameters:
    ///   - candidates: algorithms of the problem, the heuristic's choice first.
    ///   - problem: shapes and geometry of a convolution, and which of its passes.
    ///   - arithmetic: how algorithms may round.
    ///   - isWarm: whether the device has just been at work.
    ///   - failed: told what cannot run, and why.
    /// - Throws: `DeviceError` or `InputError` if none can run.
    package func results(
        of candidates: [ConvolutionAlgorithm], for problem: ConvolutionProblem, arithmetic: ConvolutionArithmetic,
        isWarm: Bool = false, failed: (ConvolutionAlgorithm, any Error) -> Void = { _, _ in }
    ) throws -> [Result] {
        var (runs, errors, first): ([OperatorRun], [Double], [Double]) = ([], [], [])
        var samples: ConvolutionSamples?
        var failure: (any Error)?
        let running = try candidates.filter { candidate in
            let (run, time): (OperatorRun, Double)
            do {
                run = try OperatorRun(
                    OperatorCase(problem),
                    choices: AlgorithmChoices(arithmetic, measured: [problem: candidate]), library: library,
                    sharing: runs.first?.executor)
                // What one algorithm leaves out must not be what another one left there.
                try run.spoil()
                time = try run.once()
            } catch {
                failure = error
                failed(candidate, error)
                return false
            }
            let output = OperatorCase.output(problem.pass)
            let found = try run.executor.read(output, of: run.plan)
            let element = run.executor.shape(output, of: run.plan)?.element ?? .float32
            let known = try samples ?? ConvolutionSamples(problem, run.executor.store, arithmetic: arithmetic)
            samples = known
            errors.append(known.error(of: found, storedAs: element))
            runs.append(run)
            first.append(time)
            return true
        }
        if runs.isEmpty, let failure { throw failure }
        if !isWarm, library.context.device.type != .cpu { try runs[0].warm() }
        return try Self.results(of: Array(zip(running, errors)), first: first, measuring) {
            try measuring.clock(runs[$0])
        }
    }

    /// Times algorithms whose errors are known, in turns, so that whatever else the machine does meets all of them.
    ///
    /// - Parameters:
    ///   - algorithms: the heuristic's first.
    ///   - first: milliseconds of a run of each before.
    ///   - once: milliseconds of one run of the algorithm at a position.
    static func results(
        of algorithms: [(algorithm: ConvolutionAlgorithm, error: Double)], first: [Double], _ measuring: Measuring,
        once: (Int) throws -> Double
    ) rethrows -> [Result] {
        precondition(first.count == algorithms.count)
        var times = first.map { $0 > measuring.longMilliseconds ? [$0] : [] }
        func round(_ measured: [Int]) throws -> Double {
            try measured.reduce(0) { spent, index in
                let time = try once(index)
                times[index].append(time)
                return spent + time
            }
        }
        func results() -> [Result] {
            algorithms.indices.map {
                let best = times[$0].sorted().prefix(2)
                return Result(
                    algorithm: algorithms[$0].algorithm, milliseconds: best[0],
                    scatter: best.count < 2 ? 0 : best[1] / best[0] - 1,
                    error: min(algorithms[$0].error, .greatestFiniteMagnitude))
            }
        }
        var (rounds, spent) = (0, 0.0)
        while true {
            let right = algorithms.indices.filter { algorithms[$0].error <= algorithms[$0].algorithm.largestError }
            let fastest = right.compactMap { times[$0].min() }.min() ?? .infinity
            let isLong = fastest > measuring.longMilliseconds && fastest < .infinity
            let contenders = algorithms.indices.filter {
                let best = times[$0].min() ?? 0
                let behind = isLong ? measuring.mostBehindLong : measuring.mostBehind
                return best <= behind * fastest || times[$0].count < 2 && best < measuring.shortMilliseconds
            }
            let fewest = contenders.map { times[$0].count }.min() ?? .max
            guard
                fewest < (isLong ? 2 : measuring.fewestRounds)
                    || rounds < measuring.mostRounds && spent < measuring.milliseconds
            else { break }
            spent += try round(contenders)
            rounds += 1
        }
        (rounds, spent) = (0, 0)
        while rounds < measuring.mostDeciding, spent < measuring.decidingMilliseconds {
            let doubtful = rivals(in: results())
            if doubtful.isEmpty { break }
            spent += try round(doubtful)
            rounds += 1
        }
        return results()
    }

    /// The fastest of those that are right, the heuristic's if it is about as fast; nil if none is.
    static func winner(of results: [Result]) -> Result? {
        let right = results.filter(\.isRight)
        guard let first = right.first, let best = right.min(by: { $0.milliseconds < $1.milliseconds }) else {
            return nil
        }
        return best.milliseconds < (1 - margin) * first.milliseconds ? best : first
    }

    /// Whether another algorithm might be clearly faster than the winner if neither had been disturbed.
    static func isUncertain(_ results: [Result]) -> Bool { !rivals(in: results).isEmpty }

    /// The winner's place and those of the ones that runs left alone could put before it; empty where there is no
    /// doubt.
    private static func rivals(in results: [Result]) -> [Int] {
        guard let winner = winner(of: results), let place = results.firstIndex(of: winner) else { return [] }
        // Twice the scatter: the best run may have been disturbed as much as the second one was on top of it.
        let others = results.indices.filter {
            let doubt = 2 * max(results[$0].scatter, winner.scatter)
            return $0 != place && results[$0].isRight && doubt > margin
                && results[$0].milliseconds < (1 + doubt) * winner.milliseconds
        }
        return others.isEmpty ? [] : [place] + others
    }
}
