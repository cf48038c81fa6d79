/// Extents of one convolution, and the enumeration of its taps that lie inside the image.
private struct ConvolutionGeometry {
    let n: Int, h: Int, w: Int, c: Int
    let r: Int, s: Int, k: Int
    let p: Int, q: Int
    let stride: Int, dilation: Int, padding: Int

    init(input: [Int], kernel: [Int], stride: Int, dilation: Int, padding: Int) {
        precondition(input.count == 4, "expected an input shape [N, H, W, C], found \(input)")
        precondition(kernel.count == 4, "expected a weight shape [R, S, C, K], found \(kernel)")
        precondition(input[3] == kernel[2], "input \(input) and weights \(kernel) differ in input channels")
        (n, h, w, c) = (input[0], input[1], input[2], input[3])
        (r, s, k) = (kernel[0], kernel[1], kernel[3])
        (self.stride, self.dilation, self.padding) = (stride, dilation, padding)
        p = Reference.convolutionLength(h, kernel: r, stride: stride, dilation: dilation, padding: padding)
        q = Reference.convolutionLength(w, kernel: s, stride: stride, dilation: dilation, padding: padding)
    }

    var input: [Int] { [n, h, w, c] }
    var kernel: [Int] { [r, s, c, k] }
    var output: [Int] { [n, p, q, k] }

    /// Calls `body` with the offsets of x[n, h, w, 0], w[r, s, 0, 0] and y[n, p, q, 0] for every tap inside the image.
    func forEachTap(_ body: (_ x: Int, _ w: Int, _ y: Int) -> Void) {
        for image in 0..<n {
            for outRow in 0..<p {
                for outColumn in 0..<q {
                    for kernelRow in 0..<r {
                        let row = outRow * stride + kernelRow * dilation - padding
                        if row < 0 || row >= h { continue }
                        for kernelColumn in 0..<s {
                            let column = outColumn * stride + kernelColumn * dilation - padding
                            if column < 0 || column >= w { continue }
                            body(
                                ((image * h + row) * w + column) * c,
                                (kernelRow * s + kernelColumn) * c * k,
                                ((image * p + outRow) * q + outColumn) * k)
                        }
                    }
                }
            }
        }
    }
}

extension Reference {
    /// Output extent of a convolution along one axis.
    ///
    ///     floor((length + 2·padding − dilation·(kernel − 1) − 1) / stride) + 1
    ///
    /// - Precondition: the dilated kernel fits into the padded input.
    public static func convolutionLength(
        _ length: Int, kernel: Int, stride: Int, dilation: Int, padding: Int
    ) -> Int {
        let room = length + 2 * padding - dilation * (kernel - 1) - 1
        precondition(room >= 0, "a kernel of \(kernel) with dilation \(dilation) exceeds \(length) + 2·\(padding)")
        return room / stride + 1
    }

    /// Convolves an image batch with zero padding.
    ///
    ///     y[n,p,q,k] = b[k] + Σ_{r,s,c} x[n, p·stride + r·dilation − padding, q·stride + s·dilation − padding, c] ·
    ///     w[r,s,c,k]
    ///
    /// - Parameter x: input, shape [N, H, W, C].
    /// - Parameter w: weights, shape [R, S, C, K].
    /// - Parameter bias: shape [K], or nil for none.
    /// - Returns: y, shape [N, P, Q, K].
    public static func convolution(
        x: Tensor, w: Tensor, bias: Tensor? = nil, stride: Int = 1, dilation: Int = 1, padding: Int = 0
    ) -> Tensor {
        let geometry = ConvolutionGeometry(
            input: x.shape, kernel: w.shape, stride: stride, dilation: dilation, padding: padding)
        var y = Tensor.zeros(shape: geometry.output)
        if let bias {
            precondition(bias.shape == [geometry.k], "expected a bias of shape [\(geometry.k)], found \(bias.shape)")
            for index in 0..<y.count { y.values[index] = bias.values[index % geometry.k] }
        }
        accumulate(x, w, into: &y) { x, w, y in
            geometry.forEachTap { xAt, wAt, yAt in
                for c in 0..<geometry.c {
                    for k in 0..<geometry.k { y[yAt + k] += x[xAt + c] * w[wAt + c * geometry.k + k] }
                }
            }
        }
        return y
    }

