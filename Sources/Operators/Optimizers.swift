import AdaShareDeviceLayer

/// Stochastic gradient descent with momentum and coupled weight decay, in place.
///
/// Inputs: parameter, gradient, momentum buffer, step buffer, non-finite flag.
///
/// - Source: PyTorch's `SGD` (dampening 0, no Nesterov); kernel `sgd` in `optimizers.cl`.
public struct SGDUpdate: Operator {
    /// Where the step buffer has the learning rate.
    public let rate: RateSlot
    /// Share of the last direction that is kept, and of the parameter that is added to its gradient.
    public let momentum, weightDecay: Double

    /// Creates the operator.
    public init(rate: RateSlot, momentum: Double, weightDecay: Double) {
        self.rate = rate
        self.momentum = momentum
        self.weightDecay = weightDecay
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1] && inputs[0] == inputs[2], "parameter, gradient and momentum differ")
        return []
    }
    public var mutatedInputs: [Int] { [0, 2] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        let buffers = (0..<5).map(LaunchArgument.input)
        e.launch(
            "optimizers", "sgd",
            buffers + [.int(rate.offset), .float(momentum), .float(weightDecay), .int(n)], e.library.range(n))
    }
}

/// Adam with coupled weight decay, in place.
///
/// Inputs: parameter, gradient, first moment, second moment, step buffer, non-finite flag.
///
/// - Source: Kingma & Ba 2015, as in PyTorch's `Adam`; kernel `adam` in `optimizers.cl`.
public struct AdamUpdate: Operator {
    /// Where the step buffer has the learning rate.
    public let rate: RateSlot
    /// β₁, β₂, ε, and the share of the parameter that is added to its gradient.
    public let beta1, beta2, epsilon, weightDecay: Double

    /// Creates the operator.
    public init(rate: RateSlot, beta1: Double, beta2: Double, epsilon: Double = 1e-8, weightDecay: Double) {
        self.rate = rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(
            inputs[0] == inputs[1] && inputs[0] == inputs[2] && inputs[0] == inputs[3],
            "parameter, gradient and moments differ")
        return []
    }
    public var mutatedInputs: [Int] { [0, 2, 3] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        let buffers = (0..<6).map(LaunchArgument.input)
        e.launch(
            "optimizers", "adam",
            buffers + [
                .int(rate.offset), .float(beta1), .float(1 - beta1), .float(beta2), .float(1 - beta2),
                .float(epsilon), .float(weightDecay), .int(n),
            ], e.library.range(n))
    }
}
