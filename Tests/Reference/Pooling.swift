extension Reference {
    /// Output extent of a pooling window along one axis, by PyTorch's rule.
    ///
    /// In ceil mode a last window that would start beyond the input and its leading padding is dropped.
    public static func poolLength(_ length: Int, window: Int, stride: Int, padding: Int, ceilMode: Bool) -> Int {
        let room = length + 2 * padding - window
        precondition(room >= 0, "a window of \(window) exceeds \(length) + 2·\(padding)")
        guard ceilMode else { return room / stride + 1 }
        let rounded = (room + stride - 1) / stride + 1
        return (rounded - 1) * stride >= length + padding ? rounded - 1 : rounded
    }

    /// The largest value under each window; padding never wins, the first of equal maxima in row-major order does.
    ///
    /// - Parameter x: input, shape [N, H, W, C].
    /// - Returns: y, shape [N, P, Q, C], and for each of its elements the position h·W + w of the winner. A NaN wins.
    public static func maxPool(
        x: Tensor, window: Int = 3, stride: Int = 2, padding: Int = 1, ceilMode: Bool = true
    ) -> (y: Tensor, argmax: [Int]) {
        let (n, h, w, c) = extents(x)
        let p = poolLength(h, window: window, stride: stride, padding: padding, ceilMode: ceilMode)
        let q = poolLength(w, window: window, stride: stride, padding: padding, ceilMode: ceilMode)
        var y = Tensor.zeros(shape: [n, p, q, c])
        var argmax = Array(repeating: -1, count: y.count)
        for image in 0..<n {
            for outRow in 0..<p {
                for outColumn in 0..<q {
                    for row in (outRow * stride - padding)..<(outRow * stride - padding + window) {
                        for column in (outColumn * stride - padding)..<(outColumn * stride - padding + window) {
                            guard row >= 0, row < h, column >= 0, column < w else { continue }
                            for channel in 0..<c {
                                let to = ((image * p + outRow) * q + outColumn) * c + channel
                                let value = x.values[((image * h + row) * w + column) * c + channel]
                                if argmax[to] < 0 || value > y.values[to] || value.isNaN {
                                    y.values[to] = value
                                    argmax[to] = row * w + column
                                }
                            }
                        }
                    }
                }
            }
        }
        return (y, argmax)
    }

    /// The gradient of max pooling: each dy is added to its window's winner.
    ///
    /// - Parameter argmax: positions h·W + w from `maxPool`, one per element of dy.
    public static func maxPoolGradient(dy: Tensor, argmax: [Int], inputShape: [Int]) -> Tensor {
        let (_, p, q, c) = extents(dy)
        precondition(argmax.count == dy.count, "expected \(dy.count) positions, found \(argmax.count)")
        var dx = Tensor.zeros(shape: inputShape)
        let plane = inputShape[1] * inputShape[2]
        for index in 0..<dy.count {
            let image = index / (p * q * c)
            dx.values[(image * plane + argmax[index]) * c + index % c] += dy.values[index]
        }
        return dx
    }

    /// Averages each channel over both spatial axes.
    ///
    /// - Parameter x: shape [N, H, W, C].
    /// - Returns: y, shape [N, 1, 1, C].
    public static func globalAveragePool(_ x: Tensor) -> Tensor {
        let (n, h, w, c) = extents(x)
        var y = Tensor.zeros(shape: [n, 1, 1, c])
        for index in 0..<x.count {
            y.values[index / (h * w * c) * c + index % c] += x.values[index] / Double(h * w)
        }
        return y
    }

    /// The gradient of global average pooling.
    ///
    /// - Parameter dy: shape [N, 1, 1, C].
    public static func globalAveragePoolGradient(dy: Tensor, inputShape: [Int]) -> Tensor {
        var dx = Tensor.zeros(shape: inputShape)
        let (_, h, w, c) = extents(dx)
        for index in 0..<dx.count {
            dx.values[index] = dy.values[index / (h * w * c) * c + index % c] / Double(h * w)
        }
        return dx
    }
}
