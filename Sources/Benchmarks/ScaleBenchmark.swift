import AdaShareDeviceLayer
import AdaShareExperiments
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
    /// What the device that waits longest stood still for because of other processes, of these milliseconds.
    public let exposedMs: Double
    /// What each process exchanges in a step.
    public let bytes: Int
    /// Kernels that each process launches in a step.
    public let launches: Int
    /// Planned bytes on each device.
    public let memory: Int

    /// Images a second.
    public var rate: Double { Double(batch) / ms * 1e3 }

    /// - Throws: `InputError` if the file cannot be written.
    public func write(to file: URL) throws { try AtomicFile.write(Data(try JSONText.pretty(self).utf8), to: file) }

    /// - Throws: `InputError` if the file is not of such a report.
    public static func read(_ file: URL) throws -> ScaleReport {
        try JSONText.readFile(file, writtenBy: "benchmark scale", expected: "the file of --json")
    }

    /// A table of several, each with its speed relative to the first.
    public static func table(_ reports: [ScaleReport]) -> String {
        var table = Table(
            [
                "processes", "shards", "images", "ms a step", "spread", "images/s", "speed", "exposed", "MB sent",
                "launches", "MB",
            ])
        for report in reports {
            table.add([
                "\(report.processes)", "\(report.shards)", "\(report.batch)", readable(report.ms),
                readable(report.spread), readable(report.rate), readable(report.rate / reports[0].rate, digits: 3),
                "\(readable(report.exposedMs)) ms (\(readable(100 * report.exposedMs / report.ms)) %)",
                readable(Double(report.bytes) / 1e6), "\(report.launches)", readable(Double(report.memory) / 1e6),
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
        let cost = bench.takeExchangeCost(measuring: false)
        let exposed = try experiment.ranks?.gather(cost?.ms ?? 0).max() ?? 0
        let all = try experiment.ranks?.gather(own) ?? [own]
        let slowest = own.indices.map { index in all.map { $0[index] }.max() ?? 0 }
        let median = slowest.sorted()[slowest.count / 2]
        return ScaleReport(
            processes: experiment.ranks?.count ?? 1, shards: experiment.configuration.training.shards,
            batch: experiment.configuration.training.batch, height: shape.height, width: shape.width,
            device: context.device.name, ms: median,
            spread: ((slowest.max() ?? 0) - (slowest.min() ?? 0)) / median,
            exposedMs: exposed, bytes: cost?.bytes ?? 0,
            launches: step.plan.launchCount, memory: step.bytes)
    }
}