    /// The gradient of a convolution with respect to its input.
    ///
    /// - Parameter dy: gradient of the output, shape [N, P, Q, K].
    /// - Parameter inputShape: shape of x, [N, H, W, C]; a stride makes several inputs share one output shape.
    /// - Returns: dx, shape `inputShape`.
    public static func convolutionInputGradient(
        dy: Tensor, w: Tensor, inputShape: [Int], stride: Int = 1, dilation: Int = 1, padding: Int = 0
    ) -> Tensor {
        let geometry = ConvolutionGeometry(
            input: inputShape, kernel: w.shape, stride: stride, dilation: dilation, padding: padding)
        precondition(dy.shape == geometry.output, "expected dy of shape \(geometry.output), found \(dy.shape)")
        var dx = Tensor.zeros(shape: geometry.input)
        accumulate(dy, w, into: &dx) { dy, w, dx in
            geometry.forEachTap { xAt, wAt, yAt in
                for c in 0..<geometry.c {
                    for k in 0..<geometry.k { dx[xAt + c] += dy[yAt + k] * w[wAt + c * geometry.k + k] }
                }
            }
        }
        return dx
    }

    /// The gradient of a convolution with respect to its weights.
    ///
    /// - Parameter kernel: extents (R, S) of the kernel.
    /// - Returns: dw, shape [R, S, C, K].
    public static func convolutionWeightGradient(
        x: Tensor, dy: Tensor, kernel: (Int, Int), stride: Int = 1, dilation: Int = 1, padding: Int = 0
    ) -> Tensor {
        let geometry = ConvolutionGeometry(
            input: x.shape, kernel: [kernel.0, kernel.1, extents(x).c, extents(dy).c], stride: stride,
            dilation: dilation, padding: padding)
        precondition(dy.shape == geometry.output, "expected dy of shape \(geometry.output), found \(dy.shape)")
        var dw = Tensor.zeros(shape: geometry.kernel)
        accumulate(x, dy, into: &dw) { x, dy, dw in
            geometry.forEachTap { xAt, wAt, yAt in
                for c in 0..<geometry.c {
                    for k in 0..<geometry.k { dw[wAt + c * geometry.k + k] += x[xAt + c] * dy[yAt + k] }
                }
            }
        }
        return dw
    }

    /// Gives the memory of two factors and of their sums to `body`: without the arrays' checks of every access, most of
    /// the time.
    private static func accumulate(
        _ left: Tensor, _ right: Tensor, into sums: inout Tensor,
        _ body: (UnsafeBufferPointer<Double>, UnsafeBufferPointer<Double>, UnsafeMutableBufferPointer<Double>) -> Void
    ) {
        left.values.withUnsafeBufferPointer { left in
            right.values.withUnsafeBufferPointer { right in
                sums.values.withUnsafeMutableBufferPointer { body(left, right, $0) }
            }
        }
    }

    /// The gradient of a bias: dy summed over the batch and both spatial axes.
    ///
    /// - Returns: db, shape [K].
    public static func biasGradient(dy: Tensor) -> Tensor {
        let channels = extents(dy).c
        var db = Tensor.zeros(shape: [channels])
        for index in 0..<dy.count { db.values[index % channels] += dy.values[index] }
        return db
    }

    /// Applies a linear layer, the 1×1 convolution of a 1×1 image.
    ///
    ///     y[n,k] = b[k] + Σ_c x[n,c] · w[c,k]
    ///
    /// - Parameter x: shape [N, C].
    /// - Parameter w: shape [C, K].
    /// - Returns: y, shape [N, K].
    public static func linear(x: Tensor, w: Tensor, bias: Tensor? = nil) -> Tensor {
        let (n, c, k) = (x.shape[0], x.shape[1], w.shape[1])
        return convolution(x: x.reshaped([n, 1, 1, c]), w: w.reshaped([1, 1, c, k]), bias: bias).reshaped([n, k])
    }

    /// The gradients of a linear layer.
    ///
    /// - Returns: dx [N, C], dw [C, K] and db [K].
    public static func linearGradients(x: Tensor, w: Tensor, dy: Tensor) -> (dx: Tensor, dw: Tensor, db: Tensor) {
        let (n, c, k) = (x.shape[0], x.shape[1], w.shape[1])
        let dy = dy.reshaped([n, 1, 1, k])
        let dx = convolutionInputGradient(dy: dy, w: w.reshaped([1, 1, c, k]), inputShape: [n, 1, 1, c])
        let dw = convolutionWeightGradient(x: x.reshaped([n, 1, 1, c]), dy: dy, kernel: (1, 1))
        return (dx.reshaped([n, c]), dw.reshaped([c, k]), biasGradient(dy: dy))
    }
}
