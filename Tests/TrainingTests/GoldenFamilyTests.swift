import Models
import Testing

@testable import Operators
@testable import Training

extension GoldenTests {
    /// Both kernel families train the same.
    @Suite struct GoldenFamilyTests {
        private static let steps = 10
        private static let limit = 1e-3

        /// The largest difference of two lists, in parts of the largest value; infinite where one is not finite.
        private func difference(_ a: [Float], _ b: [Float]) -> Double {
            guard (a + b).allSatisfy(\.isFinite) else { return .infinity }
            let range = a.map { abs(Double($0)) }.max() ?? 0
            let largest = zip(a, b).map { abs(Double($0) - Double($1)) }.max() ?? 0
            return largest == 0 ? 0 : largest / range
        }

        /// The length of the difference in parts of the first's length: Adam makes steps of full size where a gradient is no more
        /// than rounding.
        private func distance(_ a: [Float], _ b: [Float]) -> Double {
            func length(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
            let apart = length(zip(a, b).map { Double($0) - Double($1) })
            return apart == 0 ? 0 : apart / length(a.map { Double($0) })
        }

        @Test(arguments: [GoldenCase.warmupLight, .mixed, .retrain, .logits])
        func tenStepsAgree(golden: GoldenCase) throws {
            let networks = try KernelFamily.allCases.map { try GoldenNetwork(golden, $0) }
            for step in 0..<Self.steps {
                let losses = try networks.map { network in
                    try network.losses(
                        network.run(golden.kind, step: step, learningRate: golden.learningRate)
                    ).map { Float($0) }
                }
                #expect(difference(losses[0], losses[1]) < Self.limit, "step \(step)")
            }
            for spec in networks[0].catalog.specs {
                let values = try networks.map { try $0.runtime.read(spec) }
                #expect(difference(values[0], values[1]) < Self.limit, "\(spec.name)")
                guard spec.isTrainable else { continue }
                let start = try #require(networks[0].initial[spec.name])
                let changes = values.map { zip($0, start).map { $0 - $1 } }
                #expect(
                    distance(changes[0], changes[1]) < GoldenNetworkTests.change(golden.head),
                    "change of \(spec.name)")
            }
        }

        /// Every kind of step: convolutions on matrix units, the device's or emulated, and activations in 16 bits.
        private static let onMatrixUnits: [(golden: GoldenCase, arithmetic: ConvolutionArithmetic, limit: Double)] =
            [(.warmupLight, .tf32, 5e-3)]
            + [GoldenCase.warmupLight, .warmupFourRate, .mixed, .mixedHard, .retrain, .logits].map {
                ($0, .bfloat16, 2e-2)
            }

        /// Near float32, and not the same; the second step has seen gradients and updates.
        @Test(arguments: onMatrixUnits)
        func matrixUnitsFollowFloat32(golden: GoldenCase, arithmetic: ConvolutionArithmetic, limit: Double) throws {
            let plain = try GoldenDevice.library(.gpu)
            let operands = try #require(arithmetic.operands)
            let library = try KernelLibrary(
                context: plain.context, family: .gpu,
                matrixUnits: [operands: plain.matrixUnits(operands) ?? .emulated])
            let networks = try [
                GoldenNetwork(golden, .gpu), GoldenNetwork(golden, on: library, arithmetic: arithmetic),
            ]
            var largest = 0.0
            for step in 0..<2 {
                let losses = try networks.map { network in
                    try network.losses(
                        network.run(golden.kind, step: step, learningRate: golden.learningRate)
                    ).map { Float($0) }
                }
                let apart = difference(losses[0], losses[1])
                #expect(apart < limit, "step \(step)")
                largest = max(largest, apart)
            }
            #expect(largest > 1e-7, "the same bits are no other precision")
            // What SGD has changed is what the gradients were; Adam makes steps of full size of what is no more than rounding. A missing
            // gradient is 1 apart, an unrelated one 1.4; ReLUs that rounding turns over in so small a network up to 0.4.
            guard golden.file == GoldenCase.mixed.file else { return }
            for spec in networks[0].catalog.specs where spec.isTrainable {
                let start = try #require(networks[0].initial[spec.name])
                let changes = try networks.map { zip(try $0.runtime.read(spec), start).map { $0 - $1 } }
                #expect(distance(changes[0], changes[1]) < 0.6, "change of \(spec.name)")
            }
        }
    }
}
