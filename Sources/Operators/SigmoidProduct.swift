import AdaShareDeviceLayer

/// A tensor let through as far as another one says; inputs z, p of one shape.
///
///     y = s · p,  s = 1 / (1 + exp(−z)),  ∂y/∂z = p · s · (1 − s),  ∂y/∂p = s
///
/// - Source: the attention of Liu, Johns, Davison 2019; kernels in `sigmoid_product.cl`.
public struct SigmoidProduct: DifferentiableOperator {
    /// Creates the operator, which has no attributes.
    public init() {}

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.count == 2 && inputs[0] == inputs[1], "z and p differ: \(inputs)")
        return [inputs[0]]
    }

    public func inPlaceInputs(output: Int) -> [Int] { [0, 1] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        e.launch(
            "sigmoid_product", "sigmoid_product", [.input(0), .input(1), .output(0), .int(n)], e.library.range(n))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil, nil] }
        let gradients = recorder.record(SigmoidProductGradient(), call.inputs + [dy])
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of `SigmoidProduct`; inputs z, p, dy; outputs dz, dp.
struct SigmoidProductGradient: Operator {
    func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1] && inputs[0] == inputs[2], "z, p and dy differ: \(inputs)")
        return [inputs[0], inputs[1]]
    }

    func inPlaceInputs(output: Int) -> [Int] { [[0, 2], [1, 2]][output] }

    func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        e.launch(
            "sigmoid_product", "sigmoid_product_backward",
            [.input(0), .input(1), .input(2), .output(0), .output(1), .int(n)], e.library.range(n))
    }
}
