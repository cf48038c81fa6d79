import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

/// Root of every suite of this module: the tests of one process take turns at the device.
@Suite(.serialized) struct GraphTests {}

extension TestDevice {
    /// A context whose queue says what it launched; the one that all suites share does not profile.
    private static let profiling = KeptUntilFault {
        try DeviceContext(device: try device(), cacheDirectory: nil, profiling: true)
    }

    /// An executor with an empty store, cache and arena.
    static func executor(_ family: KernelFamily, capacity: Int = 64) throws -> Executor {
        Executor(library: try library(family), capacity: capacity)
    }

    /// The same for `launched(by:)` and profiles.
    static func profilingExecutor(_ family: KernelFamily) throws -> Executor {
        Executor(library: try KernelLibrary(context: try profiling.get(), family: family))
    }

    /// The same with what a step of training reads beside its graph: a label, a flag and a rate of 1.
    static func trainingExecutor(_ family: KernelFamily) throws -> Executor {
        let executor = try profilingExecutor(family)
        try executor.store.write("labels", Shape([1, 1, 1], compact: true), [Int32(2)])
        try executor.store.write("flag", Shape([2], compact: true), [Int32(0), 0])
        var step = StepState()
        step.rates[RateSlot(0)] = StepState.Rate(learningRate: 1)
        try executor.store.write(step)
        return executor
    }

    /// Numbers around 0.
    static func values(_ shape: Shape, _ seed: UInt64) -> [Float] {
        var random = SeededGenerator(seed: seed)
        return (0..<shape.count).map { _ in Float.random(in: -0.5...0.5, using: &random) }
    }

    /// Names of the kernels that `body` launches on profiling executors, in order.
    static func launched(by body: () throws -> Void) throws -> [String] {
        let queue = try profiling.get().queue
        _ = try queue.takeProfile()
        try body()
        return try queue.takeProfile().map(\.kernelName)
    }
}

extension Executor {
    /// Runs a plan and reads its outputs.
    func results(_ plan: Plan) throws -> [String: [Float]] {
        try run(plan)
        return try plan.outputs.keys.reduce(into: [:]) { $0[$1] = try read($1, of: plan) }
    }
}

extension Graph {
    /// What the store calls an external value; empty for others.
    func externalName(_ value: Value) -> String { externals.first { $0.value == value }?.name ?? "" }

    /// How many recorded nodes apply an operator of this type.
    func count<T: Operator>(_ type: T.Type) -> Int { nodes.count { $0.operation is T } }
}

extension SeededGenerator {
    mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }

    mutating func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &self)] }
}
