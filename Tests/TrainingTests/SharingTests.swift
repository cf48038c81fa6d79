import AdaShareDatasets
import AdaShareGraph
import AdaShareModels
import AdaShareOperators
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// What tasks share is computed once: that must not change what any of them computes.
    @Suite struct SharingTests {
        private static let image = "\(StepGraphs.imageName)/2x33x41"

        /// Traces one task alone onto a graph of its own.
        private func separate(
            _ network: GoldenNetwork, task: Int, mode: NetworkTrace.Mode, dropout: Double = 0,
            _ body: (Graph, Value) throws -> Void = { _, _ in }
        ) throws -> Plan {
            let executor = network.runtime.executor
            return try executor.plan("task \(task) \(mode)") { graph in
                let architecture = network.runtime.graphs.architecture
                var trace = NetworkTrace(graph: graph, architecture: architecture, mode: mode, dropout: dropout)
                let shape = Shape([2, 33, 41, 3], compact: true)
                let decisions = GoldenCase.policy.select[task].map { $0 ? BlockDecision.select : .skip }
                let features = trace.features(image: graph.input(Self.image, shape), decisions: [decisions])[0]
                let output = trace.head(task: task, features: features)
                graph.output("output", output)
                try body(graph, output)
            }
        }

        private func outputs(_ network: GoldenNetwork, _ plan: Plan) throws -> [[Float]] {
            try GoldenNetwork.tasks.map { try network.runtime.executor.read("output/\($0.name)", of: plan) }
        }

        /// Inference under a policy: the same bits, with less work.
        @Test(arguments: TestDevice.families)
        func inferenceIsTheSameToTheBit(family: KernelFamily) throws {
            let network = try GoldenNetwork(.retrain, family)
            // Running statistics other than 0 and 1.
            _ = try network.run(GoldenCase.retrain.kind, step: 0, learningRate: 1e-3)
            let executor = network.runtime.executor
            let kind = StepKind.inference(GoldenCase.policy)
            let shared = try network.run(kind, step: 0, learningRate: 0)
            let together = try outputs(network, shared)
            var work = 0
            for task in GoldenNetwork.tasks.indices {
                let plan = try separate(network, task: task, mode: .inference)
                try executor.run(plan)
                #expect(try executor.read("output", of: plan) == together[task], "task \(task)")
                work += plan.multiplyAccumulates
            }
            #expect(shared.multiplyAccumulates < work)
            // Negative control: another policy gives other bits.
            let all = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
            let other = try outputs(network, try network.run(.inference(all), step: 0, learningRate: 0))
            for task in together.indices { #expect(other[task] != together[task]) }
        }

        /// A part of the tasks: the others have no parameters on the device, no kernels, and change nothing.
        @Test func aPartOfTheTasksPaysForItselfOnly() throws {
            let whole = try GoldenNetwork(.retrain)
            let all3 = whole.runtime.graphs
            let head = all3.architecture.tasks[1]
            let architecture = try NetworkArchitecture(
                backbone: all3.architecture.backbone, width: all3.architecture.width, head: all3.architecture.head,
                tasks: [TaskHead(name: head.name, channels: head.channels, number: 2)])
            let graphs = StepGraphs(
                architecture: architecture, catalog: ParameterCatalog(architecture), tasks: [all3.tasks[1]],
                dropout: all3.dropout, rule: all3.rule)
            let library = try TestDevice.nativeLibrary()
            let part = try NetworkRuntime(library: library, graphs: graphs)
            try part.load(try whole.runtime.checkpoint())
            #expect(!part.executor.store.names.contains { $0.hasPrefix("task1_") || $0.hasPrefix("task3_") })
            #expect(part.executor.store.names.contains("task2_logits"))
            let mine = DiscretePolicy(select: [GoldenCase.policy.select[1]])
            var batch = Batch(count: 2, height: 33, width: 41, indices: [0, 1])
            batch.image = (0..<(2 * 33 * 41 * 3)).map { Float($0 % 23) - 11 }
            let all = try whole.runtime.predict(batch, policy: GoldenCase.policy)
            let alone = try part.predict(batch, policy: mine)
            let name = GoldenNetwork.tasks[1].name
            #expect(alone.keys.sorted() == [name] && alone[name]?.values == all[name]?.values)
            let shape = BatchShape(count: 2, height: 33, width: 41)
            let few = try part.plan(.inference(mine), shape)
            let many = try whole.runtime.plan(.inference(GoldenCase.policy), shape)
            #expect(few.multiplyAccumulates < many.multiplyAccumulates && few.launchCount < many.launchCount)
        }

        /// One retraining step with dropout: the same masks and outputs for a task alone, and gradients that add up.
        @Test(arguments: TestDevice.families)
        func trainingStepsAgree(family: KernelFamily) throws {
            // Four-rate heads have dropout, on the small images of the light case; the file is not compared.
            let golden = GoldenCase(
                file: "network_warmup_four_rate", salt: "776", head: .fourRate, kind: .retrain(GoldenCase.policy),
                learningRate: 0)
            let network = try GoldenNetwork(golden, family, dropout: 0.5, size: (2, 33, 41))
            let executor = network.runtime.executor
            let shared = try network.run(golden.kind, step: 0, learningRate: 0)
            let together = try outputs(network, shared)
            let names = [
                "backbone.conv1.weight", "backbone.blocks.0.0.conv1.weight", "backbone.ds.2.0.weight",
                "backbone.blocks.3.1.bn2.weight", "backbone.blocks.1.1.conv2.weight",
            ]
            let specs = try names.map { try #require(network.catalog[$0]) }
            let total = try specs.map { try executor.read("gradient/\($0.name)", of: shared) }
            var sums = total.map { [Float](repeating: 0, count: $0.count) }
            for (index, task) in GoldenNetwork.tasks.enumerated() {
                let plan = try separate(network, task: index, mode: .training, dropout: 0.5) { graph, output in
                    let size = output.shape.dimensions
                    let labels = graph.input(
                        StepGraphs.labelName(task.label) + "/2x33x41",
                        Shape([2, 33, 41, task.kind.label.channels], compact: true))
                    let resized = graph.record(NearestResize(height: size[1], width: size[2]), [labels])[0]
                    let loss = task.kind.loss(output, resized, classWeights: nil, in: graph)
                    let weighted = graph.record(WeightedSum([task.weight]), [loss])[0]
                    let known = specs.filter { graph.knows($0.name) }
                    let targets = known.map { graph.parameter($0.name, Shape($0.deviceShape)) }
                    for (spec, gradient) in zip(known, graph.gradients(of: weighted, for: targets)) {
                        graph.output(spec.name, try #require(gradient))
                    }
                }
                try executor.run(plan)
                #expect(try executor.read("output", of: plan) == together[index], "\(task.name)")
                for (position, spec) in specs.enumerated() where executor.shape(spec.name, of: plan) != nil {
                    let gradient = try executor.read(spec.name, of: plan)
                    for i in gradient.indices { sums[position][i] += gradient[i] }
                }
            }
            for (position, spec) in specs.enumerated() {
                let difference = GoldenAgreement.difference(
                    sums[position].map { Double($0) }, total[position].map { Double($0) })
                #expect(difference <= 1e-5, "\(spec.name) differs by \(difference)")
            }
            // Negative control: the masks of another step differ.
            let later = try outputs(network, try network.run(golden.kind, step: 1, learningRate: 0))
            for task in together.indices { #expect(later[task] != together[task]) }
        }
    }
}
