import Models
import Operators
import Testing

@testable import Training

extension GoldenTests {
    /// Whole training steps of a small network against PyTorch, every tensor of the files.
    @Suite struct GoldenNetworkTests {
        static let firstStep = 1e-4
        static let tenSteps = 1e-3
        /// For the change of weights in ten steps, which float32 weights near 1 hold no better. With four-rate heads some
        /// ReLU input comes nearer to zero than rounding in a later step: PyTorch's own float32 without oneDNN is 5e-2
        /// from its float64 there.
        static func change(_ head: HeadKind) -> Double { head == .light ? 2e-2 : 1e-1 }

        @Test(
            arguments: KernelFamily.allCases, [GoldenCase.warmupLight, .warmupFourRate, .mixed, .mixedHard, .retrain])
        func stepsFollowPyTorch(family: KernelFamily, golden: GoldenCase) throws {
            let network = try GoldenNetwork(golden, family)
            var limits = ["outputs": Self.firstStep, "gradients": Self.firstStep, "statistics": Self.firstStep]
            for step in 0..<golden.steps {
                let plan = try network.run(golden.kind, step: step, learningRate: golden.learningRate)
                let kind = step == 0 ? "loss" : "losses"
                limits[kind] = step == 0 ? Self.firstStep : Self.tenSteps
                try network.agreement.compareLosses(kind, "losses", row: step, try network.losses(plan))
                guard step == 0 else { continue }
                try network.compareOutputs(plan)
                try network.compareGradients(plan)
                try network.compareStatistics("statistics", prefix: "bn")
            }
            if network.agreement.worst["samples"] != nil { limits["samples"] = Self.firstStep }
            if golden.steps > 1 {
                try network.compareWeights()
                try network.compareStatistics("statistics at the end", prefix: "bn_final")
                limits["final"] = Self.tenSteps
                limits["delta"] = Self.change(golden.head)
                limits["statistics at the end"] = Self.tenSteps
            }
            if golden.straightThrough {
                try Self.compareLogitGradients(network)
                limits["logit gradients"] = Self.firstStep
            }
            network.agreement.expect(limits)
            network.agreement.report("\(golden.file) \(family.rawValue)")
            #expect(network.agreement.compared == Set(network.agreement.file.names))
            #expect(try network.runtime.failure() == nil)
        }

        /// The logits are frozen in a weight step, so their gradients come from a logit step with the same samples.
        private static func compareLogitGradients(_ network: GoldenNetwork) throws {
            try network.reset()
            let plan = try network.run(.logits(open: GoldenNetwork.blocks), step: 0, learningRate: 0)
            for task in 1...GoldenNetwork.tasks.count {
                let name = "task\(task)_logits"
                try network.agreement.compare(
                    "logit gradients", "grad", name, try network.runtime.executor.read("gradient/\(name)", of: plan))
            }
        }

        /// Negative control: the noise of another step must not pass.
        @Test func anotherNoiseDiffers() throws {
            let network = try GoldenNetwork(.mixed, .cpu)
            let plan = try network.run(GoldenCase.mixed.kind, step: 0, learningRate: 1e-4, noise: 1)
            try network.compareOutputs(plan)
            try network.compareGradients(plan)
            for kind in ["samples", "outputs", "gradients"] {
                #expect(network.agreement[kind] > 10 * Self.firstStep, "\(kind)")
            }
        }

        /// Negative control: one decision of one task changed must not pass.
        @Test func anotherPolicyDiffers() throws {
            let policy = DiscretePolicy(skipped: [[4, 6], [3, 6, 8], [4, 5, 6, 8]], blocks: 8)
            let network = try GoldenNetwork(.retrain, .cpu)
            let plan = try network.run(.retrain(policy), step: 0, learningRate: 1e-5)
            try network.compareOutputs(plan)
            try network.compareGradients(plan)
            try network.compareStatistics("statistics", prefix: "bn")
            for kind in ["outputs", "gradients", "statistics"] {
                #expect(network.agreement[kind] > 10 * Self.firstStep, "\(kind)")
            }
        }

        /// Negative control: twice the learning rate must not pass.
        @Test func anotherLearningRateDiffers() throws {
            let network = try GoldenNetwork(.warmupLight, .cpu)
            for step in 0..<10 {
                let plan = try network.run(.hardSharing, step: step, learningRate: 2e-5)
                try network.agreement.compareLosses("losses", "losses", row: step, try network.losses(plan))
            }
            try network.compareWeights()
            #expect(network.agreement["losses"] > 2 * Self.tenSteps)
            #expect(network.agreement["delta"] > 10 * Self.change(.light))
        }
    }
}
