import DeviceLayer
import Graph
import Operators

/// One step of a network on a device, with the parameters it learns.
///
///     let session = try Session(context, seed: 7) { s in
///         let scores = Network()(s.input("image", [8, 32, 32, 3]), in: s("net"))
///         let loss = s.crossEntropy(scores, s.integers("label", [8, 1, 1]))
///         s.output("loss", loss)
///         s.minimise(loss, ["default": .sgd(rate: "rate", momentum: 0.9)])
///     }
///     let out = try session.step(["image": pixels, "label": classes], scalars: ["rate": 0.05])
///     print(try out.read("loss"))
public final class Session {
    /// What the layers declared, in the order of their first use.
    public let parameters: [ParameterSpec]
    private let executor: Executor
    private let plan: Plan
    private let inputs: [String: (shape: Shape, isInteger: Bool)]
    private let classes: [String: [(count: Int, ignored: Int)]]
    /// Inputs that nothing has been written to.
    private var missing: Set<String>
    private let groups: [(optimizer: Optimizer, slot: RateSlot)]
    private let seed: UInt64
    private static let temperature = "temperature"
    /// Steps so far.
    fileprivate private(set) var steps = 0

    /// Records the step, gives every parameter its first value, and plans.
    ///
    /// - Parameters:
    ///   - family: which kernels; nil for those that suit the device.
    ///   - choices: which algorithm computes each convolution.
    ///   - seed: of first values and noise: with it the whole session is a function of what it is given.
    ///   - record: says what the step is made of.
    /// - Throws: `DeviceError`, `PlanError`, or what `record` throws.
    public init(
        _ context: DeviceContext, family: KernelFamily? = nil, choices: AlgorithmChoices = AlgorithmChoices(),
        seed: UInt64, _ record: (StepRecording) throws -> Void
    ) throws {
        let recording = StepRecording()
        recording.graph.activations = choices.arithmetic.activations
        try record(recording)
        executor = Executor(library: try KernelLibrary(context: context, family: family))
        (parameters, inputs, groups) = (recording.parameters, recording.inputs, recording.groups)
        classes = recording.classes
        missing = Set(recording.inputs.keys)
        self.seed = seed
        plan = try executor.makePlan(recording.graph, choices: choices)
        for spec in parameters { try write(spec, spec.initialValues(seed: seed)) }
    }

    /// Enqueues one step; returns without waiting for it.
    ///
    /// - Parameters:
    ///   - values: by name, [Float] or [Int32] in row-major order; inputs that are left out keep what they were given.
    ///   - scalars: learning rates by the names that optimisers call them, and `temperature` of sampled gates; rates that
    ///     are left out are 0, the temperature is 1.
    /// - Throws: `SessionError` for names and counts that the step does not have, `DeviceError` if the device refuses.
    @discardableResult
    public func step(_ values: [String: any StepValues] = [:], scalars: [String: Double] = [:]) throws -> StepResult {
        for name in scalars.keys
        where name != Self.temperature && !groups.contains(where: { $0.optimizer.rate == name }) {
            throw SessionError(message: "scalar \(name): found no optimiser that reads it")
        }
        for (name, given) in values.sorted(by: { $0.key < $1.key }) { try write(name, given) }
        guard missing.isEmpty else {
            throw SessionError(
                message: "inputs \(missing.sorted()): found no values, expected some before the first step")
        }
        steps += 1
        var state = StepState()
        (state.seed, state.step) = (seed, UInt32(steps - 1))
        state.temperature = Float(scalars[Self.temperature] ?? 1)
        for (optimizer, slot) in groups {
            state.rates[slot] = optimizer.rate(scalars[optimizer.rate] ?? 0, t: steps)
        }
        try executor.store.write(state)
        try executor.run(plan)
        return StepResult(session: self, number: steps)
    }

