import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import AdaShareTuning
import Foundation

/// Times every distinct primitive of the method's networks alone.
public struct OperatorBenchmark {
    /// Least timed runs of each row.
    public let repeats: Int
    /// Only cases whose name, kind or pass contains this, or one of several parts between commas; upper and lower case,
    /// x and ×, -> and → are the same.
    public let filter: String?
    let library: KernelLibrary
    private let arithmetic: ConvolutionArithmetic
    let tuner: AlgorithmTuner
    let report: (ProgressEvent) -> Void

    /// Short rows run until they have taken this long, or this often.
    private static let leastMs = 100.0
    private static let mostRuns = 40

    /// Creates a benchmark; it measures nothing before it runs.
    ///
    /// - Parameters:
    ///   - context: the device.
    ///   - family: kernel family; nil picks the device's.
    ///   - repeats: timed runs of each row, at least.
    ///   - filter: only cases whose name, kind or pass contains this; nil for all.
    ///   - precision: what convolutions multiply, where the device can.
    ///   - search: how convolutions come to their algorithms.
    ///   - report: told what is waited for, and each row as it comes.
    /// - Throws: `DeviceError`, or `UnsupportedDevice` if the family does not run on the device.
    /// - Precondition: `repeats` is at least 1.
    public init(
        context: DeviceContext, family: KernelFamily?, repeats: Int, filter: String? = nil,
        precision: ModelPrecision = .float32, search: AlgorithmSearchMode = .off,
        report: @escaping (ProgressEvent) -> Void
    ) throws {
        precondition(repeats >= 1)
        library = try KernelLibrary(context: context, family: family)
        arithmetic = try library.arithmetic(precision.arithmetic)
        if arithmetic != precision.arithmetic { report(.notice(try library.fallback(from: precision))) }
        self.repeats = repeats
        self.filter = filter
        self.report = report
        tuner = AlgorithmTuner(library: library, mode: search, report: report)
    }

    /// What a filter that lets no case pass should have been; nil if it lets one pass.
    ///
    /// - Throws: as `run`.
    public static func expectation(insteadOf filter: String) throws -> String? {
        let cases = try OperatorCase.all().map(\.0)
        if cases.contains(where: { $0.matches(filter) }) { return nil }
        let kinds = Set(cases.map(\.kind)).sorted()
        let passes = Set(cases.map(\.reportedPass)).sorted()
        return
            "a part of a case, such as 3x3 8x29x29x512->1024, of a kind (\(kinds.joined(separator: ", "))) or of a "
            + "pass "
            + "(\(passes.joined(separator: ", ")))"
    }

    /// Measures every row.
    ///
    /// - Throws: `DeviceError`, or `InputError` where a tensor is too large for the device.
    public func run() throws -> OperatorReport {
        let device = library.context.device
        report(.line("measuring what the device can do at most"))
        let peak = try measurePeak()
        let copy = try measureCopy()
        report(.line("peak \(readable(peak)) GFLOP/s, copying \(readable(copy)) GB/s"))
        let cases = try OperatorCase.all().filter { item, _ in
            filter.map(item.matches) ?? true
        }
        let choices = try tuner.choices(for: cases.compactMap(\.0.problem), arithmetic: arithmetic)
        var rows: [OperatorReport.Row] = []
        for (item, count) in cases {
            let row = try measure(item, choices: choices, count: count, peak: peak, copy: copy)
            report(.line("\(row.case)  \(row.pass)  \(readable(row.ms)) ms"))
            rows.append(row)
        }
        let step = rows.reduce(0) { $0 + $1.ms * Double($1.countInStep) }
        for index in rows.indices where step > 0 {
            rows[index].stepShare = rows[index].ms * Double(rows[index].countInStep) / step
        }
        return OperatorReport(
            device: device.name, driver: device.driverVersion, kernelFamily: library.family.rawValue,
            date: Date().formatted(.iso8601.year().month().day()), precision: arithmetic.rawValue, repeats: repeats,
            peakGflops: peak,
            copyGBPerSecond: copy,
            rows: rows.sorted { ($0.stepShare, $1.case, $0.pass) > ($1.stepShare, $0.case, $1.pass) })
    }

