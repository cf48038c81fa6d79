import AdaShareDeviceLayer
import AdaShareOperators
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite struct DifferentiationTests {
        private func gradients(for names: [String], of graph: Graph) -> [Value?] {
            let network = SmallNetwork(in: graph)
            return graph.gradients(of: network.loss, for: names.map { network.targets[$0]! })
        }

        @Test func frozenParametersGetNoBackwardNodes() {
            let all = Graph()
            #expect(gradients(for: SmallNetwork.parameters.map(\.name), of: all).allSatisfy { $0 != nil })
            #expect(all.count(ConvolutionWeightGradient.self) == 3)
            #expect(all.count(ConvolutionInputGradient.self) == 2, "none for the image")
            #expect(all.count(BatchNormGradient.self) == 2)
            #expect(all.count(ColumnSum.self) == 1)

            let head = Graph()
            #expect(gradients(for: ["w3"], of: head).allSatisfy { $0 != nil })
            #expect(head.count(ConvolutionWeightGradient.self) == 1)
            #expect(head.count(ConvolutionInputGradient.self) == 0)
            #expect(head.count(BatchNormGradient.self) == 0 && head.count(MaxPoolGradient.self) == 0)
            #expect(head.count(ColumnSum.self) == 0, "the bias is frozen")

            let branch = Graph()
            #expect(gradients(for: ["w2", "bias"], of: branch).allSatisfy { $0 != nil })
            #expect(branch.count(ConvolutionWeightGradient.self) == 1)
            #expect(branch.count(ConvolutionInputGradient.self) == 1, "through the head, not below the branch")
            #expect(branch.count(BatchNormGradient.self) == 1 && branch.count(Sum.self) == 0)
        }

        @Test func targetsThatTheLossDoesNotDependOnGiveNil() {
            let graph = Graph()
            let (p, q, r) = (
                graph.parameter("p", .scalar), graph.parameter("q", .scalar), graph.parameter("r", .scalar)
            )
            let loss = graph.record(Scale(2), [p])[0]
            _ = graph.record(Sum(), [graph.record(ReLU(), [q])[0], loss])
            let found = graph.gradients(of: loss, for: [q, p, r])
            #expect(found[0] == nil && found[1] != nil && found[2] == nil)
            #expect(graph.count(ReLUGradient.self) == 0)

            let count = graph.nodes.count
            #expect(graph.gradients(of: loss, for: [q, r]).allSatisfy { $0 == nil })
            #expect(graph.nodes.count == count, "nothing is recorded when no target is reached")
        }

        @Test func theLossItselfHasGradientOne() {
            let graph = Graph()
            let loss = graph.record(ReLU(), [graph.input("x", .scalar)])[0]
            let found = graph.gradients(of: loss, for: [loss])
            #expect(found == [graph.record(Fill(.scalar, value: 1), [])[0]])
        }

        @Test func contributionsOfEveryUseAreAddedOnce() {
            let graph = Graph()
            let x = graph.parameter("x", .scalar)
            let uses = (1...3).map { graph.record(Scale(Double($0)), [x])[0] }
            let loss = graph.record(Sum(), uses)[0]
            let gradient = graph.gradients(of: loss, for: [x])[0]
            let sums = graph.nodes.filter { $0.operation is Sum }
            #expect(sums.count == 2 && sums[1].inputs.count == 3 && sums[1].outputs[0] == gradient)
        }

        @Test func equalGradientsOfTwoTargetsAreShared() {
            let graph = Graph()
            let (p, q) = (graph.parameter("p", .scalar), graph.parameter("q", .scalar))
            let loss = graph.record(ReLU(), [graph.record(Sum(), [p, q])[0]])[0]
            let found = graph.gradients(of: loss, for: [p, q])
            #expect(found[0] == found[1] && graph.count(ReLUGradient.self) == 1)
        }

        @Test func anOperatorWithoutGradientOnThePathStopsTheProcess() async {
            await #expect(processExitsWith: .failure) { Self.differentiate(detached: false) }
            await #expect(processExitsWith: .success) { Self.differentiate(detached: true) }
        }

        /// A loss that depends on a parameter directly and through a probe, which has no gradient.
        private static func differentiate(detached: Bool) {
            let graph = Graph()
            let (p, q) = (graph.parameter("p", .scalar), graph.parameter("q", .scalar))
            let loss = graph.record(Sum(), [p, graph.record(Probe(), [detached ? q : p])[0]])[0]
            _ = graph.gradients(of: loss, for: [p])
        }

        @Test func backwardNodesAreLabelledByTheirForwardNodes() {
            let graph = Graph()
            let p = graph.parameter("p", .scalar)
            let loss = graph.scope("layer") { graph.record(ReLU(), [p])[0] }
            _ = graph.gradients(of: loss, for: [p])
            #expect(graph.nodes.last?.label == "backward/layer")
        }
    }

    @Suite(.needsDevice) struct GradientTests {
        @Test(arguments: TestDevice.families) func agreeWithTheReference(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            let plan = try executor.plan("gradients", trace: SmallNetwork.recordGradients)
            for seed in [1, 2, 3] as [UInt64] {
                let state = SmallNetwork.state(seed: seed)
                try SmallNetwork.write(state, to: executor.store)
                let found = try executor.results(plan)
                let expected = SmallNetwork.reference(state)
                #expect(abs(Double(found["loss"]![0]) - expected.loss) < 1e-5 * expected.loss)
                for (name, gradient) in expected.gradients {
                    let worst = Comparison.worst(actual: found[name]!, expected: gradient)
                    #expect(worst.error < 1e-4, "\(name), seed \(seed): \(worst)")
                    let doubled = gradient.map { 1.01 * $0 }
                    #expect(Comparison.maximumError(actual: found[name]!, expected: doubled) > 1e-3, "negative control")
                }
            }
        }

        /// Directional derivatives from losses that the device computes at perturbed parameters.
        @Test(arguments: TestDevice.families) func agreeWithFiniteDifferences(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            let plan = try executor.plan("gradients", trace: SmallNetwork.recordGradients)
            let state = SmallNetwork.state(seed: 4)
            try SmallNetwork.write(state, to: executor.store)
            let gradients = try executor.results(plan)
            for (number, (name, shape)) in SmallNetwork.parameters.enumerated() {
                let gradient = gradients[name]!.map(Double.init)
                let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
                let random = ReferenceTensor.random(shape: [shape.count], seed: UInt64(number)).values
                let length = random.reduce(0) { $0 + $1 * $1 }.squareRoot()
                for direction in [gradient.map { $0 / norm }, random.map { $0 / length }] {
                    func loss(_ step: Double) throws -> Double {
                        let moved = zip(state[name]!.values, direction).map { Float($0 + step * $1) }
                        try executor.store.write(name, shape, moved)
                        return Double(try executor.results(plan)["loss"]![0])
                    }
                    let h = 4e-3
                    let numeric = (try loss(h) - loss(-h)) / (2 * h)
                    let analytic = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
                    #expect(abs(numeric - analytic) < 0.02 * norm, "\(name): \(numeric), expected \(analytic)")
                }
                try executor.store.write(name, shape, state[name]!.floats)
            }
        }

        @Test(arguments: TestDevice.families) func agreeWithDualNumbersOnRandomGraphs(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            var nonzero = 0
            for seed in 0..<25 {
                var expected: [Double?] = []
                let plan = try executor.plan(seed) { graph in
                    let scalars = ScalarGraph(seed: UInt64(seed), in: graph)
                    let forward = graph.nodes.count
                    expected = scalars.targets.map { scalars.derivative(by: $0, nodes: graph.nodes[..<forward]) }
                    for (index, gradient) in graph.gradients(of: scalars.loss, for: scalars.targets).enumerated() {
                        if let gradient { graph.output("\(index)", gradient) }
                    }
                }
                for (index, value) in ScalarGraph.values.enumerated() {
                    try executor.store.write("t\(index)", .scalar, [Float(value)])
                }
                let found = try executor.results(plan)
                for (index, gradient) in expected.enumerated() {
                    let actual = found["\(index)"].map { Double($0[0]) }
                    #expect((actual == nil) == (gradient == nil), "seed \(seed), target \(index)")
                    if let actual, let gradient {
                        #expect(abs(actual - gradient) <= 1e-6 * abs(gradient), "seed \(seed), target \(index)")
                        if gradient != 0 { nonzero += 1 }
                    }
                }
            }
            #expect(nonzero > 25, "few gradients to compare")
        }
    }
}

