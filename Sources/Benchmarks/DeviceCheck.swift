import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning

/// The first look at a device: what it says of itself, whether it has matrix units, and whether every algorithm of a
/// few convolutions computes what the float64 reference does. Each answer is told as soon as it is there.
public struct DeviceCheck {
    private let context: DeviceContext
    private let family: KernelFamily?
    private let isShort: Bool
    private let line: (String) throws -> Void

    /// Creates a check; it does nothing before it runs.
    ///
    /// - Parameters:
    ///   - context: the device.
    ///   - family: kernel family; nil picks the device's.
    ///   - isShort: only one convolution, to try the check itself.
    ///   - line: takes each answer.
    public init(
        context: DeviceContext, family: KernelFamily?, isShort: Bool = false, line: @escaping (String) throws -> Void
    ) {
        (self.context, self.family, self.isShort, self.line) = (context, family, isShort, line)
    }

    /// Looks.
    ///
    /// - Returns: how many answers are wrong.
    /// - Throws: `UnsupportedDevice`, what the device throws before any convolution, or what `line` throws.
    public func run() throws -> Int {
        let device = context.device
        try line("device \(device.name), \(device.platformName), driver \(device.driverVersion), \(device.version)")
        try line(
            "\(device.computeUnits) compute units, \(device.globalMemoryBytes >> 20) MiB, "
                + "\(device.localMemoryBytes) bytes of local memory, groups of at most \(device.maximumWorkGroupSize)")
        let library = try KernelLibrary(context: context, family: family)
        var wrong = 0
        for arithmetic in [ConvolutionArithmetic.float32, .tf32, .bfloat16] {
            if let operands = arithmetic.operands, let reason = try library.whyNoMatrixUnits(operands) {
                try line("no matrix units for \(operands.rawValue): \(reason)")
                if let log = try library.matrixUnitsBuildLog(operands) { try line(log) }
                continue
            }
            wrong += try check(arithmetic)
        }
        try line(wrong == 0 ? "everything is right" : "\(wrong) wrong")
        return wrong
    }

    /// Every convolution in one arithmetic, in a context of its own: where a kernel ends that, the next one gets
    /// another.
    private func check(_ arithmetic: ConvolutionArithmetic) throws -> Int {
        var (library, faults) = (try makeLibrary(), DeviceError.faultCount)
        let problems = Self.problems[isShort ? 1..<2 : Self.problems.indices].flatMap { problem in
            [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient].filter {
                $0 != .dataGradient || !problem.input.isCompact
            }.map { ConvolutionProblem($0, problem.geometry, input: problem.input, outputs: problem.outputs) }
        }
        let search = AlgorithmSearch.glance(library: library)
        let subjects = problems.map { ($0, candidates: search.candidates(for: $0, arithmetic: arithmetic)) }
        search.prepare(subjects.flatMap(\.candidates))
        let memory = library.kernelMemory(subjects.flatMap(\.candidates).flatMap(\.encodings))
        for kernel in memory where kernel.privateBytes > 0 { try line("private memory: \(kernel)") }
        if !memory.isEmpty {
            let count = memory.count { $0.privateBytes == 0 }
            try line("private memory: none in \(count) of \(memory.count) kernels, \(arithmetic.rawValue)")
        }
        var wrong = 0
        for (problem, candidates) in subjects {
            if faults != DeviceError.faultCount {
                (library, faults) = (try makeLibrary(), DeviceError.faultCount)
            }
            var (answers, failures): ([String], Int) = ([], 0)
            func refuse(_ name: String, _ error: any Error) {
                let reason = "\(error)".split(separator: "\n").first ?? "an error"
                answers.append("\(name) FAILED (\(reason))")
                failures += 1
            }
            do {
                let results = try AlgorithmSearch.glance(library: library).results(
                    of: candidates.map(\.algorithm), for: problem, arithmetic: arithmetic, isWarm: true
                ) { refuse("\($0)", $1) }
                for result in results {
                    answers.append(
                        "\(result.algorithm) \(readable(result.milliseconds)) ms, error "
                            + "\(readable(result.error, digits: 2))" + (result.isRight ? "" : " WRONG"))
                    if !result.isRight { failures += 1 }
                }
            } catch {
                // Each that did not run has been told.
                if failures == 0 { refuse("reading results", error) }
            }
            wrong += failures
            try line("\(arithmetic.rawValue) \(problem): " + answers.joined(separator: "; "))
        }
        return wrong
    }

    private func makeLibrary() throws -> KernelLibrary {
        try KernelLibrary(context: context.makeContext(profiling: false), family: family)
    }

    /// The forward passes: every kind of convolution there is, sizes that fill no tile, and a deep sum.
    private static let problems: [ConvolutionProblem] = [
        problem(3, [2, 41, 41, 64], 64, padding: 1),
        problem(1, [2, 41, 41, 256], 64),
        problem(3, [2, 29, 31, 128], 128, dilation: 2, padding: 2),
        problem(3, [1, 41, 41, 64], 64, dilation: 12, padding: 12),
        problem(3, [2, 57, 57, 64], 128, stride: 2, padding: 1),
        problem(1, [2, 57, 57, 64], 128, stride: 2),
        problem(1, [1, 81, 81, 64], 512),
        problem(7, [1, 97, 97, 3], 64, stride: 2, padding: 3, compact: true),
        problem(1, [2, 41, 41, 512], 40),
        problem(3, [4, 5, 5, 512], 512, padding: 1),
        problem(3, [1, 21, 21, 512], 512, dilation: 4, padding: 4),
        problem(3, [2, 23, 25, 24], 40, padding: 1),
    ]

    private static func problem(
        _ kernel: Int, _ input: [Int], _ outputs: Int, stride: Int = 1, dilation: Int = 1, padding: Int = 0,
        compact: Bool = false
    ) -> ConvolutionProblem {
        ConvolutionProblem(
            .forward,
            ConvolutionGeometry(
                kernelHeight: kernel, kernelWidth: kernel, stride: stride, dilation: dilation, padding: padding),
            input: Shape(input, compact: compact), outputs: outputs)
    }
}
