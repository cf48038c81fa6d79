import AdaShareDeviceLayer
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// Kernels on registers of 16 floats, of 8, in work-groups, and in those on matrix units, which devices without
/// emulate.
enum ConvolutionKernels: String, CaseIterable, Sendable {
    case wide, narrow, gpu, tf32, bfloat16

    /// Those that the device under test computes with.
    static var all: [ConvolutionKernels] { allCases.filter { TestDevice.families.contains($0.family) } }

    /// What matrix units multiply.
    var operands: MatrixOperands? { MatrixOperands(rawValue: rawValue) }
    var arithmetic: ConvolutionArithmetic { ConvolutionArithmetic(rawValue: rawValue) ?? .float32 }
    var family: KernelFamily { self == .wide || self == .narrow ? .cpu : .gpu }
    var isEmulated: Bool {
        get throws { try operands.map { try TestDevice.matrixLibrary().matrixUnits($0) == .emulated } ?? false }
    }

    /// Whether the device under test has other registers than these kernels are for.
    var isForeign: Bool {
        get throws { try family == .cpu && TestDevice.library(.cpu).hasWideRegisters != (self == .wide) }
    }

    /// Whether a CPU runs kernels for GPUs.
    var isOnCPU: Bool { get throws { try family == .gpu && TestDevice.device().type == .cpu } }

    func library() throws -> KernelLibrary {
        switch self {
        case .wide: try TestDevice.wideLibrary()
        case .narrow: try TestDevice.narrowLibrary()
        case .gpu: try TestDevice.library(.gpu)
        case .tf32, .bfloat16: try TestDevice.matrixLibrary()
        }
    }
}

/// One pass of a case by one algorithm.
struct ConvolutionTrial: Hashable, Sendable, CustomStringConvertible {
    let a: ConvolutionCase
    let kernels: ConvolutionKernels
    let pass: ConvolutionProblem.Pass
    let algorithm: ConvolutionAlgorithm

    var description: String { "\(a.testDescription) on \(kernels) by \(algorithm)" }
    /// Weights are transformed in the pass, and as much is held at a time as in training.
    var choices: AlgorithmChoices {
        var choices = AlgorithmChoices(kernels.arithmetic, measured: [a.problem(pass): algorithm])
        choices.keptTransforms = .none
        choices.fitsMemory = false
        return choices
    }

    /// Every algorithm that computes a pass of a case, not only what its shape suggests.
    static func all(
        _ a: ConvolutionCase, _ kernels: ConvolutionKernels, _ pass: ConvolutionProblem.Pass
    ) throws -> [ConvolutionTrial] {
        // Emulated products are far slower than others.
        if try kernels.isEmulated {
            guard a.multiplyAccumulates <= 4_000_000, a.tiledMultiplyAccumulates <= Simulation.mostEmulated else {
                return []
            }
        }
        return try ConvolutionAlgorithm.candidates(
            for: a.problem(pass), family: kernels.family, arithmetic: kernels.arithmetic
        ).filter { algorithm in
            if let operands = algorithm.operands {
                return try TestDevice.holds(try #require(WorkGroupTile(algorithm)), operands)
            }
            // CLBlast's kernels are not ours to simulate.
            return kernels.operands == nil && !(algorithm == .clblast && TestDevice.isSimulated)
        }.map { ConvolutionTrial(a: a, kernels: kernels, pass: pass, algorithm: $0) }
    }

    /// What the pass launches, packing of weights and sums of a bias' gradient included; nothing is compiled.
    func requests() throws -> [LaunchRequest] {
        let traced = Graph()
        a.record(pass, kernels.arithmetic, in: traced)
        let graph = traced.lowered(for: kernels.family, choices: choices)
        let schedule = Schedule(graph)
        return try (schedule.hoisted + schedule.order).flatMap { index in
            let node = graph.nodes[index]
            return try Encoding(
                node.operation, inputs: node.inputs.map(\.shape), outputs: node.outputs.map(\.shape),
                library: kernels.library()
            ).requests
        }
    }
}

extension ConvolutionProblem.Pass {
    static let all: [Self] = [.forward, .dataGradient, .weightGradient]
}
