import DeviceLayer
import Graph
import Operators

/// Measures the algorithms that can compute a convolution, on random data.
public struct AlgorithmSearch {
    let library: KernelLibrary

    /// What one algorithm came to.
    public struct Result: Sendable, Hashable, Codable {
        public let algorithm: ConvolutionAlgorithm
        /// The best of a few runs: others on the machine only ever make one longer.
        public let milliseconds: Double
        /// How much longer the second best run was, as a part of the best: small where both were left alone.
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
    /// How often each is measured: more often than a few times as long as all of them are short.
    private static let (fewestRounds, mostRounds, milliseconds) = (3, 20, 100.0)
    /// How much longer the contenders for the first place are measured while their order is in doubt.
    private static let (mostDeciding, decidingMilliseconds) = (30, 1500.0)

    public init(library: KernelLibrary) { self.library = library }

    /// Times every candidate for a problem and checks it against float64; the heuristic's choice comes first.
    ///
    /// - Parameter arithmetic: how algorithms may round.
    /// Candidates that cannot run here, for want of memory, are left out.
    ///
    /// - Throws: `DeviceError` or `PlanError` if none can.
    public func results(for problem: ConvolutionProblem, arithmetic: ConvolutionArithmetic) throws -> [Result] {
        var candidates = ConvolutionAlgorithm.candidates(for: problem, family: library.family, arithmetic: arithmetic)
        var (runs, errors): ([OperatorRun], [Double]) = ([], [])
        var samples: ConvolutionSamples?
        var failure: (any Error)?
        candidates = try candidates.filter { candidate in
            let run: OperatorRun
            do {
                run = try OperatorRun(
                    OperatorCase(problem),
                    choices: AlgorithmChoices(arithmetic, measured: [problem: candidate]), library: library,
                    sharing: runs.first?.executor)
                // What one algorithm leaves out must not be what another one left there.
                try run.spoil()
                try run.executor.run(run.plan)
            } catch {
                failure = error
                return false
            }
            let output = OperatorCase.output(problem.pass)
            let found = try run.executor.read(output, of: run.plan)
            let element = run.executor.shape(output, of: run.plan)?.element ?? .float32
            let known = try samples ?? ConvolutionSamples(problem, run.executor.store, arithmetic: arithmetic)
            samples = known
            errors.append(known.error(of: found, storedAs: element))
            runs.append(run)
            return true
        }
        if runs.isEmpty, let failure { throw failure }
        var times = candidates.map { _ in [Double]() }
        // In turns, so that whatever else the machine does meets all of them.
        func round(_ measured: [Int]) throws -> Double {
            try measured.reduce(0) { spent, index in
                times[index].append(try runs[index].once())
                return spent + times[index][times[index].count - 1]
            }
        }
        func results() -> [Result] {
            candidates.indices.map {
                let best = times[$0].sorted().prefix(2)
                return Result(
                    algorithm: candidates[$0], milliseconds: best[0], scatter: best[1] / best[0] - 1,
                    error: min(errors[$0], .greatestFiniteMagnitude))
            }
        }
        var (rounds, spent) = (0, 0.0)
        while rounds < Self.fewestRounds || rounds < Self.mostRounds && spent < Self.milliseconds {
            spent += try round(Array(candidates.indices))
            rounds += 1
        }
        (rounds, spent) = (0, 0)
        while rounds < Self.mostDeciding, spent < Self.decidingMilliseconds {
            let doubtful = Self.rivals(in: results())
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

    /// The winner's place and those of the ones that runs left alone could put before it; empty where there is no doubt.
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
