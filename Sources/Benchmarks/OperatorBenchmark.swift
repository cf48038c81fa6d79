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
        let speed = DeviceSpeed(library: library, repeats: repeats)
        let (peak, copy) = (try speed.peak(), try speed.copy().gbPerSecond)
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
        let times = try DeviceSpeed.times(on: run.executor, repeats: repeats, run.once)
        let least = times.min() ?? .infinity
        let gflops = item.isConvolution ? 2e-6 * Double(plan.multiplyAccumulates) / least : nil
        let bytes = try plan.launches.reduce(0) { $0 + $1.site.argumentByteCount }
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
