import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareLayers

/// One description of a network: its parameters, its cost and its forward pass.
@Suite(.serialized) struct LayersTests {
    private static let image = Shape([1, 6, 7, 3], compact: true)

    private func specs(_ network: GatedNetwork = GatedNetwork()) -> [ParameterSpec] {
        let list = ParameterList()
        _ = network(list.value(Self.image), in: Scope(list)("net"))
        return list.specs
    }

    @Test func parametersAreListedAsTheyAreUsed() throws {
        let specs = specs()
        let batchNorm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
        func block(_ name: String) -> [String] {
            [1, 2].flatMap { number in ["\(name).conv\(number).weight"] + batchNorm.map { "\(name).bn\(number).\($0)" }
            }
        }
        #expect(
            specs.map(\.name)
                == ["net.stem.weight", "net.gates"] + block("net.blocks.0") + block("net.blocks.1")
                + ["net.head.weight", "net.head.bias"])
        let stem = try #require(specs.first)
        #expect(stem.diskShape == [16, 3, 3, 3] && stem.deviceShape == [3, 3, 3, 16])
        #expect(stem.initializer == .uniform(bound: 1 / 27.0.squareRoot()) && stem.isTrainable)
        let head = try #require(specs.last { $0.layout == .linear })
        #expect(head.diskShape == [5, 16] && head.storedShape == Shape([1, 1, 16, 5]))
    }

    @Test func groupsAreAnyName() {
        let groups = Dictionary(grouping: specs(), by: \.group).mapValues(\.count)
        #expect(groups == ["default": 1 + 4 * 3 + 2, "gates": 1, .batchNormState: 4 * 3])
        #expect(specs().allSatisfy { $0.isTrainable == ($0.group != .batchNormState) })
        let list = ParameterList()
        let s = Scope(list)
        _ = s.grouped("a")("x").parameter("w", [3], initial: .zeros)
        _ = s("x").grouped("b").parameter("v", [3], initial: .zeros)
        _ = s("x").parameter("u", [3], initial: .zeros)
        #expect(list.specs.map(\.group) == ["a", "b", .default] && list.specs.map(\.name) == ["x.w", "x.v", "x.u"])
    }

    @Test func aParameterUsedTwiceIsListedOnce() {
        let list = ParameterList()
        let s = Scope(list)("shared")
        let x = list.value(Shape([1, 4, 4, 8]))
        _ = s.convolution(s.convolution(x, channels: 8, kernel: 1, bias: true), channels: 8, kernel: 1, bias: true)
        #expect(list.specs.map(\.name) == ["shared.weight", "shared.bias"])
    }

    /// What the counter counts is what a graph computes, and what the list declares.
    @Test func costsAreThoseOfTheGraph() {
        for network in [GatedNetwork(), GatedNetwork(width: 24, depth: 5, classes: 2)] {
            let counter = CostCounter()
            let cost = counter.cost { _ = network(counter.value(Self.image), in: Scope(counter)) }
            let graph = Graph()
            graph.output("y", network(graph.input("x", Self.image), in: Scope(graph)))
            let recorded = graph.nodes.reduce(0) {
                $0
                    + $1.operation.multiplyAccumulates(
                        inputs: $1.inputs.map(\.shape), outputs: $1.outputs.map(\.shape))
            }
            #expect(cost.multiplyAccumulates == recorded && recorded > 0)
            let list = specs(network).filter(\.isTrainable).reduce(0) { $0 + $1.elementCount }
            #expect(cost.parameters == list)
            // A second application computes again, with the same parameters.
            let again = counter.cost { _ = network(counter.value(Self.image), in: Scope(counter)) }
            #expect(again.multiplyAccumulates == recorded && again.parameters == 0)
        }
    }

    /// Everything a graph reads by name is in the list, in the same shape; nodes are named after their scopes.
    @Test func graphsReadWhatIsListed() {
        let graph = Graph()
        let s = Scope(graph)("net")
        graph.output("y", GatedNetwork()(graph.input("x", Self.image), in: s))
        s.updateStatistics(flag: graph.parameter("flag", Shape([2], compact: true)))
        let shapes = Dictionary(uniqueKeysWithValues: specs().map { ($0.name, $0.storedShape) })
        let read = graph.externals.filter { $0.role == .parameter && $0.name != "flag" }
        #expect(Dictionary(uniqueKeysWithValues: read.map { ($0.name, $0.value.shape) }) == shapes)
        let labels = Set(graph.nodes.map(\.label))
        for label in ["net.stem", "net.blocks.1.bn2", "net.blocks.1.bn2/statistics", "net"] {
            #expect(labels.contains(label), "\(label)")
        }
    }

    @Test func inferenceReadsRunningStatisticsAndChangesNothing() {
        let graph = Graph()
        let s = Scope(graph, mode: .inference)
        graph.output("y", GatedNetwork()(graph.input("x", Self.image), in: s))
        s.updateStatistics(flag: graph.parameter("flag", Shape([2], compact: true)))
        #expect(graph.nodes.allSatisfy { $0.operation.mutatedInputs.isEmpty })
        #expect(graph.nodes.count { $0.operation is BatchNormInference } == 4)
        #expect(!graph.nodes.contains { $0.operation is BatchNormStatistics })
    }

    /// Equal inputs in a row are one visit of several paths; A, B, A is not A, A, B.
    @Test func statisticsMoveOncePerVisit() {
        func updates(_ inputs: [String]) -> [Int] {
            let graph = Graph()
            let s = Scope(graph)
            for name in inputs { _ = s("bn").batchNorm(graph.input(name, Shape([1, 2, 2, 8]))) }
            s.updateStatistics(flag: graph.parameter("flag", Shape([2], compact: true)))
            return graph.nodes.compactMap { ($0.operation as? BatchNormUpdate)?.batches }
        }
        #expect(updates(["a"]) == [1] && updates(["a", "a", "a"]) == [3])
        #expect(updates(["a", "a", "b"]) == [2, 1] && updates(["a", "b", "a"]) == [1, 1, 1])
    }

    @Test func initialValuesDependOnSeedAndNameAlone() throws {
        let (first, second) = (specs(), specs(GatedNetwork(depth: 3)))
        let stem = try #require(first.first)
        #expect(stem.initialValues(seed: 3) == second.first?.initialValues(seed: 3))
        #expect(stem.initialValues(seed: 3) != stem.initialValues(seed: 4))
        let weights = first.filter { $0.layout == .convolution }.map { $0.initialValues(seed: 3) }
        #expect(weights[1] != weights[2], "of one shape, with other names")
        #expect(first.first { $0.name == "net.gates" }?.initialValues(seed: 3) == [0.5, 0.5, 0.5, 0.5])
    }

    /// A block whose gate selects, on the device: what the residual block without gates gives; one that skips leaves x.
    @Test(.needsDevice, arguments: TestDevice.families)
    func gatesTakeWhatTheyWant(family: KernelFamily) throws {
        let shape = Shape([2, 5, 6, 16])
        func run(_ gates: [Float]?) throws -> [Float] {
            let executor = Executor(library: try TestDevice.library(family))
            let graph = Graph()
            let s = Scope(graph)
            let x = graph.input("x", shape)
            if let gates {
                try executor.store.write("gates", Shape([1, 2]), gates)
                let values = graph.input("gates", Shape([1, 2]))
                graph.output("y", GatedBlock(channels: 16)(x, gates: values, row: 0, in: s))
            } else {
                let h = s("conv1").convolution(x, channels: 16, kernel: 3, padding: 1)
                let a = s("bn1").batchNorm(h, tail: .relu)
                let b = s("conv2").convolution(a, channels: 16, kernel: 3, padding: 1)
                graph.output("y", s("bn2").batchNorm(b, tail: .addReLU(residual: x)))
            }
            let list = ParameterList()
            _ = GatedBlock(channels: 16)(
                list.value(shape), gates: list.value(Shape([1, 2])), row: 0, in: Scope(list))
            for spec in list.specs where spec.layout != .counter {
                try executor.store.write(spec.name, spec.storedShape, spec.deviceOrder(spec.initialValues(seed: 5)))
            }
            try executor.store.write("x", shape, Self.pixels(shape))
            let plan = try executor.makePlan(graph)
            try executor.run(plan)
            return try executor.read("y", of: plan)
        }
        let selected = try run([1, 0])
        #expect(selected == (try run(nil)))
        #expect(try run([0, 1]) == Self.pixels(shape))
        #expect(selected != Self.pixels(shape), "negative control")
    }

    private static func pixels(_ shape: Shape) -> [Float] { (0..<shape.count).map { Float($0 % 17) / 8 - 1 } }
}
