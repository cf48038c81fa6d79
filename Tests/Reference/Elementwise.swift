extension Reference {
    /// max(x, 0), every element.
    public static func relu(_ x: Tensor) -> Tensor {
        x.map { max($0, 0) }
    }

    /// The gradient of ReLU from its output: dy where y > 0, else 0.
    public static func reluGradient(y: Tensor, dy: Tensor) -> Tensor {
        y.zip(dy) { $0 > 0 ? $1 : 0 }
    }

    /// A selected block's output, y = ReLU(residual + branch).
    public static func residualAddReLU(residual: Tensor, branch: Tensor) -> Tensor {
        relu(residual.zip(branch, +))
    }

    /// The gradients of `residualAddReLU` from its output; both inputs receive the same.
    public static func residualAddReLUGradient(y: Tensor, dy: Tensor) -> (dResidual: Tensor, dBranch: Tensor) {
        let gradient = reluGradient(y: y, dy: dy)
        return (gradient, gradient)
    }

    /// A mixed block's output.
    ///
    ///     y = v_select · ReLU(residual + branch) + v_skip · residual
    ///
    /// - Source: method, section 1.
    public static func mixedResidual(residual: Tensor, branch: Tensor, vSelect: Double, vSkip: Double) -> Tensor {
        residualAddReLU(residual: residual, branch: branch).zip(residual) { vSelect * $0 + vSkip * $1 }
    }

    /// The gradients of `mixedResidual`.
    ///
    ///     a = ReLU(residual + branch)
    ///     dBranch = v_select·dy·[a > 0],  dResidual = dBranch + v_skip·dy,  dv_select = Σ dy·a,  dv_skip = Σ
    ///     dy·residual
    public static func mixedResidualGradient(
        residual: Tensor, branch: Tensor, vSelect: Double, vSkip: Double, dy: Tensor
    ) -> (dResidual: Tensor, dBranch: Tensor, dvSelect: Double, dvSkip: Double) {
        let selected = residualAddReLU(residual: residual, branch: branch)
        let dBranch = reluGradient(y: selected, dy: dy.map { vSelect * $0 })
        let dResidual = dBranch.zip(dy) { $0 + vSkip * $1 }
        return (dResidual, dBranch, dy.dot(selected), dy.dot(residual))
    }

    /// Dropout under a given mask; its gradient is the same function of dy.
    ///
    ///     y = x · mask / (1 − probability)
    ///
    /// - Parameter mask: 1 keeps an element, 0 drops it; shape of x.
    /// - Parameter probability: that of dropping, in 0..<1.
    public static func dropout(_ x: Tensor, mask: Tensor, probability: Double) -> Tensor {
        x.zip(mask) { $0 * $1 / (1 - probability) }
    }
}
