import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

/// Measures what the parts of a network take, once for a device: what the database has is not measured again.
public struct PartTimer {
    let session: ExperimentSession
    let mode: AlgorithmSearchMode
    let report: (ProgressEvent) -> Void
    /// Runs of a step at least, the first of which is not timed.
    package static let leastRuns = 6
    /// What counts as undisturbed, see `TimedRounds`.
    var tolerance = 0.01

    /// - Parameters:
    ///   - session: of the network; the measurement makes another library beside its own.
    ///   - mode: whether and where measurements are kept.
    ///   - report: told that a measurement is waited for, and what disturbed it.
    public init(
        _ session: ExperimentSession, mode: AlgorithmSearchMode, report: @escaping (ProgressEvent) -> Void
    ) {
        self.session = session
        self.mode = mode
        self.report = report
    }

    /// What the parts of a step take.
    ///
    /// - Parameters:
    ///   - shape: images of a step and their size.
    ///   - step: inference or training.
    /// - Throws: `DeviceError`, or `InputError` where the network does not fit beside what is there.
    public func times(_ shape: BatchShape, _ step: BudgetMeasure) throws -> PartTimes {
        let (experiment, library) = (session.experiment, session.library)
        var database: AlgorithmDatabase?
        if case .search(let root, _) = mode {
            database = root.map { AlgorithmDatabase(root: $0, library: library, arithmetic: experiment.arithmetic) }
        }
        let key = PartTimes.key(experiment, shape, step, tile: library.productTile)
        if let known = database?.times(for: key) { return known }
        report(
            .notice(
                "measuring what each part of the network takes in a step of \(step.rawValue), once for this device and "
                    + "these shapes"))
        let (times, isSettled) = try measure(shape, step)
        guard isSettled else {
            report(
                .notice(
                    "other work disturbed that measurement: the parts' times may be too large, and are not kept for "
                        + "later runs"))
            return times
        }
        do {
            try database?.store(times, for: key)
        } catch {
            report(.notice("\(error); the parts' times are not kept for later runs"))
        }
        return times
    }

    private func measure(
        _ shape: BatchShape, _ step: BudgetMeasure
    ) throws -> (times: PartTimes, isSettled: Bool) {
        let (experiment, library) = (session.experiment, session.library)
        let architecture = experiment.architecture
        let profiling = try KernelLibrary(
            context: try library.context.makeContext(profiling: true), family: library.family)
        profiling.productTile = library.productTile
        let bench = try NetworkBench(session.on(profiling), shape: shape)
        let hard = DiscretePolicy.hardSharing(tasks: experiment.tasks.count, blocks: architecture.blocks.count)
        let kind = StepKind.timed(step, hard)
        try bench.reserve(kind)
        let prepared = try bench.prepare(kind)
        func tell(_ done: Int) { report(.timing("a step of \(step.rawValue)", done: done, total: Self.leastRuns)) }
        tell(0)
        _ = try bench.run(prepared)
        var done = 1
        let measured = try TimedRounds(tolerance: tolerance) {
            tell(done)
            done += 1
            return try bench.run(prepared)
        } times: {
            [$0.ms]
        }
        tell(Self.leastRuns)

        let parts = PartSums(
            measured.rounds.map { run in
                (
                    ns: run.ms * 1e6,
                    launches: run.entries.map {
                        (label: $0.label, kernel: $0.kernelName, ns: Double($0.durationNanoseconds))
                    }
                )
            }, names: NetworkPart.Names(architecture))
        let heads = experiment.tasks.indices.map { parts.time(.head($0)) }
        // Hard sharing has a pass for each of the images.
        let passes = Set(architecture.sources).count
        func each(_ part: NetworkPart) -> Int { parts.time(part) / passes }
        let (stemOnce, rest) = (parts.time(.stemOnce), parts.time(.rest))
        let times = PartTimes(
            step: step, device: library.context.device.name, kernelFamily: library.family.rawValue, batch: shape.count,
            height: shape.height, width: shape.width,
            costs: PartCosts(
                unit: .nanoseconds, sources: architecture.sources, stem: each(.stem),
                once: stemOnce + heads.reduce(0, +) + rest,
                blocks: architecture.blocks.map { block in
                    PartCosts.Block(
                        branch: each(.branch(block.index)), branchOnce: parts.time(.branchOnce(block.index)),
                        projection: each(.projection(block.index)),
                        projectionOnce: parts.time(.projectionOnce(block.index)))
                }),
            stemOnce: stemOnce, heads: heads, rest: rest)
        return (times, measured.isSettled)
    }
}

/// What the launches of a step take by part, undisturbed.
struct PartSums {
    private var kernels: [NetworkPart: Double] = [:]
    private var launches: [NetworkPart: Int] = [:]
    /// What lies between two launches, in nanoseconds.
    private let between: Double

    /// - Parameters:
    ///   - runs: of the same step, not empty: how long it took and what was launched, in nanoseconds.
    ///   - names: tells parts apart.
    init(_ runs: [(ns: Double, launches: [(label: String, kernel: String, ns: Double)])], names: NetworkPart.Names) {
        for run in runs {
            var sums: [NetworkPart: Double] = [:]
            launches = [:]
            for launch in run.launches {
                let part = names.part(label: launch.label, kernel: launch.kernel)
                sums[part, default: 0] += launch.ns
                launches[part, default: 0] += 1
            }
            kernels.merge(sums, uniquingKeysWith: min)
        }
        let rest = (runs.map(\.ns).min() ?? 0) - kernels.values.reduce(0, +)
        between = max(0, rest) / Double(max(1, launches.values.reduce(0, +)))
    }

