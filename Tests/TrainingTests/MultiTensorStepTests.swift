import AdaShareModels
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareGraph
@testable import AdaShareMethods

extension TrainingTests {
    /// Steps whose small updates share launches leave every tensor as steps do in which each has a launch of its own.
    @Suite(.needsDevice) struct MultiTensorStepTests {
        /// All tensors after some steps of several kinds: warm-up, weights and logits of policy learning, retraining
        /// with a block that no task selects, and without one of the tasks.
        private func train(
            _ golden: GoldenCase, _ kinds: [StepKind], _ family: KernelFamily, joining elements: Int, rounds: Int = 2
        ) throws -> (tensors: [String: [UInt32]], launches: Int) {
            let network = try GoldenNetwork(golden, family)
            let runtime = network.runtime
            let executor = runtime.executor
            let batch = network.batch
            let shape = BatchShape(count: batch.count, height: batch.height, width: batch.width)
            let everyone = Array(GoldenNetwork.tasks.indices)
            try runtime.upload(everyone.map { _ in batch }, shape, images: everyone, labels: everyone)
            var (launches, step) = (0, 0)
            for _ in 0..<rounds {
                for kind in kinds {
                    for present in [nil, [0, 2]] {
                        let graph = Graph()
                        runtime.graphs.trace(kind, batch: shape, tasks: present, into: graph)
                        let plan = try executor.makePlan(
                            graph.lowered(for: family, choices: runtime.graphs.choices, joining: elements))
                        try network.writeNoise(step: step)
                        try executor.store.write(GoldenNetwork.state(step: step, learningRate: 1e-3))
                        try executor.run(plan)
                        launches += plan.launchCount
                        step += 1
                    }
                }
            }
            var tensors: [String: [UInt32]] = [:]
            for name in executor.store.names where !name.hasPrefix("input/") && name != Graph.stepName {
                tensors[name] = try executor.store.readIntegers(name).map { UInt32(bitPattern: $0) }
            }
            return (tensors, launches)
        }

        private func check(_ golden: GoldenCase, _ kinds: [StepKind], _ family: KernelFamily) throws {
            let own = try train(golden, kinds, family, joining: 0)
            let joined = try train(golden, kinds, family, joining: MultiTensor.mostElements)
            #expect(joined.tensors.keys.sorted() == own.tensors.keys.sorted())
            for (name, values) in own.tensors { #expect(joined.tensors[name] == values, "\(name)") }
            #expect(Double(joined.launches) < 0.9 * Double(own.launches), "\(joined.launches), \(own.launches)")
            // Negative control: fewer steps leave something else.
            let fewer = try train(golden, kinds, family, joining: MultiTensor.mostElements, rounds: 1)
            for name in ["backbone.bn1.weight", "backbone.bn1.running_mean", "backbone.bn1.num_batches_tracked"] {
                #expect(fewer.tensors[name] != own.tensors[name], "\(name)")
            }
        }

        @Test(arguments: TestDevice.families)
        func everyTensorMovesAsWithALaunchOfItsOwn(family: KernelFamily) throws {
            let kinds: [StepKind] = [
                .hardSharing, GoldenCase.learning.weights(open: 3), GoldenCase.learning.logits(open: 8),
                .retrain(GoldenCase.policy),
            ]
            try check(.mixed, kinds, family)
        }

        /// Half of its backbone is frozen.
        @Test(arguments: TestDevice.families) func frozenTensorsStay(family: KernelFamily) throws {
            try check(.spotTune, [GoldenCase.spotTune.kind], family)
        }
    }
}
