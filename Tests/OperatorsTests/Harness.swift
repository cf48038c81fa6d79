import AdaShareDeviceLayer
import Foundation
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// Limits for a simulated device (`tools/check-kernels`).
enum Simulation {
    private static let most = ProcessInfo.processInfo.environment["ADASHARE_TEST_MACS"].flatMap(Int.init)

    /// Whether a test of so many multiply-accumulates is run.
    static func takes(_ multiplyAccumulates: Int) -> Bool { most.map { multiplyAccumulates <= $0 } ?? true }

    /// Multiply-accumulates of matrix units that are emulated, a minute of a simulator's.
    static let mostEmulated = TestDevice.isSimulated ? 1_000_000 : Int.max
}

/// Root of every suite that uses a device: the tests of one process take turns.
@Suite(.serialized, .needsDevice) struct OperatorsTests {}

extension TestDevice {
    /// The CPU family for registers of 16 floats, whatever the device has.
    private static let wide = KeptUntilFault {
        try KernelLibrary(context: try context(), family: .cpu, vectorWidth: 16)
    }

    /// The CPU family for registers of 8 or 4 floats and small caches.
    private static let narrow = KeptUntilFault {
        try KernelLibrary(
            context: try context(), family: .cpu, vectorWidth: 8, cachedWeightBytes: 1 << 12, localBytes: 16 << 10)
    }

    /// The GPU family's library whose matrix units are the device's, or emulated where it has none.
    private static let matrix = KeptUntilFault<KernelLibrary> {
        let plain = try library(.gpu)
        let units = try MatrixOperands.allCases.map { ($0, try plain.matrixUnits($0) ?? .emulated) }
        // For reports: emulation says nothing about the instructions.
        print("matrix units: " + units.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
        return try KernelLibrary(
            context: plain.context, family: .gpu, matrixUnits: Dictionary(uniqueKeysWithValues: units))
    }

    static func wideLibrary() throws -> KernelLibrary { try wide.get() }
    static func narrowLibrary() throws -> KernelLibrary { try narrow.get() }
    static func matrixLibrary() throws -> KernelLibrary { try matrix.get() }

    /// Whether the device has the local memory of a tile; emulated units take more.
    static func holds(_ tile: WorkGroupTile, _ operands: MatrixOperands) throws -> Bool {
        let library = try matrixLibrary()
        let units = try #require(try library.matrixUnits(operands))
        return tile.localBytes(units) <= library.context.device.localMemoryBytes
    }
}

/// One graph with its data, planned and run on one kernel family.
///
/// Before each run the whole arena is filled with NaN, so that an element or a pad nobody writes shows.
final class Trial {
    let graph: Graph
    let executor: Executor
    /// Which algorithm computes each convolution; set before anything is recorded.
    var choices = AlgorithmChoices() { didSet { graph.activations = choices.arithmetic.activations } }
    var state = StepState()
    private(set) var plan: Plan?
    private var poison: Plan?

    /// - Parameter isNarrow: CPU kernels for registers of 8 or 4 floats and small caches, whatever the device has.
    convenience init(_ family: KernelFamily, isNarrow: Bool = false) throws {
        try self.init(
            isNarrow
                ? TestDevice.narrowLibrary() : family == .cpu ? TestDevice.wideLibrary() : TestDevice.library(family))
    }

    convenience init(_ library: KernelLibrary) { self.init(Executor(library: library)) }

    /// - Parameter executor: whose store has what the graph reads, perhaps from another trial.
    init(_ executor: Executor) {
        self.executor = executor
        graph = Graph()
    }

    /// The algorithm of each pass of a convolution that is kept.
    var algorithms: [ConvolutionAlgorithm] {
        graph.lowered(for: executor.library.family, choices: choices).nodes.compactMap {
            ($0.operation as? any ConvolutionPass)?.algorithm
        }
    }

    /// A value the host writes.
    func input(
        _ name: String, _ tensor: Tensor, compact: Bool = false, element: ElementType = .float32
    ) throws -> Value {
        let shape = Shape(tensor.shape, compact: compact, element: element)
        try executor.store.write(name, shape, tensor.floats)
        return graph.input(name, shape)
    }

    /// Integer labels, flags or counters.
    func integers(_ name: String, _ dimensions: [Int], _ values: [Int32]) throws -> Value {
        let shape = Shape(dimensions, compact: true)
        try executor.store.write(name, shape, values)
        return graph.input(name, shape)
    }

    /// State that updates may change.
    func parameter(_ name: String, _ tensor: Tensor) throws -> Value {
        let shape = Shape(tensor.shape)
        try executor.store.write(name, shape, tensor.floats)
        return graph.parameter(name, shape)
    }

    /// Applies an operator, gives its first output and keeps it under `name`.
    @discardableResult
    func apply(_ name: String, _ operation: any Operator, _ inputs: Value...) -> Value {
        let value = graph.record(operation, inputs)[0]
        graph.output(name, value)
        return value
    }

    /// Keeps a batch norm's result and statistics.
    func keep(_ result: BatchNormResult) {
        graph.output("y", result.y)
        graph.output("mean", result.mean)
        graph.output("inverse", result.inverseDeviation)
        graph.output("unbiased", result.statistics.unbiasedVariance)
    }

    /// Keeps the gradients of ⟨y, dy⟩ with respect to the targets, each under its name.
    func gradients(of y: Value, along dy: Value, for targets: KeyValuePairs<String, Value>) {
        keepGradients(of: graph.record(Projection(), [y, dy])[0], for: targets)
    }

