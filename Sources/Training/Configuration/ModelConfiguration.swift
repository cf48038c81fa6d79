import Models

/// The network: `model` in the file.
public struct ModelConfiguration: Sendable, Equatable {
    /// Which residual network.
    public var backbone = BackboneKind.resnet34
    /// Multiplier of all channel counts inside the network.
    public var width = 1.0
    /// Layers of a dense task's head.
    public var head = HeadKind.fourRate
    /// Probability of dropping an activation in the heads while training.
    public var dropout = 0.5
    /// Safetensors file with the weights to start from.
    public var initialCheckpoint: String?

    /// Creates the defaults.
    public init() {}
}
