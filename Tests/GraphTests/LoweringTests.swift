import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    /// A traced graph names no device; what a kernel family makes of it is decided afterwards.
    @Suite struct LoweringTests {
        private static let image = Shape([1, 5, 6, 16])
        private static let kernel = Shape([3, 3, 16, 16])
        private static let channels = Shape([16])

        private struct Layer {
            let convolution, y: Value
        }

        /// A convolution and batch norm from running statistics.
        private func layer(_ x: Value, _ name: String, tail: BatchNormTail = .relu, in graph: Graph) -> Layer {
            let y = graph.convolution(x, weights: graph.parameter("\(name).w", Self.kernel), padding: 1)
            let statistics = ["gamma", "beta", "mean", "variance"].map {
                graph.parameter("\(name).\($0)", Self.channels)
            }
            return Layer(
                convolution: y,
                y: graph.batchNorm(
                    y, gamma: statistics[0], beta: statistics[1], mean: statistics[2], variance: statistics[3],
                    tail: tail))
        }

        private func types(_ graph: Graph, _ family: KernelFamily = .gpu) -> [String] {
            graph.lowered(for: family).nodes.map { "\(type(of: $0.operation))" }
        }

        @Test func oneGraphServesBothFamilies() {
            let graph = Graph()
            let x = graph.input("x", Self.image)
            graph.output("y", graph.convolution(x, weights: graph.parameter("w", Self.kernel), padding: 1))
            #expect(types(graph, .gpu) == ["Convolution"], "work-groups read weights as they are")
            #expect(types(graph, .cpu) == ["PackWeights", "Convolution"])
            #expect(graph.count(Convolution.self) == 1 && graph.count(PackWeights.self) == 0)
        }

        @Test func problemsAreListedWithoutADevice() throws {
            let graph = Graph()
            SmallNetwork.recordTraining(in: graph)
            let passes = graph.convolutionProblems.map(\.pass)
            #expect(passes.count { $0 == .forward } == 3 && passes.count { $0 == .weightGradient } == 3)
            #expect(passes.count { $0 == .dataGradient } == 2 && passes.first == .forward)
        }

        @Test func choicesDecideTheAlgorithm() throws {
            let graph = Graph()
            graph.output(
                "y",
                graph.convolution(
                    graph.input("x", Shape([1, 8, 8, 32])), weights: graph.parameter("w", Shape([3, 3, 32, 32])),
                    padding: 1))
            let problem = try #require(graph.convolutionProblems.first)
            for algorithm in [ConvolutionAlgorithm.direct(), .winograd(tile: 2)] {
                let choices = AlgorithmChoices(measured: [problem: algorithm])
                let lowered = graph.lowered(for: .cpu, choices: choices)
                let found = lowered.nodes.compactMap { ($0.operation as? Convolution)?.algorithm }
                #expect(found == [algorithm])
            }
        }

        @Test func weightsArePackedOncePerVersion() {
            let graph = Graph()
            let (x, z) = (graph.input("x", Self.image), graph.input("z", Self.image))
            let weights = graph.parameter("w", Self.kernel)
            graph.output("a", graph.convolution(x, weights: weights, padding: 1))
            graph.output("b", graph.convolution(z, weights: weights, padding: 1))
            #expect(types(graph, .cpu).count { $0 == "PackWeights" } == 1)
            _ = graph.record(Probe(results: [], mutatedInputs: [0]), [weights])
            graph.output("c", graph.convolution(x, weights: weights, padding: 1))
            #expect(types(graph, .cpu).count { $0 == "PackWeights" } == 2, "an update lies between")
        }

        @Test func batchNormBecomesTheEpilogue() throws {
            let graph = Graph()
            let x = graph.input("x", Self.image)
            let first = layer(x, "a", in: graph)
            graph.output("y", layer(first.y, "b", tail: .addReLU(residual: x), in: graph).y)
            #expect(types(graph) == ["BatchNormAffine", "Convolution", "BatchNormAffine", "Convolution"])
            let epilogues = graph.lowered(for: .gpu).nodes.compactMap { ($0.operation as? Convolution)?.epilogue }
            #expect(
                epilogues == [
                    ConvolutionEpilogue(hasAffine: true, relu: true),
                    ConvolutionEpilogue(hasAffine: true, hasResidual: true, relu: true),
                ])
        }

        /// Negative controls: what an epilogue cannot do, and what would change somebody's value, stays by itself.
        @Test func otherReadersUpdatesAndMixesPreventFusion() {
            func separate(_ record: (Graph, Value) -> Void) -> Int {
                let graph = Graph()
                record(graph, graph.input("x", Self.image))
                return types(graph).count { $0 == "BatchNormNormalise" }
            }
            #expect(separate { $0.output("y", layer($1, "a", in: $0).y) } == 0)
            let kept = separate { graph, x in
                let layer = layer(x, "a", in: graph)
                graph.output("h", layer.convolution)
                graph.output("y", layer.y)
            }
            #expect(kept == 1, "the convolution's result is an output")
            let read = separate { graph, x in
                let layer = layer(x, "a", in: graph)
                graph.output("y", graph.record(Sum(), [layer.y, layer.convolution])[0])
            }
            #expect(read == 1, "somebody else reads the convolution's result")
            let updated = separate { graph, x in
                let weights = graph.parameter("a.w", Self.kernel)
                let h = graph.convolution(x, weights: weights, padding: 1)
                _ = graph.record(Probe(results: [], mutatedInputs: [0]), [weights])
                let statistics = (0..<4).map { graph.parameter("s\($0)", Self.channels) }
                graph.output(
                    "z",
                    graph.batchNorm(
                        h, gamma: statistics[0], beta: statistics[1], mean: statistics[2], variance: statistics[3]))
            }
            #expect(updated == 1, "weights change before the normalisation")
            let mixed = separate { graph, x in
                let gates = graph.input("gates", Shape([3, 2]))
                graph.output("y", layer(x, "a", tail: .mix(residual: x, gates: gates, row: 1), in: graph).y)
            }
            #expect(mixed == 1, "an epilogue does not mix")
        }

        @Test func aSumGoesIntoItsConvolutions() {
            let graph = Graph()
            let x = graph.input("x", Self.image)
            func branch(_ name: String) -> Value {
                graph.convolution(x, weights: graph.parameter(name, Self.kernel), padding: 1)
            }
            let terms = ["a", "b", "c"].map(branch)
            graph.output("y", graph.record(Sum(), terms)[0])
            #expect(types(graph) == ["Convolution", "Convolution", "Convolution"])
            let residuals = graph.lowered(for: .gpu).nodes.map { ($0.operation as? Convolution)?.epilogue.hasResidual }
            #expect(residuals == [false, true, true])

            // Negative control: what is added is not there when the convolution runs.
            let reversed = Graph()
            let input = reversed.input("x", Self.image)
            let weights = ["a", "b"].map { reversed.parameter($0, Self.kernel) }
            let (first, second) = (
                reversed.convolution(input, weights: weights[0], padding: 1),
                reversed.convolution(input, weights: weights[1], padding: 1)
            )
            reversed.output("y", reversed.record(Sum(), [second, first])[0])
            #expect(types(reversed) == ["Convolution", "Convolution", "Sum"])
        }

        /// Fused or not, the device computes the same.
        @Test(.needsDevice, arguments: TestDevice.families)
        func fusionChangesNoResult(family: KernelFamily) throws {
            func run(fused: Bool, tail mixes: Bool, epsilon: Float = 0) throws -> [Float] {
                let executor = try TestDevice.executor(family)
                let graph = Graph()
                let x = graph.input("x", Self.image)
                let tail: BatchNormTail =
                    mixes
                    ? .mix(residual: x, gates: graph.input("gates", Shape([1, 2])), row: 0) : .addReLU(residual: x)
                let (a, b) = (layer(x, "a", in: graph), layer(x, "b", tail: tail, in: graph))
                graph.output("y", graph.record(Sum(), [a.y, b.y])[0])
                if !fused {
                    for (number, layer) in [a, b].enumerated() { graph.output("h\(number)", layer.convolution) }
                }
                for external in graph.externals where external.name != Graph.stepName {
                    var random = SeededGenerator(seed: UInt64(external.name.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
                    let values = (0..<external.value.shape.count).map { _ in
                        Float.random(in: 0.25...1, using: &random) + (external.name == "b.mean" ? epsilon : 0)
                    }
                    let isGate = external.name == "gates"
                    try executor.store.write(external.name, external.value.shape, isGate ? [1, 0] : values)
                }
                let plan = try executor.makePlan(graph)
                #expect(plan.operations.contains { $0 is BatchNormNormalise } == (!fused || mixes))
                try executor.run(plan)
                return try executor.read("y", of: plan)
            }
            func apart(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } }
            let expected = try run(fused: false, tail: false)
            let range = expected.reduce(0) { max($0, abs($1)) }
            #expect(apart(try run(fused: true, tail: false), expected) < 1e-5 * range)
            // Gates that select are the residual block's end.
            #expect(apart(try run(fused: true, tail: true), expected) < 1e-5 * range)
            #expect(
                apart(try run(fused: true, tail: false, epsilon: 0.5), expected) > 1e-4 * range, "negative control")
        }
    }
}
