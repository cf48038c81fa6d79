import DeviceLayer
import Foundation
import Graph
import Models
import Operators

/// How convolutions come to their algorithms.
public enum AlgorithmSearchMode: Sendable, Hashable {
    /// By shape alone: the same on every device of a kind.
    case off
    /// From the database under a folder, searching what is not there; nil searches everything and keeps nothing.
    case search(root: URL?)
    /// Searching everything, and replacing what the database has.
    case searchAgain(root: URL?)

    fileprivate var root: URL? {
        switch self {
        case .off: nil
        case .search(let root), .searchAgain(let root): root
        }
    }
}

/// Chooses algorithms before a run's first step.
public struct AlgorithmTuner {
    let library: KernelLibrary
    let mode: AlgorithmSearchMode
    let report: (String) -> Void

    /// Problems of fewer multiply-accumulates are left to the heuristic: measuring takes longer than could be won.
    static let leastWork = 1 << 25

    /// How a problem came to its algorithm.
    public struct Finding: Sendable {
        public let problem: ConvolutionProblem
        public let algorithm: ConvolutionAlgorithm
        /// What was measured now; empty if the database knew.
        public let results: [AlgorithmSearch.Result]
    }

    /// - Parameter report: receives a line for people before a search, and if its result cannot be kept.
    public init(library: KernelLibrary, mode: AlgorithmSearchMode, report: @escaping (String) -> Void) {
        self.library = library
        self.mode = mode
        self.report = report
    }

    /// The algorithms for some problems; the heuristic decides what is not among them.
    ///
    /// - Throws: `DeviceError` or `PlanError` if a candidate cannot run.
    public func choices(for problems: [ConvolutionProblem], isExact: Bool) throws -> AlgorithmChoices {
        let found = try findings(for: problems, isExact: isExact)
        return AlgorithmChoices(
            isExact: isExact, measured: Dictionary(found.map { ($0.problem, $0.algorithm) }) { first, _ in first })
    }

    /// As `choices`, with what was measured.
    ///
    /// - Parameter progress: receives each finding as it comes.
    public func findings(
        for problems: [ConvolutionProblem], isExact: Bool, progress: (Finding) -> Void = { _ in }
    ) throws -> [Finding] {
        guard mode != .off else { return [] }
        let database = mode.root.map { AlgorithmDatabase(root: $0, library: library, isExact: isExact) }
        let search = AlgorithmSearch(library: library)
        var findings: [Finding] = []
        var (isAnnounced, isKept) = (false, true)
        for problem in problems where isWorthIt(problem, isExact: isExact) {
            var known: ConvolutionAlgorithm?
            if case .search = mode { known = database?.algorithm(for: problem) }
            if let known {
                findings.append(Finding(problem: problem, algorithm: known, results: []))
                progress(findings[findings.count - 1])
                continue
            }
            if !isAnnounced {
                report("measuring the convolutions' algorithms, once for this device and these shapes")
                isAnnounced = true
            }
            let results = try search.results(for: problem, isExact: isExact)
            guard let winner = AlgorithmSearch.winner(of: results) else {
                report("\(problem): no algorithm agrees with the reference on this device; please report this")
                continue
            }
            findings.append(Finding(problem: problem, algorithm: winner.algorithm, results: results))
            progress(findings[findings.count - 1])
            guard let database, isKept else { continue }
            do {
                try database.store(winner, for: problem)
            } catch {
                isKept = false
                report("\(error); measured algorithms are not kept for later runs")
            }
        }
        return findings
    }

    private func isWorthIt(_ problem: ConvolutionProblem, isExact: Bool) -> Bool {
        problem.multiplyAccumulates >= Self.leastWork
            && ConvolutionAlgorithm.candidates(for: problem, family: library.family, isExact: isExact).count > 1
    }
}

extension Experiment {
    /// Every distinct convolution of a training step, all passes.
    public func convolutionProblems(_ shape: BatchShape, family: KernelFamily) -> [ConvolutionProblem] {
        var seen = Set<ConvolutionProblem>()
        return graph(.warmup, shape, family: family).nodes.compactMap { OperatorCase($0)?.problem }
            .filter { seen.insert($0).inserted }
    }

    /// Chooses the algorithms of a training step's convolutions.
    ///
    /// - Throws: as `AlgorithmTuner.choices`.
    public mutating func chooseAlgorithms(_ shape: BatchShape, tuner: AlgorithmTuner) throws {
        algorithms = try tuner.choices(
            for: convolutionProblems(shape, family: tuner.library.family),
            isExact: configuration.training.exactConvolutions
        ).measured
    }

    /// Images of a training step.
    public var trainingShape: BatchShape {
        BatchShape(
            count: configuration.training.batch, height: configuration.dataset.crop.height,
            width: configuration.dataset.crop.width)
    }
}
