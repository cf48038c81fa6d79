import AdaShareOperators
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    /// Steps in which a task's gradients come before the next task's head.
    @Suite struct EarlyGradientsTests {
        /// Convolutions of a trunk and of two heads, with cross-entropy of each pixel.
        private struct TwoHeads {
            static let parameters = [
                ("trunk", Shape([3, 3, 3, 16])), ("a1", Shape([3, 3, 16, 64])), ("a2", Shape([1, 1, 64, 4])),
                ("b1", Shape([3, 3, 16, 64])), ("b2", Shape([1, 1, 64, 4])),
            ]
            let size: Int
            var image: Shape { Shape([2, size, size, 3], compact: true) }
            var labels: Shape { Shape([2, size, size], compact: true) }

            func record(in graph: Graph) {
                func weights(_ name: String) -> Value {
                    graph.parameter(name, Self.parameters.first { $0.0 == name }!.1)
                }
                let image = graph.input("x", image)
                let trunk = graph.record(ReLU(), [graph.convolution(image, weights: weights("trunk"), padding: 1)])[0]
                func head(_ name: String) -> Value {
                    graph.scope(name) {
                        let wide = graph.convolution(trunk, weights: weights("\(name)1"), padding: 1)
                        return graph.convolution(graph.record(ReLU(), [wide])[0], weights: weights("\(name)2"))
                    }
                }
                func loss(_ logits: Value) -> Value {
                    graph.record(TaskLoss(.crossEntropy(ignore: 255)), [logits, graph.input("labels", labels)])[0]
                }
                let losses = ["a", "b"].map { loss(head($0)) }
                let total = graph.record(WeightedSum([1, 0.5]), losses)[0]
                graph.output("loss", total)
                let targets = Self.parameters.map { weights($0.0) }
                let gradients = graph.gradients(of: total, for: targets)
                let flag = graph.parameter("flag", Shape([2], compact: true))
                // Nothing moves before all losses are known to be finite.
                for (number, loss) in losses.enumerated() {
                    _ = graph.record(FiniteCheck(task: number), [loss, flag, graph.step])
                }
                for ((name, shape), gradient) in zip(Self.parameters, gradients) {
                    let momentum = graph.parameter(name + ".momentum", shape)
                    _ = graph.record(
                        SGDUpdate(rate: RateSlot(0), momentum: 0.9, weightDecay: 0),
                        [weights(name), gradient!, momentum, graph.step, flag])
                }
            }

            func lowered(fits: Bool) -> LoweredGraph {
                let graph = Graph()
                record(in: graph)
                return graph.lowered(for: .cpu, choices: Self.choices(fits: fits))
            }

            static func choices(fits: Bool) -> AlgorithmChoices {
                var choices = AlgorithmChoices()
                choices.fitsMemory = fits
                return choices
            }
        }

        private func arena(_ graph: LoweredGraph) throws -> Int {
            try MemoryPlan(graph, schedule: Schedule(graph), chunkLimit: Int.max / 2).totalBytes
        }

        /// What a head keeps, 64 channels of each pixel, is kept of one head at a time.
        @Test func aHeadIsForgottenBeforeTheNext() throws {
            let network = TwoHeads(size: 64)
            let head = 2 * 64 * 64 * 64 * 4
            let (recorded, early) = (network.lowered(fits: false), network.lowered(fits: true))
            // Less what places in the arena do not fit together, and what the gradients of the first head wait for.
            #expect(try arena(recorded) - arena(early) > head / 2)
            let order = early.nodes.map(\.label)
            #expect(order.firstIndex(of: "backward/a")! < order.firstIndex(of: "b")!)
            #expect(order.lastIndex(of: "a")! < order.firstIndex(of: "backward/a")!)
        }

        /// Gradients of weights that are larger than the activations had better come late: here they wait for the last
        /// loss.
        @Test func smallActivationsWait() {
            let network = TwoHeads(size: 4)
            let (recorded, fitting) = (network.lowered(fits: false), network.lowered(fits: true))
            let order = BackwardOrder(recorded).order
            #expect(order != Array(recorded.nodes.indices))
            #expect(LoweredGraph(recorded, order: order).peakBytes > recorded.peakBytes)
            #expect(fitting.nodes.map(\.label) == recorded.nodes.map(\.label))
        }

        /// A step that several processes take keeps its order.
        @Test func exchangesStayInOrder() {
            let graph = Graph()
            let network = TwoHeads(size: 64)
            network.record(in: graph)
            _ = graph.record(ExchangeStart(number: 0, form: .sum), [graph.parameter("token", .scalar)])
            let order = graph.lowered(for: .cpu).nodes.map(\.label)
            #expect(order.firstIndex(of: "backward/a")! > order.lastIndex(of: "b")!)
        }

        @Test(.needsDevice, arguments: TestDevice.families) func bitsAreTheSame(family: KernelFamily) throws {
            let network = TwoHeads(size: 24)
            let executor = try TestDevice.executor(family)
            let pixels = ReferenceTensor.random(shape: network.image.dimensions, seed: 9)
            /// Loss, and weights after two steps.
            func results(fits: Bool) throws -> (values: [String: [Float]], arena: Int) {
                let store = executor.store
                for (seed, (name, shape)) in TwoHeads.parameters.enumerated() {
                    let values = ReferenceTensor.random(shape: shape.dimensions, seed: UInt64(seed), scale: 0.5)
                    try store.write(name, shape, values.floats)
                    try store.write(name + ".momentum", shape, [Float](repeating: 0, count: shape.count))
                }
                try store.write("flag", Shape([2], compact: true), [Int32(0), 0])
                var step = StepState()
                step.rates[RateSlot(0)] = StepState.Rate(learningRate: 0.1)
                try store.write(step)
                let plan = try executor.plan("fits \(fits)", choices: TwoHeads.choices(fits: fits)) {
                    network.record(in: $0)
                }
                try store.write("x", network.image, pixels.floats)
                let labels = (0..<network.labels.count).map { Int32($0 % 4) }
                try store.write("labels", network.labels, labels)
                var values = try executor.results(plan)
                try executor.run(plan)
                for (name, shape) in TwoHeads.parameters { values[name] = try store.read(name) }
                return (values, plan.arenaBytes)
            }
            let (recorded, early) = try (results(fits: false), results(fits: true))
            #expect(early.arena < recorded.arena && recorded.values == early.values)
            let before = ReferenceTensor.random(shape: [3, 3, 16, 64], seed: 1, scale: 0.5).floats
            #expect(recorded.values["a1"]! != before, "weights move")
        }
    }
}
