/// The product of two scalars, such as a loss and a weight that changes from step to step.
///
///     y = a · b,  ∂y/∂a = b,  ∂y/∂b = a
///
/// - Source: kernel in `scalar_product.cl`.
public struct ScalarProduct: DifferentiableOperator {
    /// Creates the operator, which has no attributes.
    public init() {}

    /// - Precondition: two scalars.
    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs == [.scalar, .scalar], "a product of scalars, found \(inputs)")
        return [.scalar]
    }

    public func inPlaceInputs(output: Int) -> [Int] { [0, 1] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch("scalar_product", "scalar_product", [.input(0), .input(1), .output(0)], e.library.grid(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil, nil] }
        return [1, 0].map { other in
            call.wanted[1 - other] ? recorder.record(ScalarProduct(), [dy, call.inputs[other]])[0] : nil
        }
    }
}
