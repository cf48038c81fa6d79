import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators
@testable import AdaShareTraining

extension TrainingTests {
    /// Sampling, regularisers and optimisers against PyTorch.
    @Suite struct GoldenPolicyOperatorTests {
        private func operators(_ name: String, _ family: KernelFamily) throws -> GoldenOperatorRun {
            try GoldenOperatorRun(try .golden("operators"), name, family)
        }

        @Test(arguments: TestDevice.families, ["soft_tau5", "soft_tau07", "hard_tau5"])
        func gumbelSoftmax(family: KernelFamily, name: String) throws {
            let run = try operators("gumbel_\(name)", family)
            run.state.temperature = try run.floats("temperature")[0]
            let (z, u) = (try run.input("z"), try run.input("u"))
            let sample = GumbelSoftmax(straightThrough: name.hasPrefix("hard"))
            try run.expect(y: run.graph.record(sample, [z, u, run.graph.step])[0], gradients: ["z": z])
            try run.compare()
        }

        /// The regularisers of all tasks or pairs together, as the step graphs add them up.
        @Test(
            arguments: TestDevice.families,
            [
                "sharing_paper", "sharing_published", "sparsity_paper_open8", "sparsity_published_open8",
                "sparsity_published_weighted_open8", "sparsity_paper_open3", "sparsity_published_open3",
                "sparsity_published_weighted_open3",
            ])
        func regularisers(family: KernelFamily, name: String) throws {
            let run = try operators(name, family)
            let (loss, gradient) = try regulariser(run, name)
            #expect(try run.difference("y", loss) <= GoldenOperatorRun.tolerance)
            #expect(try run.difference("dz", gradient) <= GoldenOperatorRun.tolerance)
        }

        /// Negative control: every other regulariser must not pass for this one.
        @Test func otherRegularisersDiffer() throws {
            let run = try operators("sparsity_published_open8", TestDevice.nativeFamily())
            for name in ["sparsity_paper_open8", "sparsity_published_weighted_open8", "sparsity_published_open3"] {
                let (loss, gradient) = try regulariser(try operators(name, run.executor.library.family), name)
                #expect(try run.difference("y", loss) > 1e-3, "\(name)")
                #expect(try run.difference("dz", gradient) > 1e-3, "\(name)")
            }
        }

        /// Loss and gradient [3, 8, 2].
        private func regulariser(_ run: GoldenOperatorRun, _ name: String) throws -> ([Float], [Float]) {
            let values = try run.file.floats("regularisers.z")
            let shape = Shape([8, 2])
            let z = try (0..<3).map { task in
                try run.executor.store.write("z\(task)", shape, Array(values[16 * task..<16 * (task + 1)]))
                return run.graph.parameter("z\(task)", shape)
            }
            let form: RegulariserForm = name.contains("paper") ? .paper : .published
            let terms: [Value]
            if name.hasPrefix("sharing") {
                terms = [(0, 1), (0, 2), (1, 2)].map {
                    run.graph.record(SharingLoss(form: form), [z[$0.0], z[$0.1]])[0]
                }
            } else {
                let loss = SparsityLoss(
                    form: form, first: name.hasSuffix("open3") ? 5 : 0, layered: name.contains("weighted"))
                terms = z.map { run.graph.record(loss, [$0])[0] }
            }
            let total = run.graph.record(WeightedSum([1, 1, 1]), terms)[0]
            run.graph.output("total", total)
            for (task, gradient) in run.graph.gradients(of: total, for: z).enumerated() {
                run.graph.output("dz\(task)", try #require(gradient))
            }
            let plan = try run.executor.makePlan(run.graph)
            try run.executor.run(plan)
            let gradients = try (0..<3).flatMap { try run.executor.read("dz\($0)", of: plan) }
            return (try run.executor.read("total", of: plan), gradients)
        }

        @Test(arguments: TestDevice.families, ["sgd", "adam_warmup", "adam_logits"])
        func optimisers(family: KernelFamily, name: String) throws {
            let run = try operators(name, family)
            let path = try steps(run, name, rateFactor: 1)
            #expect(try run.difference("y", path) <= GoldenOperatorRun.tolerance)
            for (stored, part) in name == "sgd" ? [("first", "momentum")] : [("first", "m"), ("second", "v")] {
                #expect(
                    try run.difference(part, run.executor.store.read(stored)) <= GoldenOperatorRun.tolerance, "\(part)")
            }
            // Negative control: a tenth more learning rate must not pass.
            #expect(try run.difference("y", steps(try operators(name, family), name, rateFactor: 1.1)) > 1e-3)
        }

        /// The parameter after each of the five steps, [5, 19].
        private func steps(_ run: GoldenOperatorRun, _ name: String, rateFactor: Double) throws -> [Float] {
            let attributes = try run.floats("attributes").map { Double($0) }
            let gradients = try run.floats("gradients")
            let shape = Shape([19])
            let w = try run.input("w", as: [19])
            func zeros(_ name: String) throws -> Value {
                try run.executor.store.write(name, shape, [Float](repeating: 0, count: 19))
                return run.graph.parameter(name, shape)
            }
            let g = run.graph.input("g", shape)
            let flag = try run.integers("flag", [0, 0])
            if name == "sgd" {
                let update = SGDUpdate(rate: .heads, momentum: attributes[1], weightDecay: attributes[2])
                _ = run.graph.record(update, [w, g, try zeros("first"), run.graph.step, flag])
            } else {
                let update = AdamUpdate(
                    rate: .heads, beta1: attributes[1], beta2: attributes[2], epsilon: attributes[3],
                    weightDecay: attributes[4])
                let inputs = [w, g, try zeros("first"), try zeros("second"), run.graph.step, flag]
                _ = run.graph.record(update, inputs)
            }
            let plan = try run.executor.makePlan(run.graph)
            var path: [Float] = []
            for step in 0..<5 {
                try run.executor.store.write("g", shape, Array(gradients[19 * step..<19 * (step + 1)]))
                let rate = attributes[0] * rateFactor
                run.state.rates[.heads] =
                    name == "sgd"
                    ? .init(learningRate: rate)
                    : .init(learningRate: rate, beta1: attributes[1], beta2: attributes[2], t: step + 1)
                try run.executor.store.write(run.state)
                try run.executor.run(plan)
                path += try run.executor.store.read("w")
            }
            return path
        }
    }
}
