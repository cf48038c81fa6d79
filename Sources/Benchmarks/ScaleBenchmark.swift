import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareOperators
import AdaShareProfiling
import AdaShareRanks
import AdaShareSupport
import AdaShareTuning
import Foundation

/// What a training step takes that one or several processes take together.
public struct ScaleReport: Codable, Sendable {
    /// Processes, and shards of a batch.
    public let processes, shards: Int
    /// Images of a step and their size in pixels.
    public let batch, height, width: Int
    /// Of the first process.
    public let device: String
    /// Median over steps, of the slowest process.
    public let ms: Double
    /// (max − min) ÷ median.
    public let spread: Double
    /// What the device that waits least stood still for because of exchanges, in median over steps beside those that
    /// are timed; the others also wait for those that compute longer.
    public let exposedMs: Double
    /// The same of the device that waits most.
    public let longestWaitMs: Double
    /// Bytes that each process sends to others in a step.
    public let bytes: Int
    /// Kernels that each process launches in a step.
    public let launches: Int
    /// Planned bytes on each device.
    public let memory: Int
    /// What a step consists of; nil for one process.
    public let model: ScaleModel?

    /// Images a second.
    public var rate: Double { Double(batch) / ms * 1e3 }

    /// - Throws: `InputError` if the file cannot be written.
    public func write(to file: URL) throws { try AtomicFile.write(Data(try JSONText.pretty(self).utf8), to: file) }

    /// - Throws: `InputError` if the file is not of such a report.
    public static func read(_ file: URL) throws -> ScaleReport {
        try JSONText.readFile(file, writtenBy: "benchmark scale", expected: "the file of --json")
    }

    /// Makes sure that the speed relative to another says something.
    ///
    /// - Parameters:
    ///   - other: measured before.
    ///   - file: that it is of.
    /// - Throws: `InputError` where it is of another device, or of images of another size.
    public func check(beside other: ScaleReport, of file: String) throws {
        func described(_ report: ScaleReport) -> String {
            "\(dimensions(height: report.height, width: report.width)) on \(report.device)"
        }
        guard described(other) == described(self) else {
            throw InputError(file: file, found: described(other), expected: described(self) + ", as is measured now")
        }
    }

    /// A table of several, each with its speed relative to the first.
    public static func table(_ reports: [ScaleReport]) -> String {
        var table = Table(
            [
                "processes", "shards", "images", "ms a step", "spread", "images/s", "speed", "exposed", "by model",
                "waits at most", "MB sent", "launches", "MB",
            ])
        for report in reports {
            table.add([
                "\(report.processes)", "\(report.shards)", "\(report.batch)", readable(report.ms),
                readable(report.spread), readable(report.rate), readable(report.rate / reports[0].rate, digits: 3),
                "\(readable(report.exposedMs)) ms (\(readable(100 * report.exposedMs / report.ms)) %)",
                report.model.map { readable($0.step(processes: report.processes).exposedMs) + " ms" } ?? Table.none,
                readable(report.longestWaitMs) + " ms", readable(Double(report.bytes) / 1e6), "\(report.launches)",
                readable(Double(report.memory) / 1e6),
            ])
        }
        return table.text
    }
}

/// Times a training step on random data.
public struct ScaleBenchmark {
    private let experiment: Experiment
    private let context: DeviceContext
    private let family: KernelFamily?
    private let search: AlgorithmSearchMode
    private let repeats: Int
    private let report: (ProgressEvent) -> Void

    /// - Parameters:
    ///   - experiment: what is trained, divided among the processes.
    ///   - context: the device.
    ///   - family: kernel family; nil picks the device's.
    ///   - search: how convolutions come to their algorithms.
    ///   - repeats: steps that are timed, after one that is not.
    ///   - report: told what is waited for.
    public init(
        experiment: Experiment, context: DeviceContext, family: KernelFamily?, search: AlgorithmSearchMode,
        repeats: Int,
        report: @escaping (ProgressEvent) -> Void
    ) {
        (self.experiment, self.context, self.family, self.search) = (experiment, context, family, search)
        (self.repeats, self.report) = (repeats, report)
    }

    /// Times a step of hard sharing, or under the policy that the method foresees.
    ///
    /// - Throws: `DeviceError`, `RankError`, `InputError`.
    public func run() throws -> ScaleReport {
        let shape = experiment.trainingShape
        let session = try ExperimentSession.open(
            experiment, on: context, family: family, algorithms: .searched(search, shape), report: report)
        let settings = experiment.methodSettings
        let policy = try experiment.method.foreseenPolicy(settings, macs: experiment.trainingCost.parts)
        let kind = policy.map(StepKind.retrain) ?? .hardSharing
        let bench = try NetworkBench(session, shape: shape)
        try bench.reserve(kind)
        let step = try bench.prepare(kind)
        func together() throws { _ = try experiment.ranks?.gather([UInt8]()) }
        func times() throws -> [Double] {
            try (0..<repeats).map { _ in
                try together()
                return try bench.milliseconds(step)
            }
        }
        try together()
        _ = try bench.milliseconds(step)
        let own = try times()
        // Once more, since waiting for the device before each exchange ends takes time itself.
        _ = bench.takeExchangeCost(measuring: true)
        _ = try experiment.ranks.map { _ in try times() }
        let steps = bench.takeExchangeCost(measuring: false)?.steps ?? []
        let all = try experiment.ranks?.gather(own) ?? [own]
        let slowest = own.indices.map { index in all.map { $0[index] }.max() ?? 0 }
        // Who comes last waits for nothing but the exchange; the others also for those that compute longer.
        let waits = try experiment.ranks?.gather(steps.map(\.waited.milliseconds)) ?? [[0]]
        func wait(_ of: ([Double]) -> Double?) -> Double {
            median(waits[0].indices.map { step in of(waits.map { $0[step] }) ?? 0 })
        }
        let exposed = wait { $0.min() }
        let model = try model(steps, ms: median(slowest), exposed: exposed)
        return ScaleReport(
            processes: experiment.ranks?.count ?? 1, shards: experiment.configuration.training.shards,
            batch: experiment.configuration.training.batch, height: shape.height, width: shape.width,
            device: context.device.name, ms: median(slowest),
            spread: ((slowest.max() ?? 0) - (slowest.min() ?? 0)) / median(slowest), exposedMs: exposed,
            longestWaitMs: wait { $0.max() },
            bytes: model?.bytesSent(processes: experiment.ranks?.count ?? 1) ?? 0, launches: step.plan.launchCount,
            memory: step.bytes, model: model)
    }

    /// What a step consists of, as the process sees it that computes longest; nil for one process.
    private func model(_ steps: [ExchangeCost.Step], ms: Double, exposed: Double) throws -> ScaleModel? {
        guard let ranks = experiment.ranks, ranks.count > 1, let first = steps.first else { return nil }
        let exchanges = first.exchanges.indices.map { index in
            ScaleModel.Exchange(
                byteCount: first.exchanges[index].byteCount,
                readyMs: median(steps.map { $0.exchanges[index].ready.milliseconds }), isGathered: index == 0)
        }
        let computed = median(steps.map(\.computed.milliseconds))
        let link = try ScaleModel.Link.measured(among: ranks, on: context)
        let own = ScaleModel(
            computedMs: computed, restMs: max(0, ms - exposed - computed), exchanges: exchanges, link: link)
        return try ranks.gather(own).max { $0.computedMs < $1.computedMs }
    }
}
