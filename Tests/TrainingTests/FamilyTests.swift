import AdaShareModels
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareTraining

extension TrainingTests {
    /// Both kernel families train the same.
    @Suite(.enabled(if: TestDevice.families.count > 1, "one kernel family on this device")) struct FamilyTests {
        private static let limit = 1e-3

        @Test(arguments: [GoldenCase.warmupLight, .mixed, .retrain])
        func tenStepsAgree(golden: GoldenCase) throws {
            try compare(golden, try TestDevice.families.map { try GoldenSteps.of(golden, $0) })
        }

        @Test(arguments: GoldenLogitTests.forms)
        func tenLogitStepsAgree(forms: GoldenLogitTests.Forms) throws {
            try compare(.logits, try TestDevice.families.map { try GoldenLogitTests.steps(forms, $0) })
        }

        private func compare(_ golden: GoldenCase, _ families: [GoldenSteps]) throws {
            let (first, second) = (families[0], families[1])
            #expect(first.losses.count == 10 && second.losses.count == 10)
            for (step, losses) in zip(first.losses, second.losses).enumerated() {
                let apart = largestDifference(losses.0.map { Float($0) }, losses.1.map { Float($0) })
                #expect(apart < Self.limit, "step \(step)")
            }
            let catalog = ParameterCatalog(try GoldenNetwork.architecture(golden.head))
            let start = GoldenNetwork.initialValues(golden, catalog)
            for spec in catalog.specs {
                let values = try families.map { try #require($0.final[spec.name]) }
                #expect(largestDifference(values[0], values[1]) < Self.limit, "\(spec.name)")
                guard spec.isTrainable else { continue }
                let before = try #require(start[spec.name])
                let changes = values.map { zip($0, before).map { $0 - $1 } }
                #expect(
                    distance(changes[0], changes[1]) < GoldenNetworkTests.change(golden.head),
                    "change of \(spec.name)")
            }
        }

        /// Negative control: another form of a regulariser is further apart.
        @Test func anotherFormDiffers() throws {
            let forms = GoldenLogitTests.forms.prefix(2)
            let steps = try zip(forms, TestDevice.families).map { try GoldenLogitTests.steps($0, $1) }
            let losses = steps.map { $0.losses.joined().map { Float($0) } }
            #expect(largestDifference(losses[0], losses[1]) > 2 * Self.limit)
            let logits = try steps.map { try #require($0.final["task1_logits"]) }
            #expect(largestDifference(logits[0], logits[1]) > 2 * Self.limit)
        }
    }
}
