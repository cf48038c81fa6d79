import AdaShareGraph
import AdaShareOperators

/// A part of a network: a function of values that declares its parameters where it uses them.
///
///     struct Block: Layer {
///         let channels: Int
///         func callAsFunction(_ x: Value, in s: Scope) -> Value {
///             let h = s("conv1").convolution(x, channels: channels, kernel: 3, padding: 1)
///             return s("bn1").batchNorm(h, tail: .addReLU(residual: x))
///         }
///     }
///
/// The forward pass, the list of parameters and the cost are the same function through different recorders: a `Graph`,
/// a `ParameterList`, a `CostCounter`.
public protocol Layer: Sendable {}

/// What layers are recorded by.
public protocol LayerRecorder: Recorder {
    /// The value of a parameter; the same for the same name.
    func parameter(_ spec: ParameterSpec) -> Value
    /// Names everything recorded by `body`.
    func scope<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result
}

extension Graph: LayerRecorder {
    public func parameter(_ spec: ParameterSpec) -> Value {
        // Every path through a layer declares it: shapes are worked out once.
        let value = external(spec.name, role: .parameter, spec.storedShape)
        precondition(value.shape.count == spec.elementCount, "\(spec.name) of \(value.shape) and of \(spec.diskShape)")
        return value
    }
}

/// A path of names over a recorder: where in a network a layer is applied.
///
///     s("blocks")("0").parameter("weight", …)        // blocks.0.weight
public struct Scope {
    /// How layers behave that learn and use in different ways.
    public enum Mode: Sendable {
        /// Batch statistics, dropout.
        case training
        /// Running statistics, no dropout.
        case inference
    }

    /// What all scopes of one network have in common.
    final class Trace {
        let recorder: any LayerRecorder
        let mode: Mode
        /// Images of the batch before those that layers are given, where these are a part of it.
        let firstImage: Int
        var statistics = BatchStatistics()
        /// What layers have declared, by their paths: every path of a task through a layer asks again.
        var declared: [String: [Value]] = [:]

        init(_ recorder: any LayerRecorder, mode: Mode, firstImage: Int) {
            (self.recorder, self.mode, self.firstImage) = (recorder, mode, firstImage)
        }
    }

    let trace: Trace
    /// Names from the outside in, joined by dots; empty at the root.
    public let path: String
    /// Of the parameters declared here, unless they say otherwise.
    public let group: ParameterGroup
    /// Whether nothing moves here, whatever the network learns.
    private let isFrozen: Bool

    /// The root of a network.
    ///
    /// - Parameters:
    ///   - recorder: what layers are recorded by.
    ///   - mode: how they behave.
    ///   - group: of the parameters that are declared, unless layers say otherwise.
    ///   - firstImage: images of the batch before those that layers are given, where these are a part of it: noise
    ///     belongs to an image's place in the batch.
    public init(
        _ recorder: any LayerRecorder, mode: Mode = .training, group: ParameterGroup = .default, firstImage: Int = 0
    ) {
        self.init(Trace(recorder, mode: mode, firstImage: firstImage), path: "", group: group, isFrozen: false)
    }

    private init(_ trace: Trace, path: String, group: ParameterGroup, isFrozen: Bool) {
        (self.trace, self.path, self.group, self.isFrozen) = (trace, path, group, isFrozen)
    }

    /// Whether layers behave as in training or in use.
    public var mode: Mode { isFrozen ? .inference : trace.mode }
    /// The step buffer (`StepState`).
    public var step: Value { trace.recorder.step }

    /// The scope of that name within this one.
    public func callAsFunction(_ name: String) -> Scope {
        Scope(trace, path: joined(name), group: group, isFrozen: isFrozen)
    }

    /// The same place, with another group for what is declared here and within.
    public func grouped(_ group: ParameterGroup) -> Scope {
        Scope(trace, path: path, group: group, isFrozen: isFrozen)
    }

    /// The same place, where layers behave as in use and no parameter is moved, within too.
    public var frozen: Scope { Scope(trace, path: path, group: group, isFrozen: true) }

    /// Declares a parameter and gives its value.
    ///
    /// - Parameters:
    ///   - name: within the scope; its checkpoints' name is the path and this.
    ///   - shape: on disk; empty for a scalar.
    ///   - layout: of what has one axis or two, nil says enough.
    ///   - initial: its first value.
    ///   - group: nil for the scope's.
    ///   - isTrainable: whether an optimiser moves it.
    public func parameter(
        _ name: String, _ shape: [Int], layout: ParameterLayout? = nil, initial: Initializer,
        group: ParameterGroup? = nil, isTrainable: Bool = true
    ) -> Value {
        trace.recorder.parameter(
            ParameterSpec(
                name: joined(name), diskShape: shape, layout: layout ?? (shape.count == 2 ? .matrix : .vector),
                group: group ?? self.group, initializer: initial, isTrainable: isTrainable && !isFrozen))
    }

    /// The parameters of the layer here, declared where it is applied for the first time.
    ///
    /// - Parameter count: how many are needed; in training perhaps more than before.
    func parameters(_ count: Int, _ declare: () -> [Value]) -> [Value] {
        if let known = trace.declared[path], known.count >= count { return known }
        let values = declare()
        trace.declared[path] = values
        return values
    }

    /// Applies an operator, named after the scope.
    public func record(_ operation: any Operator, _ inputs: [Value]) -> [Value] {
        named { $0.record(operation, inputs) }
    }

    /// Names what is recorded after the scope.
    func named<Result>(_ body: (any LayerRecorder) throws -> Result) rethrows -> Result {
        guard !path.isEmpty else { return try body(trace.recorder) }
        return try trace.recorder.scope(path) { try body(trace.recorder) }
    }

    /// A name within the scope.
    func joined(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}
