import AdaShareDeviceLayer
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// An operator between activations that are stored in 16 bits.
struct NarrowCase: Sendable, CustomTestStringConvertible {
    let name: String
    let operation: any Operator
    /// Activations first; the rest is float32.
    let activations: [[Int]]
    var others: [[Int]] = []

    var testDescription: String { name }

    private static let shape = [2, 13, 11, 40]
    /// Of two slices of whole vectors.
    private static let even = [2, 13, 11, 64]
    private static let channels = [40]
    private static let gates = [8, 2]
    private static let pool = MaxPool(ceilMode: true)

    private static func pair(_ name: String, _ operation: any Operator) -> NarrowCase {
        .init(name: name, operation: operation, activations: [shape, shape])
    }

    static let all: [NarrowCase] = [
        .init(name: "ReLU", operation: ReLU(), activations: [shape]),
        pair("ReLU gradient", ReLUGradient()),
        pair("sum of two", Sum()),
        .init(name: "sum of three", operation: Sum(), activations: [shape, shape, shape]),
        .init(name: "sum of four", operation: Sum(), activations: [shape, shape, shape, shape]),
        .init(
            name: "channel mix", operation: ChannelMix(), activations: [shape, shape, shape], others: [[3, 40]]),
        .init(name: "channel mix gradient", operation: ChannelMixGradient(), activations: [shape, shape, shape]),
        .init(
            name: "subspace mix", operation: SubspaceMix(subspaces: 1), activations: [shape, shape], others: [[1, 2]]),
        .init(
            name: "mix of two subspaces", operation: SubspaceMix(subspaces: 2), activations: [even, even, even],
            others: [[2, 6]]),
        .init(
            name: "subspace mix gradient", operation: SubspaceMixGradient(subspaces: 1),
            activations: [shape, shape, shape]),
        .init(
            name: "gradient of two subspaces", operation: SubspaceMixGradient(subspaces: 2),
            activations: [even, even, even]),
        pair("sigmoid product", SigmoidProduct()),
        .init(
            name: "sigmoid product gradient", operation: SigmoidProductGradient(), activations: [shape, shape, shape]),
        .init(name: "image select", operation: ImageSelect(column: 3), activations: [shape, shape], others: [[2, 8]]),
        .init(
            name: "image select gates", operation: ImageSelectGatesGradient(column: 3, gates: Shape([2, 8])),
            activations: [shape, shape, shape]),
        .init(name: "scale", operation: Scale(0.3), activations: [shape]),
        .init(name: "dropout", operation: ReLUDropout(probability: 0.4, name: "d"), activations: [shape]),
        pair("dropout gradient", ReLUDropoutGradient(probability: 0.4)),
        .init(name: "column sums", operation: ColumnSum(), activations: [shape]),
        .init(name: "max pool", operation: pool, activations: [shape]),
        .init(name: "average pool", operation: GlobalAveragePool(), activations: [shape]),
        .init(
            name: "average pool gradient",
            operation: GlobalAveragePoolGradient(inputShape: Shape(shape, element: .bfloat16)),
            activations: [[2, 1, 1, 40]]),
        .init(name: "statistics", operation: BatchNormStatistics(), activations: [shape]),
        .init(
            name: "normalise", operation: BatchNormNormalise(), activations: [shape],
            others: [channels, channels, channels, channels]),
        .init(
            name: "normalise, ReLU", operation: BatchNormNormalise(tail: .relu), activations: [shape],
            others: [channels, channels, channels, channels]),
        .init(
            name: "batch norm gradient", operation: BatchNormGradient(relu: false), activations: [shape, shape],
            others: [channels, channels, channels, channels]),
        .init(
            name: "batch norm gradient, ReLU", operation: BatchNormGradient(relu: true), activations: [shape, shape],
            others: [channels, channels, channels, channels]),
        .init(
            name: "drawn gate", operation: DrawnGateGradient(block: 3, blocks: 8), activations: [shape, shape, shape]),
    ]
}

extension OperatorsTests {
    /// Storing activations in 16 bits changes what is stored, and nothing else.
    @Suite struct NarrowActivationsTests {
        /// The words of an operator's outputs, and what its activations are stored as.
        private func outputs(_ a: NarrowCase, _ family: KernelFamily, element: ElementType) throws -> [[UInt32]] {
            let trial = try Trial(family)
            // Both trials read the same numbers, which 16 bits represent.
            func narrow(_ shape: [Int], _ seed: Int) -> Tensor {
                Tensor.random(shape: shape, seed: UInt64(seed)).map { Double(BFloat16(Float($0)).float) }
            }
            let inputs =
                try a.activations.enumerated().map {
                    try trial.input("a\($0.offset)", narrow($0.element, $0.offset), element: element)
                }
                + a.others.enumerated().map { try trial.input("o\($0.offset)", narrow($0.element, 50 + $0.offset)) }
            let operation: any Operator =
                a.operation is GlobalAveragePoolGradient
                ? GlobalAveragePoolGradient(inputShape: Shape([2, 13, 11, 40], element: element)) : a.operation
            let random = operation is ReLUDropout ? [trial.graph.step] : []
            let found = trial.graph.record(operation, inputs + random)
            for (index, value) in found.enumerated() { trial.graph.output("\(index)", value) }
            let results = try trial.runTwice()
            return try found.indices.map { index in
                let words = try results.words("\(index)")
                let isTaps = operation is MaxPool && index == 1
                if !isTaps { results.expectCleanPads("\(index)") }
                let isActivation = found[index].shape.dimensions.count == 4 && !isTaps
                #expect(found[index].shape.element == (isActivation ? element : .float32))
                guard isActivation else { return words }
                return words.map { UInt32(BFloat16(Float(bitPattern: $0)).bitPattern) }
            }
        }

