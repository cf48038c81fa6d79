import AdaShareModels
import AdaShareOperators

/// The network: `model` in the file.
public struct ModelConfiguration: Sendable, Equatable {
    /// Which residual network.
    public var backbone = BackboneKind.resnet34
    /// Multiplier of all channel counts inside the network.
    public var width = 1.0
    /// Layers of a dense task's head.
    public var head = HeadKind.fourRate
    /// What convolutions multiply.
    public var precision = ModelPrecision.float32
    /// Probability of dropping an activation in the heads while training.
    public var dropout = 0.5
    /// Whether every task has batch norms of its own in the backbone.
    public var hasTaskBatchNorm = false
    /// Safetensors file with the weights to start from.
    public var initialCheckpoint: String?

    /// Creates the defaults.
    public init() {}
}

/// Precision of the network's arithmetic.
public enum ModelPrecision: String, Sendable, CaseIterable {
    /// Everything in float32.
    case float32
    /// Convolutions multiply operands of 10 bits of mantissa, where a device has matrix units for that.
    case tf32
    /// Activations and their gradients are stored in 16 bits, with 7 bits of mantissa, and convolutions multiply those,
    /// where a device has matrix units for that. Weights, their gradients, statistics and losses stay float32.
    case bfloat16

    /// How convolutions may round, if the device can.
    package var arithmetic: ConvolutionArithmetic {
        switch self {
        case .float32: .float32
        case .tf32: .tf32
        case .bfloat16: .bfloat16
        }
    }
}
