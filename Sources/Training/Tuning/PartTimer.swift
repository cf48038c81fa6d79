import DeviceLayer
import Foundation
import Graph
import Models
import Operators

/// Measures what the parts of a network take, once for a device: what the database has is not measured again.
public struct PartTimer {
    let library: KernelLibrary
    let mode: AlgorithmSearchMode
    let report: (ProgressEvent) -> Void

    /// - Parameters:
    ///   - library: of the device, with the tile of its products; the measurement makes another one beside it.
    ///   - mode: whether and where measurements are kept.
    public init(
        library: KernelLibrary, mode: AlgorithmSearchMode, report: @escaping (ProgressEvent) -> Void
    ) {
        self.library = library
        self.mode = mode
        self.report = report
    }

    /// - Parameters:
    ///   - experiment: settled, with the algorithms of its convolutions.
    ///   - step: inference or training.
    /// - Throws: `DeviceError`, or `PlanError` where the network does not fit beside what is there.
    public func times(of experiment: Experiment, _ shape: BatchShape, _ step: BudgetMeasure) throws -> PartTimes {
        let profiling = try KernelLibrary(
            context: try library.context.makeProfilingContext(), family: library.family)
        profiling.productTile = library.productTile
        var database: AlgorithmDatabase?
        var isRepeated = false
        if case .search(let root, let again) = mode {
            database = root.map { AlgorithmDatabase(root: $0, library: library, arithmetic: experiment.arithmetic) }
            isRepeated = again == .always
        }
        let key = PartTimes.key(experiment, shape, step, tile: library.productTile)
        if !isRepeated, let known = database?.times(for: key) { return known }
        report(
            .notice(
                "measuring what each part of the network takes in a step of \(step.rawValue), once for this device and "
                    + "these shapes"))
        let times = try measure(experiment, shape, step, profiling)
        do {
            try database?.store(times, for: key)
        } catch {
            report(.notice("\(error); the parts' times are not kept for later runs"))
        }
        return times
    }

    private func measure(
        _ experiment: Experiment, _ shape: BatchShape, _ step: BudgetMeasure, _ library: KernelLibrary
    ) throws -> PartTimes {
        let architecture = experiment.architecture
        let bench = try NetworkBench(experiment, shape: shape, library: library)
        let hard = DiscretePolicy.hardSharing(tasks: experiment.tasks.count, blocks: architecture.blocks.count)
        let kind = StepKind.timed(step, hard)
        try bench.reserve(kind)
        let prepared = try bench.prepare(kind)
        _ = try bench.run(prepared)
        let runs = try NetworkBench.repeated(fewest: 5) { try bench.run(prepared) }

        let names = NetworkPart.Names(architecture)
        var sums: [[NetworkPart: Double]] = []
        var launches: [NetworkPart: Int] = [:]
        for run in runs {
            var sum: [NetworkPart: Double] = [:]
            launches = [:]
            for entry in run.entries {
                let part = names.part(label: entry.label, kernel: entry.kernelName)
                sum[part, default: 0] += Double(entry.durationNanoseconds)
                launches[part, default: 0] += 1
            }
            sums.append(sum)
        }
        var parts: [NetworkPart: Double] = [:]
        for part in launches.keys { parts[part] = median(sums.map { $0[part] ?? 0 }) }
        // What lies between kernels, launch by launch; medians of parts can come to more than that of the whole.
        let whole = median(runs.map(\.ms)) * 1e6
        let kernels = parts.values.reduce(0, +)
        let between = max(0, whole - kernels) / Double(max(1, launches.values.reduce(0, +)))
        let scale = min(1, whole / max(1, kernels))
        func time(_ part: NetworkPart) -> Int {
            Int(((parts[part] ?? 0) * scale + between * Double(launches[part] ?? 0)).rounded())
        }
        let heads = experiment.tasks.indices.map { time(.head($0)) }
        let (stemOnce, rest) = (time(.stemOnce), time(.rest))
        return PartTimes(
            step: step, device: library.context.device.name, kernelFamily: library.family.rawValue, batch: shape.count,
            height: shape.height, width: shape.width,
            costs: PartCosts(
                unit: .nanoseconds, tasks: experiment.tasks.count, stem: time(.stem),
                once: stemOnce + heads.reduce(0, +) + rest,
                blocks: architecture.blocks.map { block in
                    PartCosts.Block(
                        branch: time(.branch(block.index)), branchOnce: time(.branchOnce(block.index)),
                        projection: time(.projection(block.index)),
                        projectionOnce: time(.projectionOnce(block.index)))
                }, isSeparate: architecture.classification),
            stemOnce: stemOnce, heads: heads, rest: rest)
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
        guard let data = try? Data(contentsOf: file(times: key)),
            let entry = try? JSONText.read(Times.self, data), entry.owner == owner, entry.key == key
        else { return nil }
        return entry.times
    }

    /// Keeps what was measured of a network.
    ///
    /// - Throws: `RunError` if the folder cannot be made or written.
    func store(_ times: PartTimes, for key: String) throws {
        try Self.write(Times(owner: owner, key: key, times: times), to: file(times: key))
    }
}

extension RunDirectory {
    /// What the parts of the network take, as the run's budgets count them, `times.json`.
    public var times: URL { url.appendingPathComponent("times.json") }

    /// What the run was started with; nil where it has none.
    ///
    /// - Throws: `FormatError` if the file is damaged, or is not of this network.
    public func readTimes(for experiment: Experiment) throws -> PartTimes? {
        guard FileManager.default.fileExists(atPath: times.path) else { return nil }
        guard let data = try? Data(contentsOf: times), let read = try? JSONText.read(PartTimes.self, data)
        else { throw FormatError(file: times.path, found: "no times of parts", expected: "the file `train` wrote") }
        let costs = read.costs
        guard costs.unit == .nanoseconds, costs.tasks == experiment.tasks.count, costs.isPlausible,
            costs.blocks.count == experiment.architecture.blocks.count, read.heads.count == costs.tasks,
            read.step == experiment.configuration.policy.budgetFor
        else {
            throw FormatError(
                file: times.path,
                found: "times of \(read.step.rawValue), \(costs.tasks) tasks × \(costs.blocks.count) blocks",
                expected: "\(experiment.configuration.policy.budgetFor.rawValue), \(experiment.tasks.count) tasks × "
                    + "\(experiment.architecture.blocks.count) blocks, none below 0 and branches above it")
        }
        return read
    }

    func write(_ measured: PartTimes) throws {
        try AtomicFile.write(Data(JSONText.pretty(measured).utf8), to: times)
    }
}

extension PartCosts {
    /// Whether sums of them for any policy are sums of what can be measured.
    fileprivate var isPlausible: Bool {
        let limit = 0...(1 << 50)
        return limit.contains(stem) && limit.contains(once)
            && blocks.contains { $0.branch > 0 }
            && blocks.allSatisfy { block in
                [block.branch, block.branchOnce, block.projection, block.projectionOnce].allSatisfy(limit.contains)
            }
    }
}