/// A random graph of scalars with much fan-out.
private struct ScalarGraph {
    static let values = [3.0, -2, 5, 1]
    let targets: [Value]
    let loss: Value

    init(seed: UInt64, in graph: Graph) {
        var random = SeededGenerator(seed: seed)
        targets = Self.values.indices.map { graph.parameter("t\($0)", .scalar) }
        var values = targets
        for _ in 0..<10 {
            let inputs = (0..<Int.random(in: 2...6, using: &random)).map { _ in random.pick(values.suffix(6)) }
            switch Int.random(in: 0..<4, using: &random) {
            case 0: values += graph.record(Sum(), inputs)
            case 1: values += graph.record(Scale(random.pick([-1, 0.5, 2])), [inputs[0]])
            case 2: values += graph.record(WeightedSum(inputs.map { _ in random.pick([-0.5, 1, 2]) }), inputs)
            default: values += graph.record(ReLU(), [inputs[0]])
            }
        }
        loss = values[values.count - 1]
    }

    /// dloss/dtarget by forward mode; nil where no path leads from one to the other.
    func derivative(by target: Value, nodes: ArraySlice<Graph.Node>) -> Double? {
        var duals: [Int: (value: Double, slope: Double?)] = [:]
        for (value, number) in zip(targets, Self.values) { duals[value.id] = (number, value == target ? 1 : nil) }
        for node in nodes {
            let inputs = node.inputs.map { duals[$0.id]! }
            func combine(_ weights: [Double]) -> (value: Double, slope: Double?) {
                let slopes = zip(weights, inputs).compactMap { weight, input in input.slope.map { weight * $0 } }
                let value = zip(weights, inputs).reduce(0) { $0 + $1.0 * $1.1.value }
                return (value, slopes.isEmpty ? nil : slopes.reduce(0, +))
            }
            func clamp(_ dual: (value: Double, slope: Double?)) -> (value: Double, slope: Double?) {
                dual.value > 0 ? dual : (0, dual.slope.map { _ in 0 })
            }
            let result =
                switch node.operation {
                case let scale as Scale: combine([scale.factor])
                case let sum as WeightedSum: combine(sum.weights)
                case is Sum: combine(inputs.map { _ in 1 })
                default: clamp(combine(inputs.map { _ in 1 }))
                }
            duals[node.outputs[0].id] = result
        }
        return duals[loss.id]?.slope
    }
}