        @Test(arguments: TestDevice.families, NarrowCase.all)
        func resultsAreThoseOfFloat32Rounded(family: KernelFamily, a: NarrowCase) throws {
            let wide = try outputs(a, family, element: .float32)
            #expect(try outputs(a, family, element: .bfloat16) == wide)
            #expect(wide[0].contains { $0 != wide[0][0] })
        }

        /// Operators whose inputs differ in kind: blocks' ends and the gradient of pooling.
        @Test(arguments: TestDevice.families)
        func endsOfBlocks(family: KernelFamily) throws {
            let (shape, channels) = ([2, 13, 11, 40], [40])
            func run(_ element: ElementType) throws -> [[UInt32]] {
                let trial = try Trial(family)
                func narrow(_ shape: [Int], _ seed: UInt64) -> Tensor {
                    Tensor.random(shape: shape, seed: seed).map { Double(BFloat16(Float($0)).float) }
                }
                let (x, r) = (
                    try trial.input("x", narrow(shape, 1), element: element),
                    try trial.input("r", narrow(shape, 2), element: element)
                )
                let dy = try trial.input("dy", narrow(shape, 3), element: element)
                let parameters = try (0..<4).map { try trial.input("p\($0)", narrow(channels, UInt64(10 + $0))) }
                let gates = try trial.input("gates", narrow([8, 2], 20))
                let pool = MaxPool(ceilMode: true)
                let pooled = trial.graph.record(pool, [x])
                let small = try trial.input("small", narrow(pooled[0].shape.dimensions, 4), element: element)
                let values =
                    trial.graph.record(BatchNormNormalise(tail: .addReLU), [x] + parameters + [r])
                    + trial.graph.record(BatchNormNormalise(tail: .mix(row: 2)), [x] + parameters + [r, gates])
                    + trial.graph.record(
                        MaxPoolGradient(pool: pool, inputShape: x.shape), [small, pooled[1]])
                    + trial.graph.record(ResidualMixGradient(row: 2), [r, x, gates, dy])
                for (index, value) in values.enumerated() { trial.graph.output("\(index)", value) }
                let results = try trial.runTwice()
                return try values.indices.map { index in
                    results.expectCleanPads("\(index)")
                    let words = try results.words("\(index)")
                    guard index < values.count - 1 else { return words }
                    #expect(values[index].shape.element == element)
                    return words.map { UInt32(BFloat16(Float(bitPattern: $0)).bitPattern) }
                }
            }
            let wide = try run(.float32)
            #expect(try run(.bfloat16) == wide)
            #expect(wide.allSatisfy { words in words.contains { $0 != words[0] } })
        }

        /// Tests fill memory with it before each run: no number at any place, whatever is stored there.
        @Test func poisonIsNoNumberInEitherType() throws {
            let (executor, graph) = (Executor(library: try TestDevice.library(.gpu)), Graph())
            graph.output("poison", graph.record(Fill.poison(byteCount: 256), [])[0])
            let plan = try executor.makePlan(graph)
            try executor.run(plan)
            let buffer = try #require(plan.outputs["poison"]).buffer
            let (floats, halves) = (
                try executor.context.queue.read(Float.self, count: 64, from: buffer),
                try executor.context.queue.read(BFloat16.self, count: 128, from: buffer)
            )
            #expect(floats.allSatisfy(\.isNaN) && halves.allSatisfy(\.float.isNaN))
        }

        private static let patterns: [UInt32] = [
            0, 0x8000_0000, 0x3f80_0000, 0x3f80_7fff, 0x3f80_8000, 0x3f80_8001, 0x3f81_8000, 0x3f81_7fff, 0x7f7f_ffff,
            0xff7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0x7fff_ffff, 0xffff_ffff, 0x0000_0001, 0x0000_8001,
            0x807f_ffff, 0x0080_0000,
        ]

        @Test func roundingIsToTheNearestEven() {
            let expected: [UInt16] = [
                0, 0x8000, 0x3f80, 0x3f80, 0x3f80, 0x3f81, 0x3f82, 0x3f81, 0x7f80, 0xff80, 0x7f80, 0xff80, 0x7fc0,
                0x7fff,
                0xffff, 0, 1, 0x8080, 0x0080,
            ]
            let found = Self.patterns.map { BFloat16(Float(bitPattern: $0)).bitPattern }
            #expect(found == expected)
            #expect(found.allSatisfy { BFloat16(bitPattern: $0).float.bitPattern == UInt32($0) << 16 })
        }

        /// Kernels round as the host does, weights on their way to matrix units as well; what is no number stays none.
        @Test func kernelsRoundAsTheHostDoes() throws {
            let library = try TestDevice.library(.gpu)
            let values = Self.patterns.map(Float.init(bitPattern:))
            let shape = Shape([1, 1, 1, values.count])
            for isFlipped in [false, true] {
                let (executor, graph) = (Executor(library: library), Graph())
                let weights = graph.input("w", isFlipped ? Shape([1, 1, values.count, 1]) : shape)
                try executor.store.write("w", weights.shape, values)
                let packing = PackWeights(flipped: isFlipped, tile: roundUp(values.count, to: 16), element: .bfloat16)
                graph.output("packed", graph.record(packing, [weights])[0])
                let plan = try executor.makePlan(graph)
                try executor.run(plan)
                let found = try executor.read("packed", of: plan).prefix(values.count)
                let expected = values.map { BFloat16($0).float }
                #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "flipped: \(isFlipped)")
            }
        }
    }
}