    /// Keeps the gradients of a scalar.
    func keepGradients(of loss: Value, for targets: KeyValuePairs<String, Value>) {
        for (target, gradient) in zip(targets, graph.gradients(of: loss, for: targets.map(\.value))) {
            if let gradient {
                graph.output(target.key, gradient)
            } else {
                Issue.record("no gradient for \(target.key)")
            }
        }
    }

    /// Runs one step and reads every output.
    func run() throws -> Results {
        let plan = try self.plan ?? executor.makePlan(graph, choices: choices)
        self.plan = plan
        if plan.arenaBytes > 0 {
            let poison = try self.poison ?? makePoison(byteCount: plan.arenaBytes)
            self.poison = poison
            try executor.run(poison)
        }
        try executor.store.write(state)
        try executor.run(plan)
        let queue = executor.context.queue
        return Results(
            outputs: try plan.outputs.mapValues { operand in
                let count = operand.shape.storedCount
                switch operand.shape.element {
                case .float32: return (operand.shape, try queue.read(UInt32.self, count: count, from: operand.buffer))
                case .bfloat16:
                    let halves = try queue.read(UInt16.self, count: count, from: operand.buffer)
                    return (operand.shape, Comparison.widened(halves))
                }
            })
    }

    /// Runs a graph without updates twice; both runs must give the same bits. A simulator, which does one thing after
    /// the other, says nothing about that and runs it once.
    func runTwice(_ context: String = "", _ location: SourceLocation = #_sourceLocation) throws -> Results {
        let first = try run()
        guard !TestDevice.isSimulated else { return first }
        let second = try run()
        for (name, output) in first.outputs {
            let again = try #require(second.outputs[name], sourceLocation: location).stored
            #expect(
                Comparison.areSame(output.stored, again), "\(name) differs between two runs \(context)",
                sourceLocation: location)
        }
        return first
    }

    /// The stored tensor `name`, pads included.
    func stored(_ name: String, _ dimensions: [Int]) throws -> Results {
        let shape = Shape(dimensions)
        let buffer = try executor.store.tensor(name, shape)
        let words = try executor.context.queue.read(UInt32.self, count: shape.storedCount, from: buffer)
        return Results(outputs: [name: (shape, words)])
    }

    private func makePoison(byteCount: Int) throws -> Plan {
        let graph = Graph()
        graph.output("poison", graph.record(Fill.poison(byteCount: byteCount), [])[0])
        return try executor.makePlan(graph)
    }
}

/// What a trial left in its outputs, as raw words; bfloat16 as the float32 of the same value.
struct Results {
    let outputs: [String: (shape: Shape, stored: [UInt32])]

    /// Logical words of an output.
    func words(_ name: String) throws -> [UInt32] {
        let output = try #require(outputs[name])
        return Comparison.unpadded(
            output.stored, channels: output.shape.channels, pitch: output.shape.storedChannels)
    }

    /// Logical values of an output.
    func values(_ name: String) throws -> [Float] { try words(name).map(Float.init(bitPattern:)) }

    /// Logical values as a reference tensor.
    func tensor(_ name: String) throws -> Tensor {
        Tensor(shape: try #require(outputs[name]).shape.dimensions, floats: try values(name))
    }

    /// Largest error of any element relative to the largest magnitude expected.
    func error(_ name: String, _ expected: Tensor) throws -> Double {
        Comparison.maximumError(actual: try values(name), expected: expected)
    }

    /// Compares every element, and every pad with zero.
    func expect(
        _ name: String, _ expected: Tensor, tolerance: Double = 2e-5, _ context: String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let output = try #require(outputs[name], sourceLocation: location)
        #expect(output.shape.dimensions == expected.shape, "\(name) \(context)", sourceLocation: location)
        let worst = Comparison.worst(
            stored: output.stored, channels: output.shape.channels, pitch: output.shape.storedChannels,
            expected: expected)
        #expect(worst.error <= tolerance, "\(name) \(context): \(worst)", sourceLocation: location)
        expectCleanPads(name, context, location)
    }

    /// Requires zeros in the pads of an output.
    func expectCleanPads(
        _ name: String, _ context: String = "", _ location: SourceLocation = #_sourceLocation
    ) {
        guard let (shape, stored) = outputs[name] else { return }
        let (channels, pitch) = (shape.channels, shape.storedChannels)
        guard let dirty = Comparison.dirtyPad(stored: stored, channels: channels, pitch: pitch) else { return }
        let found = Float(bitPattern: stored[dirty])
        Issue.record(
            "\(name) \(context): pad \(dirty % pitch) of row \(dirty / pitch) holds \(found)", sourceLocation: location)
    }
}

/// Results of a slow function by argument: both kernel families are compared with one reference.
final class Memo<Key: Hashable & Sendable, Result: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var known: [Key: Result] = [:]

    func callAsFunction(_ key: Key, _ compute: () -> Result) -> Result {
        lock.lock()
        defer { lock.unlock() }
        if let result = known[key] { return result }
        let result = compute()
        known[key] = result
        return result
    }
}

extension Tensor {
    /// A tensor of one number, the shape of a loss.
    static func scalar(_ value: Double) -> Tensor { Tensor(shape: [1], values: [value]) }

    /// Random values of a magnitude between 0.25 and 1, far from every kink at zero.
    static func awayFromZero(shape: [Int], seed: UInt64) -> Tensor {
        random(shape: shape, seed: seed).map { Double(Float($0 < 0 ? 0.75 * $0 - 0.25 : 0.75 * $0 + 0.25)) }
    }
}
