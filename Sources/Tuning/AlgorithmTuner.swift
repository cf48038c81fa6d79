import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators
import AdaShareSupport
import Foundation

/// How convolutions come to their algorithms.
public enum AlgorithmSearchMode: Sendable, Hashable {
    /// By shape alone: the same on every device of a kind.
    case off
    /// From the database under a folder, searching what is not there; nil searches everything and keeps nothing.
    case search(root: URL?, again: Repetition = .never)

    /// What of the database is measured again.
    public enum Repetition: Sendable, Hashable {
        /// Nothing: what the database has stands.
        case never
        /// Where other work on the machine left a doubt about the winner; the best of all measurements is kept, since
        /// others only ever make a run longer.
        case uncertain
        /// Everything; the best of both is kept here too.
        case always
    }
}

/// Chooses algorithms before a run's first step.
public struct AlgorithmTuner {
    package let library: KernelLibrary
    let mode: AlgorithmSearchMode
    let report: (ProgressEvent) -> Void
    /// How often candidates are measured, and by what clock.
    var measuring = AlgorithmSearch.Measuring()

    /// Problems of fewer multiply-accumulates are left to the heuristic: measuring takes longer than could be won.
    static let leastWork = 1 << 25

    /// How a problem came to its algorithm.
    public struct Finding: Sendable {
        /// The convolution.
        public let problem: ConvolutionProblem
        /// The algorithm that is used, with its time and error.
        public let winner: AlgorithmSearch.Result
        /// Of every candidate, the heuristic's first.
        public let results: [AlgorithmSearch.Result]
        /// Whether that was measured now; else the database knew.
        public let isNew: Bool
        /// Whether it is in the database.
        public let isKept: Bool
        /// Whether other work on the machine leaves a doubt about the winner.
        public var isUncertain: Bool { AlgorithmSearch.isUncertain(results) }
    }

    /// Creates a tuner; it measures nothing before it is asked.
    ///
    /// - Parameters:
    ///   - library: the kernels of the device.
    ///   - mode: whether algorithms are measured, and where winners are kept.
    ///   - report: told before a search, before each measurement and when there are no more, and what goes wrong
    ///     without ending it.
    public init(library: KernelLibrary, mode: AlgorithmSearchMode, report: @escaping (ProgressEvent) -> Void) {
        self.library = library
        self.mode = mode
        self.report = report
    }

    /// The algorithms for some problems; the heuristic decides what is not among them.
    ///
    /// - Throws: `DeviceError` or `InputError` if none of a problem's candidates can run.
    public func choices(for problems: [ConvolutionProblem], arithmetic: ConvolutionArithmetic) throws
        -> AlgorithmChoices
    {
        let found = try findings(for: problems, arithmetic: arithmetic)
        return AlgorithmChoices(
            arithmetic,
            measured: Dictionary(found.map { ($0.problem, $0.winner.algorithm) }) { first, _ in first })
    }

