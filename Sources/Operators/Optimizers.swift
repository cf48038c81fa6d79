import AdaShareDeviceLayer

/// Stochastic gradient descent with momentum and coupled weight decay, in place.
///
/// Inputs: of each tensor parameter, gradient, momentum buffer; then step buffer, non-finite flag.
///
/// - Source: PyTorch's `SGD` (dampening 0, no Nesterov); kernels `sgd` and `sgd_tensors` in `optimizers.cl`.
public struct SGDUpdate: MultiTensorOperator {
    /// Where the step buffer has the learning rate.
    public let rate: RateSlot
    /// Share of the last direction that is kept, and of the parameter that is added to its gradient.
    public let momentum, weightDecay: Double
    public let tensors: Int

    /// Creates the operator for one parameter, or for several of one shape.
    public init(rate: RateSlot, momentum: Double, weightDecay: Double, tensors: Int = 1) {
        self.rate = rate
        self.momentum = momentum
        self.weightDecay = weightDecay
        self.tensors = tensors
    }

    public static let (inputsPerTensor, mutatedPerTensor, mostTensors) = (3, [0, 2], 28)
    public func of(tensors: Int) -> SGDUpdate {
        SGDUpdate(rate: rate, momentum: momentum, weightDecay: weightDecay, tensors: tensors)
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(
            inputs[..<(tensors * Self.inputsPerTensor)].allSatisfy { $0 == inputs[0] },
            "parameter, gradient and momentum differ")
        return []
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        let numbers: [LaunchArgument] = [.int(rate.offset), .float(momentum), .float(weightDecay)]
        launch("optimizers", "sgd", numbers, vectors: n, e.library.range(n), on: &e)
    }
}

/// Adam with coupled weight decay, in place.
///
/// Inputs: of each tensor parameter, gradient, first moment, second moment; then step buffer, non-finite flag.
///
/// - Source: Kingma & Ba 2015, as in PyTorch's `Adam`; kernels `adam` and `adam_tensors` in `optimizers.cl`.
public struct AdamUpdate: MultiTensorOperator {
    /// Where the step buffer has the learning rate.
    public let rate: RateSlot
    /// β₁, β₂, ε, and the share of the parameter that is added to its gradient.
    public let beta1, beta2, epsilon, weightDecay: Double
    public let tensors: Int

    /// Creates the operator for one parameter, or for several of one shape.
    public init(
        rate: RateSlot, beta1: Double, beta2: Double, epsilon: Double = 1e-8, weightDecay: Double, tensors: Int = 1
    ) {
        self.rate = rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.tensors = tensors
    }

    public static let (inputsPerTensor, mutatedPerTensor, mostTensors) = (4, [0, 2, 3], 28)
    public func of(tensors: Int) -> AdamUpdate {
        AdamUpdate(
            rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay, tensors: tensors)
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(
            inputs[..<(tensors * Self.inputsPerTensor)].allSatisfy { $0 == inputs[0] },
            "parameter, gradient and moments differ")
        return []
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        let numbers: [LaunchArgument] = [
            .int(rate.offset), .float(beta1), .float(1 - beta1), .float(beta2), .float(1 - beta2), .float(epsilon),
            .float(weightDecay),
        ]
        launch("optimizers", "adam", numbers, vectors: n, e.library.range(n), on: &e)
    }
}
