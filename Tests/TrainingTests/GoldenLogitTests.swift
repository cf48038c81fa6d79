import AdaShareFiles
import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// Logit steps against PyTorch: every pair of regulariser forms, all blocks open and three.
    @Suite struct GoldenLogitTests {
        struct Forms: Sendable, CustomTestStringConvertible {
            let sparsity, sharing: RegulariserForm
            let open: Int
            var learning: PolicySettings {
                PolicySettings(
                    sparsity: Self.weight, sharing: Self.weight, sparsityForm: sparsity, sharingForm: sharing,
                    noiseGiven: true)
            }
            static let weight = 0.05
            var testDescription: String { "\(sparsity.rawValue).\(sharing.rawValue).open\(open)" }
        }

        static let forms = [8, 3].flatMap { open in
            RegulariserForm.allCases.flatMap { sparsity in
                RegulariserForm.allCases.map { Forms(sparsity: sparsity, sharing: $0, open: open) }
            }
        }
        static let tasks = GoldenNetwork.tasks.count

        @Test(arguments: TestDevice.families, forms)
        func stepsFollowPyTorch(family: KernelFamily, forms: Forms) throws {
            let steps = try Self.steps(forms, family)
            steps.agreement.expect([
                "outputs": 1e-4, "gradients": 1e-4, "statistics": 1e-4, "loss": 1e-4, "losses": 1e-3, "final": 1e-3,
                "delta": 2e-2,
            ])
            steps.agreement.report("\(GoldenCase.logits.file) \(forms.testDescription) \(family.rawValue)")
            let catalog = ParameterCatalog(try GoldenNetwork.architecture(.light))
            let start = GoldenNetwork.initialValues(.logits, catalog)
            for spec in catalog.specs where spec.isTrainable && spec.group != .policy {
                #expect(steps.final[spec.name] == start[spec.name], "\(spec.name)")
            }
        }

        /// Ten steps and their agreement with the file.
        static func steps(_ forms: Forms, _ family: KernelFamily) throws -> GoldenSteps {
            let prefix = forms.testDescription
            return try .named("\(GoldenCase.logits.file) \(prefix)", family) {
                let network = try GoldenNetwork(.logits, family)
                var all: [[Double]] = []
                for step in 0..<10 {
                    let plan = try network.run(forms.learning.logits(open: forms.open), step: step, learningRate: 1e-2)
                    all.append(try losses(network, plan))
                    let kind = step == 0 ? "loss" : "losses"
                    try network.agreement.compareLosses(kind, "\(prefix)/losses", row: step, all[step])
                    guard step == 0 else { continue }
                    try network.compareOutputs(plan, prefix: "open\(forms.open)/")
                    try network.compareStatistics("statistics", prefix: "open\(forms.open)/bn")
                    try network.agreement.compare("gradients", prefix, "grad", try gradients(network, plan))
                }
                let start = try (0..<tasks).flatMap { try network.formula.initialValues(spec(network, $0)) }
                let final = try logits(network)
                try network.agreement.compare("final", prefix, "final", final)
                let changes = zip(final, start).map { $0 - $1 }
                try network.agreement.compare("delta", prefix, "delta", changes)
                return try GoldenSteps(network, all)
            }
        }

        /// The file holds nothing that the test above does not compare.
        @Test func everyTensorIsCovered() throws {
            let prefixes = Self.forms.map { $0.testDescription + "/" } + ["open8/", "open3/"]
            for name in try TensorFile.golden(GoldenCase.logits.file).names {
                #expect(prefixes.contains { name.hasPrefix($0) }, "\(name)")
            }
        }

        /// Negative control: another form or frontier must not pass.
        @Test func anotherFormDiffers() throws {
            let prefix = "paper.paper.open8"
            for (sparsity, sharing, open) in [
                (RegulariserForm.published, RegulariserForm.paper, 8), (.paper, .published, 8), (.paper, .paper, 7),
            ] {
                let forms = Forms(sparsity: sparsity, sharing: sharing, open: open)
                let network = try GoldenNetwork(.logits)
                let plan = try network.run(forms.learning.logits(open: open), step: 0, learningRate: 1e-2)
                try network.agreement.compareLosses("loss", "\(prefix)/losses", row: 0, try Self.losses(network, plan))
                try network.agreement.compare("gradients", prefix, "grad", try Self.gradients(network, plan))
                #expect(network.agreement["loss"] > 1e-3)
                #expect(network.agreement["gradients"] > 1e-3)
            }
        }

        private static func spec(_ network: GoldenNetwork, _ task: Int) throws -> ParameterSpec {
            try #require(network.catalog["task\(task + 1)_logits"])
        }

        /// [3, 8, 2].
        private static func logits(_ network: GoldenNetwork) throws -> [Float] {
            try (0..<tasks).flatMap { try network.runtime.read(spec(network, $0)) }
        }

        private static func gradients(_ network: GoldenNetwork, _ plan: Plan) throws -> [Float] {
            try (0..<tasks).flatMap {
                try network.runtime.executor.read("gradient/task\($0 + 1)_logits", of: plan)
            }
        }

        /// Tasks, sparsity, sharing, total.
        private static func losses(_ network: GoldenNetwork, _ plan: Plan) throws -> [Double] {
            let losses = try network.losses(plan)
            let terms = try ["sparsity", "sharing"].map {
                Double(try network.runtime.executor.read("regulariser/\($0)", of: plan)[0]) / Forms.weight
            }
            return losses.dropLast() + terms + losses.suffix(1)
        }
    }
}
