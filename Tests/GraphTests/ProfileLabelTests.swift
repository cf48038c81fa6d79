import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite struct ProfileLabelTests {
        private let weights = Shape([1, 1, 3, 3])

        /// A convolution of both tasks, then one of each task's own.
        private func record(in graph: Graph, training: Bool) {
            let x = graph.input("x", Shape([1, 4, 4, 3]))
            let stem = graph.scope("stem") { graph.convolution(x, weights: graph.parameter("w", weights)) }
            var losses: [Value] = []
            for task in ["a", "b"] {
                let parameter = graph.parameter("w.\(task)", weights)
                let y = graph.scope("own") { graph.convolution(stem, weights: parameter) }
                let pooled = graph.record(GlobalAveragePool(), [y])[0]
                guard training else {
                    graph.output("output/\(task)", pooled)
                    continue
                }
                let labels = graph.input("labels", Shape([1, 1, 1], compact: true))
                let loss = graph.scope("\(task)/loss") {
                    graph.record(TaskLoss(.crossEntropy(ignore: 255)), [pooled, labels])[0]
                }
                graph.output("loss/\(task)", loss)
                losses.append(loss)
            }
            guard training else { return }
            let total = graph.record(WeightedSum([1, 1]), losses)[0]
            graph.output("loss/total", total)
            for (name, gradient) in zip(
                ["w", "w.a", "w.b"],
                graph.gradients(of: total, for: ["w", "w.a", "w.b"].map { graph.parameter($0, weights) }))
            {
                if let gradient { graph.output("gradient/\(name)", gradient) }
            }
        }

        @Test func forwardNodesNameTheTasksTheyServe() {
            let graph = Graph()
            record(in: graph, training: false)
            let labels = Set(graph.lowered(for: .cpu).profileLabels())
            #expect(
                labels == ["stem @all", "own @a", "own @b", "GlobalAveragePool @a", "GlobalAveragePool @b"])
        }

        @Test func backwardNodesNameTheTasksWhoseGradientsArrive() {
            let graph = Graph()
            record(in: graph, training: true)
            let labels = Set(graph.lowered(for: .cpu).profileLabels())
            for label in [
                "stem @all", "own @a", "a/loss @a", "WeightedSum @all", "backward/a/loss @a", "backward/b/loss @b",
                "backward/own @a", "backward/own @b", "backward/stem @all",
            ] { #expect(labels.contains(label), "no \(label) in \(labels)") }
            #expect(!labels.contains("backward/own @all"))
        }

        @Test(.needsDevice, arguments: TestDevice.families)
        func aProfileAddsUpToThePlan(family: KernelFamily) throws {
            let executor = try TestDevice.profilingExecutor(family)
            let plan = try executor.plan("profile") { record(in: $0, training: true) }
            _ = try executor.context.queue.takeProfile()
            try executor.run(plan)
            #expect(executor.context.queue.recordedLaunchCount >= plan.launchCount)
            let entries = try executor.context.queue.takeProfile()
            #expect(plan.multiplyAccumulates > 0)
            #expect(entries.reduce(0) { $0 + $1.multiplyAccumulates } == plan.multiplyAccumulates)
            #expect(entries.allSatisfy { $0.byteCount > 0 })
        }
    }
}
