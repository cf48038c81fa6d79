import DeviceLayer
import Graph
import Operators

/// Measures the algorithms that can compute a convolution, on random data.
public struct AlgorithmSearch {
    let library: KernelLibrary

    /// What one algorithm came to.
    public struct Result: Sendable, Hashable {
        public let algorithm: ConvolutionAlgorithm
        /// The best of a few runs.
        public let milliseconds: Double
        /// The largest deviation from float64 among sampled results, as a part of the largest one.
        public let error: Double
        /// Whether it may be used.
        public var isRight: Bool { error <= AlgorithmSearch.largestError }
    }

    /// Of the output's range; an algorithm beyond it never wins.
    static let largestError = 3e-5
    /// Another algorithm than the heuristic's has to be better by this much, so that noise does not decide.
    private static let margin = 0.97
    /// How often each is measured: more often than a few times as long as all of them are short.
    private static let (fewestRounds, mostRounds, milliseconds) = (3, 20, 100.0)

    public init(library: KernelLibrary) { self.library = library }

    /// Times every candidate for a problem and checks it against float64; the heuristic's choice comes first.
    ///
    /// - Parameter isExact: only algorithms that round as the plain sum does.
    /// Candidates that cannot run here, for want of memory, are left out.
    ///
    /// - Throws: `DeviceError` or `PlanError` if none can.
    public func results(for problem: ConvolutionProblem, isExact: Bool) throws -> [Result] {
        var candidates = ConvolutionAlgorithm.candidates(for: problem, family: library.family, isExact: isExact)
        var (runs, errors): ([OperatorRun], [Double]) = ([], [])
        var samples: ConvolutionSamples?
        var failure: (any Error)?
        candidates = try candidates.filter { candidate in
            let run: OperatorRun
            do {
                run = try OperatorRun(
                    OperatorCase(problem),
                    choices: AlgorithmChoices(isExact: isExact, measured: [problem: candidate]), library: library,
                    sharing: runs.first?.executor)
                // What one algorithm leaves out must not be what another one left there.
                try run.spoil()
                try run.executor.run(run.plan)
            } catch {
                failure = error
                return false
            }
            let found = try run.executor.read(OperatorCase.output(problem.pass), of: run.plan)
            let known = try samples ?? ConvolutionSamples(problem, run.executor.store)
            samples = known
            errors.append(known.error(of: found))
            runs.append(run)
            return true
        }
        if runs.isEmpty, let failure { throw failure }
        // In turns, so that whatever else the machine does meets all of them.
        var times = candidates.map { _ in Double.infinity }
        var (round, spent) = (0, 0.0)
        while round < Self.fewestRounds || round < Self.mostRounds && spent < Self.milliseconds {
            for (index, run) in runs.enumerated() {
                let time = try run.once()
                times[index] = min(times[index], time)
                spent += time
            }
            round += 1
        }
        return candidates.indices.map {
            Result(algorithm: candidates[$0], milliseconds: times[$0], error: errors[$0])
        }
    }

    /// The fastest of those that are right; nil if none is.
    static func winner(of results: [Result]) -> Result? {
        let right = results.filter(\.isRight)
        guard let first = right.first, let best = right.min(by: { $0.milliseconds < $1.milliseconds }) else {
            return nil
        }
        return best.milliseconds < margin * first.milliseconds ? best : first
    }
}