    private func measure(
        _ item: OperatorCase, choices: AlgorithmChoices, count: Int, peak: Double, copy: Double
    ) throws -> OperatorReport.Row {
        let run = try OperatorRun(item, choices: choices, library: library)
        let plan = run.plan
        let times = try time(run.once, on: run.executor)
        let least = times.min() ?? .infinity
        let gflops = item.isConvolution ? 2e-6 * Double(plan.multiplyAccumulates) / least : nil
        let bytes = plan.launches.reduce(0) { $0 + $1.site.argumentByteCount }
        let gbPerSecond = item.isConvolution ? nil : 1e-6 * Double(bytes) / least
        let window = item.window
        return OperatorReport.Row(
            case: item.name, pass: item.reportedPass, kind: item.kind, direction: item.pass.rawValue,
            algorithm: plan.operations.lazy.compactMap(\.convolutionAlgorithm).first, input: item.input.dimensions,
            outputs: item.outputs, kernel: window.kernel, stride: window.stride, dilation: window.dilation,
            padding: window.padding, ms: least,
            spread: ((times.max() ?? 0) - (times.min() ?? 0)) / median(times), gflops: gflops,
            peakShare: gflops.map { $0 / peak }, gbPerSecond: gbPerSecond, copyShare: gbPerSecond.map { $0 / copy },
            countInStep: count)
    }

    /// Milliseconds of each timed run.
    private func time(_ once: () throws -> Double, on executor: Executor) throws -> [Double] {
        try executor.context.queue.finish()
        _ = try once()
        let estimate = try once()
        return try (0..<Self.runs(of: estimate, atLeast: repeats)).map { _ in try once() }
    }

    private func time(_ plan: Plan, on executor: Executor) throws -> [Double] {
        let run = { try OperatorRun.time(plan, on: executor, repeats: 1) }
        return try time(run, on: executor)
    }

    /// How often a launch of `ms` milliseconds runs; a clock too coarse for it may say 0.
    static func runs(of ms: Double, atLeast repeats: Int) -> Int {
        let wanted = ms > 0 ? min(Double(mostRuns), leastMs / ms) : Double(mostRuns)
        return max(repeats, Int(wanted))
    }

    /// GFLOP/s of multiply-adds in registers: the best of a few runs.
    private func measurePeak() throws -> Double {
        let executor = Executor(library: library)
        let graph = Graph()
        let probe = PeakProbe(items: library.family == .cpu ? 64 : 1 << 16, rounds: 20_000)
        graph.output("peak", graph.record(probe, [])[0])
        let times = try time(try executor.makePlan(graph), on: executor)
        return 2e-6 * Double(probe.multiplyAdds(library)) / (times.min() ?? .infinity)
    }

    /// GB/s, read and written together, of copying more than most caches hold: the best of a few runs.
    private func measureCopy() throws -> Double {
        let executor = Executor(library: library)
        let graph = Graph()
        let bytes = min(256 << 20, library.context.device.maximumAllocationBytes / 4)
        let x = graph.input("x", Shape([max(1, bytes >> 12), 1 << 10]))
        graph.output("y", graph.record(Scale(2), [x])[0])
        try executor.store.write("x", x.shape, [Float](repeating: 1, count: x.shape.count))
        let times = try time(try executor.makePlan(graph), on: executor)
        return 2e-6 * Double(x.shape.byteCount) / (times.min() ?? .infinity)
    }
}

extension OperatorCase {
    var isConvolution: Bool { if case .convolution = primitive { true } else { false } }

    /// Of a convolution; all else is `other`.
    fileprivate var reportedPass: String { isConvolution ? pass.rawValue : "other" }

    /// Whether name, kind or pass contain a text as people type it, or a part of it between commas: `X` and `x` are ×,
    /// `->` is →.
    fileprivate func matches(_ filter: String) -> Bool {
        func plain(_ text: String) -> String {
            text.lowercased().replacingOccurrences(of: "×", with: "x").replacingOccurrences(of: "→", with: "->")
        }
        let parts = plain(filter).split(separator: ",").map(String.init)
        return [name, kind, reportedPass].contains { text in parts.contains { plain(text).contains($0) } }
    }

    /// Window of a convolution or pool, else zeros.
    fileprivate var window: (kernel: Int, stride: Int, dilation: Int, padding: Int) {
        switch primitive {
        case .convolution(let g): (g.kernelHeight, g.stride, g.dilation, g.padding)
        case .maxPool(let pool): (pool.window, pool.stride, 1, pool.padding)
        case .batchNorm, .crossEntropy, .adam: (0, 0, 0, 0)
        }
    }
}

extension Operator {
    /// The algorithm of a convolution's pass; nil for other operators.
    fileprivate var convolutionAlgorithm: String? {
        (self as? any ConvolutionPass)?.algorithm.description
    }
}
