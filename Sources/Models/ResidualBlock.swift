import AdaShareLayers
import AdaShareOperators

extension Initializer {
    /// Of the backbone's convolutions.
    static let backbone = Initializer.normal(mean: 0, std: 0.01)
}

/// What lies below the residual blocks: a 7×7 convolution with stride 2, batch norm with ReLU, max pool.
public struct Stem: Layer, Hashable {
    /// Output channels of the convolution: 64 times the network's width, rounded to a multiple of 16.
    public let channels: Int
    /// Whether the max pool rounds its output size up.
    public let poolCeilMode: Bool

    /// Where its operators are recorded, if tasks share batch norms.
    public static let scopes = [convolution, normScope(""), pool]
    private static let (convolution, pool) = ("backbone.conv1", "pool")

    /// Where its batch norm is recorded.
    ///
    /// - Parameter norms: what the names of batch norms begin with.
    public static func normScope(_ norms: String) -> String { "backbone.\(norms)bn1" }

    /// Records convolution, batch norm with ReLU and max pool.
    ///
    /// - Parameters:
    ///   - image: [N, H, W, 3].
    ///   - norms: what the names of batch norms begin with, see `NetworkArchitecture.normPrefix`.
    ///   - s: the network's root scope, where the stem is recorded.
    /// - Returns: the first block's input, [N, h, w, channels].
    public func callAsFunction(_ image: Value, norms: String = "", in s: Scope) -> Value {
        let h = s(Self.convolution).convolution(
            image, channels: channels, kernel: 7, stride: 2, padding: 3, initial: .backbone)
        let a = s(Self.normScope(norms)).batchNorm(h, tail: .relu)
        return s(Self.pool).maxPool(a, ceilMode: poolCeilMode)
    }
}

/// One residual block: the branch F(x) and the residual path `res`.
///
///     select:  ReLU(res(x) + F(x))
///     skip:    res(x)
///     mixed:   v_select · ReLU(res(x) + F(x)) + v_skip · res(x)
///
/// The residual path is the identity, or the projection where there is one; a projection always runs.
public struct ResidualBlock: Layer, Hashable {
    /// Position l − 1 in the network, from 0 at the bottom.
    public let index: Int
    /// Stage, from 0.
    public let stage: Int
    /// Position within the stage, from 0.
    public let position: Int
    /// Whether the branch is 1×1, 3×3, 1×1 convolutions instead of two 3×3 ones.
    public let isBottleneck: Bool
    /// Inner and outer channels.
    public let planes, outputChannels: Int
    /// Of the first convolution and the projection.
    public let stride: Int
    /// Of the 3×3 convolutions.
    public let dilation: Int
    /// Scope of the projection, such as `backbone.ds.1`; nil where the residual path is the identity.
    public var projection: String? { hasProjection ? projectionScope("") : nil }
    private let hasProjection: Bool

    /// Scope of the projection, or of its batch norm where tasks have their own: `backbone.task0_ds.1`.
    ///
    /// - Parameter norms: what the names of batch norms begin with.
    public func projectionScope(_ norms: String) -> String { "backbone.\(norms)ds.\(stage)" }

    /// Scope of the branch's last batch norm.
    ///
    /// - Parameter norms: what names of these batch norms begin with, see `NetworkArchitecture.normPrefixes`.
    public func lastBatchNorm(norms: String = "") -> String { "\(name).\(norms)bn\(isBottleneck ? 3 : 2)" }

    /// Scope of the branch, such as `backbone.blocks.0.1`.
    public let name: String

    /// Lays out one block.
    ///
    /// A stage's first block has the stage's stride, and a projection if the stride is not 1, the channels change or
    /// the dilation is 2 or 4.
    init(index: Int, position: Int, stage: ResidualStage, inputChannels: Int, isBottleneck: Bool) {
        let isFirst = position == 0
        self.index = index
        self.stage = stage.index
        self.position = position
        name = "backbone.blocks.\(stage.index).\(position)"
        self.isBottleneck = isBottleneck
        planes = stage.planes
        outputChannels = stage.outputChannels
        stride = isFirst ? stage.stride : 1
        dilation = stage.dilation
        let changes = stride != 1 || inputChannels != outputChannels || dilation == 2 || dilation == 4
        hasProjection = isFirst && changes
    }

    /// res(x).
    ///
    /// - Parameters:
    ///   - x: the block's input, [N, h, w, C].
    ///   - norms: what the names of batch norms begin with.
    ///   - s: the network's root scope.
    public func residual(_ x: Value, norms: String = "", in s: Scope) -> Value {
        guard let projection else { return x }
        let h = s(projection)("0").convolution(
            x, channels: outputChannels, kernel: 1, stride: stride, initial: .backbone)
        return s(projectionScope(norms))("1").batchNorm(h)
    }

    /// F(x) and what the block makes of it, which is the tail of its last batch norm.
    ///
    /// - Parameters:
    ///   - x: the block's input, [N, h, w, C].
    ///   - tail: what the last batch norm does with its result, such as adding the residual path, then ReLU.
    ///   - norms: what the names of batch norms begin with.
    ///   - s: the network's root scope.
    public func branch(_ x: Value, tail: BatchNormTail, norms: String = "", in s: Scope) -> Value {
        let s = s(name)
        func layer(_ number: Int, _ x: Value, kernel: Int, stride: Int = 1, _ channels: Int, _ tail: BatchNormTail)
            -> Value
        {
            let h = s("conv\(number)").convolution(
                x, channels: channels, kernel: kernel, stride: stride, dilation: kernel == 1 ? 1 : dilation,
                padding: kernel == 1 ? 0 : dilation, initial: .backbone)
            return s("\(norms)bn\(number)").batchNorm(h, tail: tail)
        }
        guard isBottleneck else {
            let a = layer(1, x, kernel: 3, stride: stride, planes, .relu)
            return layer(2, a, kernel: 3, outputChannels, tail)
        }
        let a = layer(1, x, kernel: 1, stride: stride, planes, .relu)
        let b = layer(2, a, kernel: 3, planes, .relu)
        return layer(3, b, kernel: 1, outputChannels, tail)
    }
}
