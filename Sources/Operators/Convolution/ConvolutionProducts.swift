import AdaShareDeviceLayer

extension MatrixProduct {
    /// y = x w of a 1×1 convolution, pads of y included.
    static func forward(_ x: Shape, _ y: Shape) -> MatrixProduct {
        MatrixProduct(
            rows: x.rows, columns: y.storedChannels, depth: x.channels, leftPitch: x.storedChannels,
            rightPitch: y.storedChannels, resultPitch: y.storedChannels)
    }

    /// dx = dy wᵀ.
    ///
    /// - Precondition: dx has no pads, which would not be written.
    static func inputGradient(_ dy: Shape, _ dx: Shape) -> MatrixProduct {
        precondition(dx.channels == dx.storedChannels, "\(dx) has pads")
        return MatrixProduct(
            rows: dy.rows, columns: dx.channels, depth: dy.channels, transposesRight: true,
            leftPitch: dy.storedChannels,
            rightPitch: dy.storedChannels, resultPitch: dx.storedChannels)
    }

    /// dw = xᵀ dy, pads of dw included.
    static func weightGradient(_ x: Shape, _ dy: Shape) -> MatrixProduct {
        MatrixProduct(
            rows: x.channels, columns: dy.storedChannels, depth: x.rows, transposesLeft: true,
            leftPitch: x.storedChannels, rightPitch: dy.storedChannels, resultPitch: dy.storedChannels)
    }
}
