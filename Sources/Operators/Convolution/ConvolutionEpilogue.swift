/// What a convolution's launch does to its sums before it stores them, each part where it is asked for:
///
///     y = max(scale · (bias + Σ) + shift + residual, 0)
///
/// A convolution reads the operands behind x and its weights, in this order.
public struct ConvolutionEpilogue: Hashable, Sendable {
    /// A bias [K], the first term of the sum.
    public var hasBias: Bool
    /// scale [K] and shift [K]: batch norm with known statistics (`BatchNormAffine`).
    public var hasAffine: Bool
    /// A tensor of y's shape.
    public var hasResidual: Bool
    /// Whether negative results become 0.
    public var relu: Bool

    /// Creates an epilogue of the parts that are asked for.
    public init(hasBias: Bool = false, hasAffine: Bool = false, hasResidual: Bool = false, relu: Bool = false) {
        self.hasBias = hasBias
        self.hasAffine = hasAffine
        self.hasResidual = hasResidual
        self.relu = relu
    }

    /// Whether the convolution is differentiable: batch norm with known statistics has no gradient here.
    var isDifferentiable: Bool { !hasAffine }

    /// Inputs of the convolution before the epilogue's: x, weights.
    static let firstInput = 2

    /// Which input the residual is.
    var residualInput: Int? {
        hasResidual ? Self.firstInput + (hasBias ? 1 : 0) + (hasAffine ? 2 : 0) : nil
    }

    /// bias, scale, shift and residual as the kernels take them.
    var operands: [LaunchArgument] {
        var next = Self.firstInput
        return [hasBias, hasAffine, hasAffine, hasResidual].map { isThere in
            guard isThere else { return .zeros }
            defer { next += 1 }
            return .input(next)
        }
    }

    /// Mirrors `HAS_BIAS` and its neighbours in `prelude.cl`.
    var flags: LaunchArgument {
        .int((hasBias ? 1 : 0) | (hasAffine ? 2 : 0) | (hasResidual ? 4 : 0) | (relu ? 8 : 0))
    }
}