    /// The kernels of a part and its launches' share of what lies between kernels; all parts together are the step.
    func time(_ part: NetworkPart) -> Int {
        Int(((kernels[part] ?? 0) + between * Double(launches[part] ?? 0)).rounded())
    }
}

extension AlgorithmDatabase {
    private struct Times: Codable {
        let owner, key: String
        let times: PartTimes
    }

    private func file(times key: String) -> URL {
        folder.appendingPathComponent("parts-\(ContentHash.text(Data(key.utf8))).json")
    }

    /// What was measured of a network; nil without a usable entry.
    func times(for key: String) -> PartTimes? {
        guard let entry = Self.read(Times.self, from: file(times: key)), entry.owner == owner, entry.key == key else {
            return nil
        }
        return entry.times
    }

    /// Keeps what was measured of a network.
    ///
    /// - Throws: `InputError` if the folder cannot be made or written.
    func store(_ times: PartTimes, for key: String) throws {
        try Self.write(Times(owner: owner, key: key, times: times), to: file(times: key))
    }
}

extension RunDirectory {
    /// What the parts of the network take, as the run's budgets count them, `times.json`.
    public var times: URL { Entry.times.url(in: url) }

    /// What the run was started with; nil where it has none.
    ///
    /// - Throws: `InputError` if the file is damaged, or is not of this network.
    public func readTimes(for experiment: Experiment) throws -> PartTimes? {
        guard FileManager.default.fileExists(atPath: times.path) else { return nil }
        guard let data = try? Data(contentsOf: times), let read = try? JSONText.read(PartTimes.self, data)
        else { throw InputError(file: times.path, found: "no times of parts", expected: "the file `train` wrote") }
        guard read.isPlausible else {
            throw InputError(
                file: times.path, found: "times that cannot be, such as one below 0",
                expected: "nanoseconds, branches above 0")
        }
        func subject(_ step: BudgetMeasure, _ shape: BatchShape, _ sources: [Int], _ blocks: Int) -> String {
            let images =
                switch Set(sources).count {
                case 1: "everybody's"
                case sources.count: "its own"
                default: "those of sources \(sources)"
                }
            return "a step of \(step.rawValue) of \(shape.count) images of "
                + "\(dimensions(height: shape.height, width: shape.width)), \(sources.count) tasks × \(blocks) blocks, "
                + "each task's images \(images)"
        }
        let costs = read.costs
        let found = subject(
            read.step, BatchShape(count: read.batch, height: read.height, width: read.width), costs.sources,
            costs.blocks.count)
        let expected = subject(
            experiment.configuration.policy.budgetFor, experiment.trainingShape, experiment.architecture.sources,
            experiment.architecture.blocks.count)
        guard found == expected else { throw InputError(file: times.path, found: found, expected: expected) }
        return read
    }

    /// The times that a run counts its budgets in: those it was started with, else measured and kept.
    ///
    /// - Returns: nil for a run whose policy is decided and whose times are gone.
    /// - Throws: `InputError` if they are gone in the middle; what measuring throws.
    package func partTimes(
        _ session: ExperimentSession, _ saved: RunState?, search: AlgorithmSearchMode,
        report: @escaping (ProgressEvent) -> Void
    ) throws -> PartTimes? {
        let experiment = session.experiment
        if let recorded = try readTimes(for: experiment) { return recorded }
        if let saved {
            guard saved.policy == nil else {
                report(.notice("\(times.path) is gone: what was planned with it is not compared"))
                return nil
            }
            // They decide what the method is steered to, and nothing before it.
            guard saved.phase == experiment.method.phases(experiment.methodSettings).first?.phase else {
                throw InputError(
                    file: times.path, found: "no such file",
                    expected: "the times `train` wrote, which policy learning was begun with; or a new run")
            }
        }
        guard experiment.ranks?.isFirst ?? true else {
            try take(times, fromFirstOf: experiment.ranks)
            return try readTimes(for: experiment)
        }
        let alone = session.with(experiment.alone)
        let timer = PartTimer(alone, mode: search, report: report)
        let measured = try timer.times(
            alone.experiment.trainingShape, experiment.configuration.policy.budgetFor)
        try write(measured)
        try take(times, fromFirstOf: experiment.ranks)
        return measured
    }

    func write(_ measured: PartTimes) throws {
        try AtomicFile.write(Data(JSONText.pretty(measured).utf8), to: times)
    }
}

extension PartTimes {
    /// Whether sums of them for any policy are sums of what can be measured.
    fileprivate var isPlausible: Bool {
        let limit = 0...(1 << 50)
        return costs.unit == .nanoseconds && heads.count == costs.tasks
            && ([costs.stem, costs.once, stemOnce, rest] + heads).allSatisfy(limit.contains)
            && costs.blocks.contains { $0.branch > 0 }
            && costs.blocks.allSatisfy { block in
                [block.branch, block.branchOnce, block.projection, block.projectionOnce].allSatisfy(limit.contains)
            }
    }
}