    /// A parameter in disk order; waits for the device.
    ///
    /// - Throws: `SessionError` if no layer declared it, `DeviceError` if it cannot be read.
    public func read(_ name: String) throws -> [Float] {
        let spec = try spec(name)
        if spec.layout == .counter { return try executor.store.readIntegers(name).map(Float.init) }
        return spec.diskOrder(try executor.store.read(name))
    }

    /// Sets a parameter.
    ///
    /// - Parameter values: in disk order.
    /// - Throws: `SessionError` if no layer declared it or the count is another one, `DeviceError` if memory cannot be had.
    public func write(_ name: String, _ values: [Float]) throws {
        let spec = try spec(name)
        guard values.count == spec.elementCount else {
            throw SessionError(
                message: "parameter \(name): found \(values.count) values, expected \(spec.elementCount)")
        }
        try write(spec, values)
    }

    /// The first step, from 0, whose loss was not finite; nothing has changed since. Waits for the device.
    ///
    /// - Throws: `DeviceError` if the flag cannot be read.
    public func failure() throws -> Int? {
        guard !groups.isEmpty else { return nil }
        let flag = try executor.store.readIntegers(StepRecording.flagName)
        return flag[0] == 0 ? nil : Int(flag[0]) - 1
    }

    fileprivate func output(_ name: String) throws -> [Float] {
        guard executor.shape(name, of: plan) != nil else {
            throw SessionError(message: "output \(name): found no such output of the step")
        }
        return try executor.read(name, of: plan)
    }

    private func spec(_ name: String) throws -> ParameterSpec {
        guard let spec = parameters.first(where: { $0.name == name }) else {
            throw SessionError(message: "parameter \(name): found no layer that declares it")
        }
        return spec
    }

    private func write(_ spec: ParameterSpec, _ values: [Float]) throws {
        if spec.layout == .counter {
            try executor.store.write(spec.name, spec.storedShape, values.map { Int32($0) })
        } else {
            try executor.store.write(spec.name, spec.storedShape, spec.deviceOrder(values))
        }
    }

    private func write(_ name: String, _ given: any StepValues) throws {
        guard let (shape, isInteger) = inputs[name] else {
            throw SessionError(message: "input \(name): found no such input, expected one of \(inputs.keys.sorted())")
        }
        guard given.count == shape.count else {
            throw SessionError(message: "input \(name): found \(given.count) values, expected \(shape.count)")
        }
        switch (given, isInteger) {
        case (let values as [Float], false): try executor.store.write(name, shape, values)
        case (let values as [Int32], true):
            // The device reads scores by them.
            for (count, ignored) in classes[name] ?? [] {
                guard let bad = values.first(where: { !(0..<count ~= Int($0)) && Int($0) != ignored }) else { continue }
                throw SessionError(
                    message: "input \(name): found class \(bad), expected 0 to \(count - 1), or \(ignored) for none")
            }
            try executor.store.write(name, shape, values)
        default:
            throw SessionError(
                message: "input \(name): found \(type(of: given)), expected \(isInteger ? "Int32" : "Float")")
        }
        missing.remove(name)
    }
}

/// Values of a step's input: [Float], or [Int32] for classes.
public protocol StepValues {
    /// How many.
    var count: Int { get }
}

/// What a step's input consists of.
public protocol StepElement {}
extension Float: StepElement {}
extension Int32: StepElement {}
extension Array: StepValues where Element: StepElement {}

/// The outputs of one step.
public struct StepResult {
    private let session: Session
    private let number: Int

    fileprivate init(session: Session, number: Int) { (self.session, self.number) = (session, number) }

    /// Values of a named output in row-major order; waits for the step.
    ///
    /// - Precondition: the session has taken no other step since, which would have overwritten it.
    /// - Throws: `SessionError` if the step has no such output, `DeviceError` if it cannot be read.
    public func read(_ name: String) throws -> [Float] {
        precondition(
            session.steps == number, "\(name) of step \(number) is read after \(session.steps) steps have been taken")
        return try session.output(name)
    }
}

/// Something given to a session that its step does not have.
public struct SessionError: Error, CustomStringConvertible, Sendable {
    public let message: String
    public var description: String { message }
}
