import AdaShareDeviceLayer
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators
@testable import AdaShareTraining

/// What a recorded step is to compute, one operator at a time with float32 kernels: the operands that matrix units
/// multiply, and what is stored in 16 bits, are rounded on the host.
///
/// A value is [Float] between operators; words that are no numbers, such as labels, keep their bits.
final class RoundedStep {
    private let executor: Executor
    private var values: [Int: (shape: Shape, values: [Float])] = [:]
    /// Outputs of the graph by name.
    private(set) var outputs: [String: [Float]] = [:]
    private let operands: MatrixOperands?
    private let forgotten: Operand?

    /// An input of a pass that matrix units multiply.
    struct Operand: Hashable, Sendable {
        let pass: ConvolutionProblem.Pass
        let position: Int
    }

    /// Computes a graph.
    ///
    /// - Parameters:
    ///   - library: without matrix units, of the graph's family.
    ///   - operands: what is multiplied; nil rounds nothing, and stores in 32 bits.
    ///   - forgotten: an operand that is not rounded after all, for negative controls.
    ///   - externals: the contents of parameters and inputs before the step.
    init(
        _ graph: LoweredGraph, on library: KernelLibrary, operands: MatrixOperands?, forgotten: Operand? = nil,
        externals: [String: [Float]], state: StepState
    ) throws {
        executor = Executor(library: library)
        self.operands = operands
        self.forgotten = forgotten
        for external in graph.externals where external.name != Graph.stepName {
            let shape = external.value.shape
            #expect(shape.element == .float32, "\(external.name)")
            try executor.store.write(external.name, shape, try #require(externals[external.name]))
        }
        try executor.store.write(state)
        let names = Dictionary(uniqueKeysWithValues: graph.externals.map { ($0.value.id, $0.name) })
        for node in graph.nodes { try compute(node, names) }
        for (name, value) in graph.outputs { outputs[name] = try #require(values[value.id]).values }
    }

    /// Contents of a parameter after the step.
    func parameter(_ name: String) throws -> [Float] { try executor.store.read(name) }

    private func compute(_ node: Graph.Node, _ names: [Int: String]) throws {
        guard let operation = plain(node.operation) else {
            // Weights as they are: the plain operator has them packed for itself.
            let source = node.inputs[0]
            values[node.outputs[0].id] = (source.shape, try executor.store.read(try #require(names[source.id])))
            return
        }
        let rounded = multiplied(node.operation)
        let inputs = try node.inputs.enumerated().map { position, value -> Input in
            if let name = names[value.id], !rounded.contains(position) { return .external(name, value.shape) }
            let known = try values[value.id] ?? (value.shape, executor.store.read(try #require(names[value.id])))
            return .values(known.shape, rounded.contains(position) ? known.values.map(roundedOperand) : known.values)
        }
        let isNarrow = node.outputs.map {
            operands != nil && $0.shape.element == .bfloat16
        }
        func stored(_ results: [(shape: Shape, values: [Float])]) -> [(shape: Shape, values: [Float])] {
            zip(results, isNarrow).map { ($0.shape, $1 ? $0.values.map { BFloat16($0).float } : $0.values) }
        }
        var results = stored(try run(operation, operation is Sum ? Array(inputs.prefix(4)) : inputs))
        if operation is Sum {
            // More than four are added to what has been stored, three at a time.
            for start in stride(from: 4, to: inputs.count, by: 3) {
                let next = inputs[start..<min(start + 3, inputs.count)]
                results = stored(try run(operation, [.values(results[0].shape, results[0].values)] + next))
            }
        }
        for (output, result) in zip(node.outputs, results) {
            #expect(result.shape == output.shape.stored(as: .float32), "\(node.operation)")
            values[output.id] = result
        }
    }

    private enum Input {
        case external(String, Shape)
        case values(Shape, [Float])
    }

    /// One operator alone.
    private func run(_ operation: any Operator, _ inputs: [Input]) throws -> [(shape: Shape, values: [Float])] {
        let graph = Graph()
        let values = try inputs.enumerated().map { position, input -> Value in
            switch input {
            case .external(Graph.stepName, _): return graph.step
            case .external(let name, let shape): return graph.parameter(name, shape)
            case .values(let shape, let values):
                let name = "operand \(position)"
                executor.store.remove(name)
                try executor.store.write(name, shape, values)
                return graph.input(name, shape)
            }
        }
        let results = graph.record(operation, values)
        for (index, result) in results.enumerated() { graph.output("\(index)", result) }
        let plan = try executor.makePlan(graph, choices: AlgorithmChoices(.exact))
        try executor.run(plan)
        return try results.enumerated().map { ($0.element.shape, try executor.read("\($0.offset)", of: plan)) }
    }

    /// Which inputs matrix units multiply.
    private func multiplied(_ operation: any Operator) -> [Int] {
        let (pass, positions): (ConvolutionProblem.Pass, [Int])
        switch operation {
        case is Convolution: (pass, positions) = (.forward, [0, 1])
        case is ConvolutionInputGradient: (pass, positions) = (.dataGradient, [0, 1])
        case is ConvolutionWeightGradient: (pass, positions) = (.weightGradient, [0, 1])
        default: return []
        }
        return positions.filter { forgotten != Operand(pass: pass, position: $0) }
    }

    /// The same of float32, not lowered; nil for weights that are repacked for matrix units.
    private func plain(_ operation: any Operator) -> (any Operator)? {
        switch operation {
        case let it as Convolution: Convolution(it.geometry, epilogue: it.epilogue)
        case let it as ConvolutionInputGradient:
            ConvolutionInputGradient(it.geometry, inputShape: it.inputShape.stored(as: .float32))
        case let it as ConvolutionWeightGradient:
            ConvolutionWeightGradient(it.geometry, weightShape: it.weightShape)
        case is PackWeights: nil
        case let it as MaxPoolGradient:
            MaxPoolGradient(pool: it.pool, inputShape: it.inputShape.stored(as: .float32))
        case let it as GlobalAveragePoolGradient:
            GlobalAveragePoolGradient(inputShape: it.inputShape.stored(as: .float32))
        default: operation
        }
    }

    /// To the nearest number with 10 bits of mantissa, ties away from zero, or with 7 bits, ties to even.
    private func roundedOperand(_ value: Float) -> Float {
        switch operands {
        case nil: value
        case .tf32: Float(bitPattern: (value.bitPattern &+ 0x1000) & ~0x1fff)
        case .bfloat16: BFloat16(value).float
        }
    }
}
