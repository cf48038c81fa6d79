import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite(.needsDevice) struct HoistingTests {
        private static let image = Shape([1, 5, 6, 4])
        private static let kernel = Shape([3, 3, 4, 4])
        private static let pack = "convolution_pack"

        /// Two convolutions and a loss; the named weights are trained.
        private func record(training names: [String], in graph: Graph) {
            let weights = ["w1", "w2"].map { graph.parameter($0, Self.kernel) }
            let x = graph.input("x", Self.image)
            let hidden = graph.record(ReLU(), [graph.convolution(x, weights: weights[0], padding: 1)])[0]
            let y = graph.convolution(hidden, weights: weights[1], padding: 1)
            let logits = graph.record(GlobalAveragePool(), [y])[0]
            let labels = graph.input("labels", Shape([1, 1, 1], compact: true))
            let loss = graph.record(TaskLoss(.crossEntropy(ignore: 255)), [logits, labels])[0]
            graph.output("logits", logits)
            let flag = graph.input("flag", Shape([2], compact: true))
            let targets = names.map { graph.parameter($0, Self.kernel) }
            for (target, gradient) in zip(targets, graph.gradients(of: loss, for: targets)) {
                let momentum = graph.parameter(graph.externalName(target) + ".momentum", Self.kernel)
                _ = graph.record(
                    SGDUpdate(rate: RateSlot(0), momentum: 0, weightDecay: 0),
                    [target, gradient!, momentum, graph.step, flag])
            }
        }

        private func write(_ name: String, _ seed: UInt64, to executor: Executor) throws {
            let shape = name == "x" ? Self.image : Self.kernel
            try executor.store.write(name, shape, TestDevice.values(shape, seed))
        }

        /// An executor with weights, an image and a rate of 1, but no plan.
        private func prepared(_ family: KernelFamily) throws -> Executor {
            let executor = try TestDevice.trainingExecutor(family)
            for (seed, name) in ["w1", "w2", "x"].enumerated() { try write(name, UInt64(seed), to: executor) }
            return executor
        }

        private func plan(training names: [String], _ executor: Executor) throws -> Plan {
            try executor.plan(names) { record(training: names, in: $0) }
        }

        private func packs(_ body: () throws -> Void) throws -> Int {
            try TestDevice.launched(by: body).count { $0.hasPrefix(Self.pack) }
        }

        @Test(arguments: TestDevice.families) func frozenWeightsAreNotPackedInTheStep(family: KernelFamily) throws {
            let executor = try prepared(family)
            let plan = try plan(training: ["w1"], executor)
            // The GPU reads forward weights as they are; packed weights of w1 change with every step.
            #expect(plan.prologue.count == (family == .cpu ? 2 : 1))
            #expect(plan.prologue.allSatisfy { $0.parameters == ["w2"] })
            let inStep = try plan.launches.count { $0.site.name.hasPrefix(Self.pack) }
            #expect(inStep == (family == .cpu ? 1 : 0))
            #expect(plan.operations.count { $0 is PackWeights } == inStep)
        }

        @Test(arguments: TestDevice.families) func packingFollowsTheVersionOfTheParameter(family: KernelFamily) throws {
            let executor = try prepared(family)
            let plan = try plan(training: ["w1"], executor)
            let frozen = family == .cpu ? 2 : 1
            let inStep = family == .cpu ? 1 : 0
            func step() throws -> Int { try packs { try executor.run(plan) } - inStep }

            #expect(try step() == frozen, "the first run")
            #expect(try step() == 0)
            try write("x", 10, to: executor)
            try write("w1", 11, to: executor)
            #expect(try step() == 0, "neither the image nor w1 is packed ahead")
            try write("w2", 12, to: executor)
            #expect(try step() == frozen)
            #expect(try step() == 0)
            #expect(plan.prologue.allSatisfy { $0.entry.versions == [executor.store.version("w2")] })
        }

        @Test(arguments: TestDevice.families) func resultsFollowWrittenWeights(family: KernelFamily) throws {
            let executor = try prepared(family)
            let plan = try plan(training: [], executor)
            let before = try executor.results(plan)
            #expect(try executor.results(plan) == before)
            try write("w2", 20, to: executor)
            let fresh = try prepared(family)
            try write("w2", 20, to: fresh)
            let after = try executor.results(plan)
            #expect(try after == fresh.results(self.plan(training: [], fresh)))
            #expect(after != before, "negative control")
        }

        @Test(arguments: TestDevice.families) func resultsFollowWeightsTrainedByAnotherPlan(family: KernelFamily)
            throws
        {
            let executor = try prepared(family)
            let evaluation = try plan(training: [], executor)
            let training = try plan(training: ["w1", "w2"], executor)
            let packedAhead = family == .cpu ? 2 : 0
            #expect(evaluation.prologue.count == packedAhead && training.prologue.isEmpty)
            #expect(training.changed.sorted() == ["w1", "w1.momentum", "w2", "w2.momentum"])

            let before = try executor.results(evaluation)
            try executor.run(training)
            var after: [String: [Float]] = [:]
            #expect(try packs { after = try executor.results(evaluation) } == packedAhead)
            var again: [String: [Float]] = [:]
            #expect(try packs { again = try executor.results(evaluation) } == 0)
            #expect(again == after)
            let fresh = try prepared(family)
            for name in ["w1", "w2"] { try fresh.store.write(name, Self.kernel, try executor.store.read(name)) }
            #expect(try after == fresh.results(plan(training: [], fresh)))
            #expect(after != before, "negative control")
        }

        @Test func plansShareWhatTheyPack() throws {
            let executor = try prepared(.cpu)
            let (first, second) = (try plan(training: ["w1"], executor), try plan(training: [], executor))
            try executor.run(first)
            // w1 has changed and was never packed ahead; w2 was packed by the other plan.
            #expect(try packs { try executor.run(second) } == 1)
            try executor.run(first)
            #expect(try packs { try executor.run(second) } == 1, "the first plan changes w1 in every step")
            #expect(try packs { try executor.run(second) } == 0)
        }
    }
}