    /// As `choices`, with what was measured.
    ///
    /// - Parameters:
    ///   - problems: convolutions of a step.
    ///   - arithmetic: how algorithms may round.
    ///   - progress: receives each finding as it comes.
    public func findings(
        for problems: [ConvolutionProblem], arithmetic: ConvolutionArithmetic, progress: (Finding) -> Void = { _ in }
    ) throws -> [Finding] {
        guard case .search(let root, let again) = mode else { return [] }
        chooseProductTile(for: problems, arithmetic: arithmetic, root: root, again: again)
        let database = root.map { AlgorithmDatabase(root: $0, library: library, arithmetic: arithmetic) }
        let search = AlgorithmSearch(library: library, measuring: measuring)
        let wanted = problems.filter(isWorthIt).compactMap { problem -> Subject? in
            let known = database?.results(for: problem)
            if let known, again == .never || again == .uncertain && !AlgorithmSearch.isUncertain(known) {
                return Subject(problem: problem, known: known, candidates: [])
            }
            let candidates = search.candidates(for: problem, arithmetic: arithmetic)
            return candidates.count > 1 ? Subject(problem: problem, known: known, candidates: candidates) : nil
        }
        let unknown = wanted.filter(\.isNew)
        if !unknown.isEmpty {
            report(.notice("measuring the convolutions' algorithms, once for this device and these shapes"))
            let candidates = unknown.flatMap(\.candidates)
            search.prepare(candidates)
            try library.context.checkStopped()
            let spilling = library.kernelMemory(candidates.flatMap(\.encodings)).filter { $0.privateBytes > 0 }
            if !spilling.isEmpty {
                report(
                    .notice(
                        "\(spilling.count) kernels keep in memory what registers should hold, and are slow: "
                            + spilling.map(\.description).joined(separator: "; ")))
            }
        }
        var findings: [Finding] = []
        var measured = 0
        defer { if !unknown.isEmpty { report(.measuring(done: unknown.count, total: unknown.count)) } }
        for subject in wanted {
            let (problem, known, isNew) = (subject.problem, subject.known, subject.isNew)
            var results = known ?? []
            if isNew {
                report(.measuring(done: measured, total: unknown.count))
                try library.context.checkStopped()
                measured += 1
                let algorithms = subject.candidates.map(\.algorithm)
                results = try search.results(
                    of: algorithms, for: problem, arithmetic: arithmetic, isWarm: measured > 1
                ).map { now in
                    known?.first { $0.algorithm == now.algorithm }.map(now.best) ?? now
                }
            }
            guard let winner = AlgorithmSearch.winner(of: results) else {
                report(
                    .notice("\(problem): no algorithm agrees with the reference on this device; please report this"))
                continue
            }
            var isKept = !isNew
            if isNew, let database {
                do {
                    try database.store(results, for: problem)
                    isKept = true
                } catch {
                    // The reason is the same for most, and said once.
                    if findings.allSatisfy(\.isKept) {
                        report(.notice("\(error); what was measured is not kept for later runs"))
                    }
                }
            }
            let finding = Finding(problem: problem, winner: winner, results: results, isNew: isNew, isKept: isKept)
            findings.append(finding)
            progress(finding)
        }
        return findings
    }

    /// Has CLBlast's products run in the tile that is fastest on this device: what the database knows, or with products
    /// among the candidates what is found now.
    private func chooseProductTile(
        for problems: [ConvolutionProblem], arithmetic: ConvolutionArithmetic, root: URL?,
        again: AlgorithmSearchMode.Repetition
    ) {
        guard library.family == .gpu else { return }
        let search = ProductTileSearch(library: library, root: root, clock: measuring.clock)
        var known = search.known()
        let products = problems.filter {
            isWorthIt($0)
                && ConvolutionAlgorithm.candidates(for: $0, family: library.family, arithmetic: arithmetic)
                    .contains(.clblast)
        }
        if !products.isEmpty, known == nil || again == .always {
            report(
                .notice(
                    "measuring the tiles of CLBlast's products, which are the same for all convolutions on this device")
            )
            let found = search.finding(for: products, known: known)
            known = found
            report(.notice("milliseconds by tile: " + found.results.map(\.description).joined(separator: ", ")))
            do {
                try search.store(found)
            } catch {
                report(.notice("\(error); the tiles' times are not kept for later runs"))
            }
        }
        if let known { library.productTile = ProductTileSearch.winner(of: known.results) }
    }

    private func isWorthIt(_ problem: ConvolutionProblem) -> Bool {
        // Winograd's transforms have up to four numbers for each of the input's, and kernels count in 32 bits; what is
        // larger is refused when its step is planned.
        problem.multiplyAccumulates >= Self.leastWork
            && max(problem.input.count, problem.output.count) <= Int(Int32.max) / 4
    }

    /// A problem with several algorithms.
    private struct Subject {
        let problem: ConvolutionProblem
        /// What the database has.
        let known: [AlgorithmSearch.Result]?
        /// What is measured now; empty where the database says enough.
        let candidates: [AlgorithmSearch.Candidate]
        var isNew: Bool { !candidates.isEmpty }
    }
}
