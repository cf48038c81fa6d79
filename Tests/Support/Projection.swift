import AdaShareOperators

/// ⟨x, dy⟩ as a loss whose gradient with respect to x is dy; the value itself is never computed.
public struct Projection: DifferentiableOperator {
    public init() {}

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1], "gradient \(inputs[1]) does not fit \(inputs[0])")
        return [.scalar]
    }

    public func encode(_ encoder: inout LaunchEncoder) throws {}

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] { [call.inputs[1], nil] }
}
