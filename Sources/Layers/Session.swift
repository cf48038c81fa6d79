import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators
import AdaShareSupport

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
    let executor: Executor
    private let plan: Plan
    let inputs: [String: (shape: Shape, isInteger: Bool)]
    private let classes: [String: [(count: Int, ignored: Int)]]
    /// Inputs that nothing has been written to.
    var missing: Set<String>
    let groups: [(optimizer: Optimizer, slot: RateSlot)]
    /// What optimisers remember from step to step.
    let optimizerState: [OptimizerState]
    /// Names of the recording's scalars.
    private let scalars: Set<String>
    /// What they were last: nothing is written again that has not changed.
    private var written: [String: Float] = [:]
    private static let temperature = "temperature"
    /// Of noise; a loaded session goes on with that of the one that was saved.
    var seed: UInt64
    /// Steps so far, those before the session was saved and loaded included.
    public internal(set) var steps = 0
    /// Kernels that one step launches.
    public var launchCount: Int { plan.launchCount }
    /// Multiply-accumulates of one step's convolutions and linear layers, both passes.
    public var multiplyAccumulates: Int { plan.multiplyAccumulates }

    /// Records the step, gives every parameter its first value, and plans.
    ///
    /// - Parameters:
    ///   - context: the device, opened.
    ///   - family: which kernels; nil for those that suit the device.
    ///   - choices: which algorithm computes each convolution.
    ///   - seed: of first values and noise: with it the whole session is a function of what it is given.
    ///   - record: says what the step is made of.
    /// - Throws: `DeviceError`, `InputError`, or what `record` throws.
    public init(
        _ context: DeviceContext, family: KernelFamily? = nil, choices: AlgorithmChoices = AlgorithmChoices(),
        seed: UInt64, _ record: (StepRecording) throws -> Void
    ) throws {
        let recording = StepRecording()
        recording.graph.activations = choices.arithmetic.activations
        try record(recording)
        executor = Executor(library: try KernelLibrary(context: context, family: family))
        (parameters, inputs, groups) = (recording.parameters, recording.inputs, recording.groups)
        (classes, optimizerState, scalars) = (recording.classes, recording.optimizerState, recording.scalars)
        missing = Set(recording.inputs.keys)
        self.seed = seed
        plan = try executor.makePlan(recording.graph, choices: choices)
        for spec in parameters { try write(spec, spec.initialValues(seed: seed)) }
    }

    /// Enqueues one step; returns without waiting for it.
    ///
    /// - Parameters:
    ///   - values: by name, [Float] or [Int32] in row-major order; inputs that are left out keep what they were given.
    ///   - given: by name: each scalar of the recording; learning rates as optimisers call them, 0 where left out; and
    ///     `temperature` of sampled gates, 1 where left out.
    /// - Throws: `InputError` for names and counts that the step does not have and scalars that are missing,
    ///   `DeviceError` if the device refuses: the step may then be done in part, and what was saved is where to go on.
    @discardableResult
    public func step(
        _ values: [String: any StepValues] = [:], scalars given: [String: Double] = [:]
    ) throws -> StepResult {
        try check(given)
        for (name, given) in values.sorted(by: { $0.key < $1.key }) { try write(name, given) }
        guard missing.isEmpty else {
            throw InputError(
                file: "inputs \(missing.sorted())", found: "no values", expected: "some before the first step")
        }
        try write(given)
        steps += 1
        var state = StepState()
        (state.seed, state.step) = (seed, UInt32(steps - 1))
        state.temperature = Float(given[Self.temperature] ?? 1)
        for (optimizer, slot) in groups {
            state.rates[slot] = optimizer.rate(given[optimizer.rate] ?? 0, t: steps)
        }
        try executor.store.write(state)
        try executor.run(plan)
        return StepResult(session: self, number: steps)
    }

    /// The first step, from 0, whose loss was not finite; nothing has changed since. Waits for the device.
    ///
    /// - Throws: `DeviceError` if the flag cannot be read.
    public func failure() throws -> Int? {
        guard !groups.isEmpty else { return nil }
        let flag = try executor.store.readIntegers(StepRecording.flagName)
        return flag[0] == 0 ? nil : Int(flag[0]) - 1
    }

    func output(_ name: String) throws -> [Float] {
        guard executor.shape(name, of: plan) != nil else {
            throw InputError(file: "output \(name)", found: "no such output", expected: "one that the step has")
        }
        return try executor.read(name, of: plan)
    }

    /// - Throws: `InputError` if the step does not read what is given, or reads what is not.
    private func check(_ given: [String: Double]) throws {
        let known = scalars.union(groups.map(\.optimizer.rate)).union([Self.temperature])
        if let name = given.keys.sorted().first(where: { !known.contains($0) }) {
            throw InputError(
                file: "scalar \(name)", found: "nothing that reads it", expected: "one of \(known.sorted())")
        }
        let missing = scalars.subtracting(given.keys)
        guard missing.isEmpty else {
            throw InputError(
                file: "scalars \(missing.sorted())", found: "no values", expected: "some with each step")
        }
    }

    /// Writes the recording's scalars.
    private func write(_ given: [String: Double]) throws {
        for name in scalars.sorted() {
            guard let value = given[name].map({ Float($0) }), written[name]?.bitPattern != value.bitPattern else {
                continue
            }
            try executor.store.write(StepRecording.scalarName(name), .scalar, [value])
            written[name] = value
        }
    }

    private func write(_ name: String, _ given: any StepValues) throws {
        guard let (shape, isInteger) = inputs[name] else {
            throw InputError(
                file: "input \(name)", found: "no such input", expected: "one of \(inputs.keys.sorted())")
        }
        guard given.count == shape.count else {
            throw InputError(file: "input \(name)", found: "\(given.count) values", expected: "\(shape.count)")
        }
        switch (given, isInteger) {
        case (let values as [Float], false): try executor.store.write(name, shape, values)
        case (let values as [Int32], true):
            // The device reads scores by them.
            for (count, ignored) in classes[name] ?? [] {
                guard let bad = values.first(where: { !(0..<count ~= Int($0)) && Int($0) != ignored }) else { continue }
                throw InputError(
                    file: "input \(name)", found: "class \(bad)",
                    expected: "0 to \(count - 1), or \(ignored) for none")
            }
            try executor.store.write(name, shape, values)
        default:
            throw InputError(
                file: "input \(name)", found: "\(type(of: given))", expected: isInteger ? "Int32" : "Float")
        }
        missing.remove(name)
    }
}
