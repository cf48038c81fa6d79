import AdaShareDeviceLayer
import AdaShareSupport
import Foundation
import Testing

@testable import AdaShareOperators
@testable import AdaShareTraining

/// Algorithms by name, and which of them apply; no device is needed for that.
@Suite struct ConvolutionNamesTests {
    @Test func namesComeBack() throws {
        let tiles =
            [2, 3, 4, 5].map { ConvolutionAlgorithm.winograd(tile: $0) }
            + [.winogradPhases, .clblast]
            + MatrixOperands.allCases.flatMap { operands in
                [128, 64].map { .matrixUnits(operands, rows: $0, columns: $0) }
            }
        for algorithm in [.direct(), .direct(.pixels(7)), .direct(.block(rows: 64, columns: 64))] + tiles {
            #expect(ConvolutionAlgorithm(algorithm.description) == algorithm)
        }
        for name in [
            "", "direct_", "direct_x", "winograd", "winograd_4", "winograd_6x6", "winograd_4x3", "direct_7_7",
            "direct_63x64", "direct_64x64x64", "tf32", "tf32_32x32", "bfloat16_63x64",
        ] {
            #expect(ConvolutionAlgorithm(name) == nil, "\(name)")
        }
        let problem = ConvolutionProblem.dilated(.dataGradient)
        let copy = try JSONDecoder().decode(
            ConvolutionProblem.self, from: Data(JSONText.pretty(problem).utf8))
        #expect(copy == problem)
    }

    /// Whatever was recorded elsewhere, an algorithm that does not apply is not used.
    @Test func choicesThatDoNotApplyAreLeftOut() {
        let problem = ConvolutionProblem.dilated(.forward, channels: 16)
        func chosen(_ algorithm: ConvolutionAlgorithm, _ family: KernelFamily, exact: Bool = false)
            -> ConvolutionAlgorithm
        {
            AlgorithmChoices(exact ? .exact : .float32, measured: [problem: algorithm]).algorithm(
                for: problem, family: family)
        }
        #expect(chosen(.winograd(tile: 4), .cpu) == .winograd(tile: 4))
        #expect(chosen(.direct(.block(rows: 64, columns: 64)), .cpu) == .direct())
        #expect(chosen(.winogradPhases, .gpu) == .direct(), "too many pixels in a phase")
        #expect(chosen(.clblast, .gpu) == .direct(), "no 1×1 convolution")
        let pointwise = ConvolutionProblem(
            .forward, ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1), input: Shape([1, 9, 9, 32]), outputs: 32
        )
        func candidates(_ family: KernelFamily, _ arithmetic: ConvolutionArithmetic) -> [ConvolutionAlgorithm] {
            ConvolutionAlgorithm.candidates(for: pointwise, family: family, arithmetic: arithmetic)
        }
        #expect(MatrixProduct.isAvailable, "no CLBlast: apt-get install libclblast1")
        #expect(candidates(.gpu, .float32).contains(.clblast) && !candidates(.gpu, .exact).contains(.clblast))
        #expect(!candidates(.cpu, .float32).contains(.clblast))
        #expect(chosen(.winograd(tile: 4), .cpu, exact: true) == .direct())
        #expect(chosen(.direct(.pixels(1000)), .cpu) == .direct())
    }
}
