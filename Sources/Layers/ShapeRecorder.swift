import AdaShareOperators

/// Follows shapes through layers, without a graph or a device.
public class ShapeRecorder: LayerRecorder {
    public let activations = ElementType.float32
    public let step = Value(id: 0, shape: StepState.shape)
    private var count = 1

    /// Creates a recorder that has seen nothing.
    public init() {}

    /// A value that nothing computes.
    public func value(_ shape: Shape) -> Value {
        defer { count += 1 }
        return Value(id: count, shape: shape)
    }

    public func parameter(_ spec: ParameterSpec) -> Value { value(spec.storedShape) }

    public func record(_ operation: any Operator, _ inputs: [Value]) -> [Value] {
        operation.outputShapes(inputs.map(\.shape)).map(value)
    }

    public func scope<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result { try body() }
}

/// Lists the parameters that layers declare, in the order of their first use.
public final class ParameterList: ShapeRecorder {
    /// In the order of their first use.
    public private(set) var specs: [ParameterSpec] = []
    private var values: [String: Value] = [:]

    /// - Precondition: every declaration of a name is the same.
    public override func parameter(_ spec: ParameterSpec) -> Value {
        if let known = values[spec.name] {
            precondition(known.shape == spec.storedShape, "\(spec.name) of \(known.shape) and of \(spec.storedShape)")
            return known
        }
        specs.append(spec)
        let value = super.parameter(spec)
        values[spec.name] = value
        return value
    }
}

/// What layers cost.
public struct LayerCost: Sendable, Hashable {
    /// Of convolutions and linear layers, taps in the padding included.
    public var multiplyAccumulates = 0
    /// Elements that an optimiser moves.
    public var parameters = 0

    /// Nothing.
    public init() {}
}

/// Counts what layers cost, each application once, each parameter once however often it is used.
public final class CostCounter: ShapeRecorder {
    private var total = LayerCost()
    private var known: Set<String> = []

    /// What `body` applies and, for the first time, declares.
    public func cost(of body: () throws -> Void) rethrows -> LayerCost {
        let before = total
        try body()
        var cost = total
        cost.multiplyAccumulates -= before.multiplyAccumulates
        cost.parameters -= before.parameters
        return cost
    }

    public override func parameter(_ spec: ParameterSpec) -> Value {
        if spec.isTrainable, known.insert(spec.name).inserted { total.parameters += spec.elementCount }
        return super.parameter(spec)
    }

    public override func record(_ operation: any Operator, _ inputs: [Value]) -> [Value] {
        let outputs = super.record(operation, inputs)
        total.multiplyAccumulates += operation.multiplyAccumulates(
            inputs: inputs.map(\.shape), outputs: outputs.map(\.shape))
        return outputs
    }
}
