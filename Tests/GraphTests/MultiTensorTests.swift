import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    /// Which small updates share a launch. That shared ones compute the same is seen by `ExecutorTests`, on random
    /// graphs, and by the operators' own tests.
    @Suite struct MultiTensorTests {
        private static let shape = Shape([3, 5])

        private func update(_ name: String, _ shape: Shape = shape, rate: Int = 0, in graph: Graph) {
            let momentum = graph.parameter(name + ".momentum", shape)
            _ = graph.record(
                SGDUpdate(rate: RateSlot(rate), momentum: 0.5, weightDecay: 0),
                [
                    graph.parameter(name, shape), graph.input("gradient of " + name, shape), momentum, graph.step,
                    graph.input("flag", Shape([2], compact: true)),
                ])
        }

        /// What the updates of the lowered graph change, launch by launch; another node is "-".
        private func launches(_ graph: Graph, joining: Int = MultiTensor.mostElements) -> [String] {
            let lowered = graph.lowered(for: .cpu, choices: AlgorithmChoices(), joining: joining)
            return lowered.nodes.map { node in
                guard let operation = node.operation as? SGDUpdate else { return "-" }
                return (0..<operation.tensors).map { lowered.externalName(node.inputs[3 * $0]) }.joined(separator: " ")
            }
        }

        @Test func smallTensorsOfOneShapeShareALaunch() {
            let graph = Graph()
            let large = Shape([1 << 8, 1 << 7])
            for name in ["a", "b"] { update(name, in: graph) }
            update("other shape", Shape([15]), in: graph)
            update("other rate", rate: 1, in: graph)
            for name in ["large", "larger"] { update(name, large, in: graph) }
            update("c", in: graph)
            #expect(launches(graph) == ["large", "larger", "a b c", "other shape", "other rate"])
            #expect(launches(graph, joining: large.storedCount).contains("large larger"))
            #expect(launches(graph, joining: 0) == ["a", "b", "other shape", "other rate", "large", "larger", "c"])
        }

        @Test func aLaunchHasRoomForSoMany() {
            let graph = Graph()
            for index in 0..<60 { update("\(index)", in: graph) }
            let counts = launches(graph).map { $0.split(separator: " ").count }
            #expect(counts == [28, 28, 4])
        }

        /// What reads a parameter between two updates sees the first one alone.
        @Test func nodesBetweenAreNotPassed() {
            let graph = Graph()
            update("a", in: graph)
            update("b", in: graph)
            graph.output("y", graph.record(ReLU(), [graph.parameter("a", Self.shape)])[0])
            update("c", in: graph)
            update("d", in: graph)
            #expect(launches(graph) == ["a b", "-", "c d"])
        }

        /// One tensor moves twice in order, in launches of which each moves it once.
        @Test func repeatedUpdatesKeepTheirOrder() {
            let graph = Graph()
            for name in ["a", "b", "a", "b", "a", "c"] {
                let gradient = graph.input("gradient of \(name)", Self.shape)
                _ = graph.record(
                    SGDUpdate(rate: RateSlot(0), momentum: 0.5, weightDecay: 0),
                    [
                        graph.parameter(name, Self.shape), gradient, graph.parameter(name + ".momentum", Self.shape),
                        graph.step, graph.input("flag", Shape([2], compact: true)),
                    ])
            }
            #expect(launches(graph) == ["a b c", "a b", "a"])
        }

        /// A parameter that is another one's gradient is read before it moves, or after.
        @Test func gradientsAreReadAtTheirTime() {
            let graph = Graph()
            let flag = graph.input("flag", Shape([2], compact: true))
            for (name, gradient) in [("a", "b"), ("b", "x"), ("c", "b")] {
                _ = graph.record(
                    SGDUpdate(rate: RateSlot(0), momentum: 0.5, weightDecay: 0),
                    [
                        graph.parameter(name, Self.shape), graph.parameter(gradient, Self.shape),
                        graph.parameter(name + ".momentum", Self.shape), graph.step, flag,
                    ])
            }
            #expect(launches(graph) == ["a", "b", "c"])
        }
    }
}
