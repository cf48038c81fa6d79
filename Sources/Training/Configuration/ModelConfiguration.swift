import Models
import Operators

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

    /// How convolutions may round, if the device can.
    var arithmetic: ConvolutionArithmetic { self == .tf32 ? .tf32 : .float32 }
}
