extension Reference {
    /// The source index of nearest-neighbour resizing, floor(index · input / output) in integers.
    public static func nearestSource(_ index: Int, input: Int, output: Int) -> Int {
        index * input / output
    }

    /// Resizes by nearest neighbour.
    ///
    /// - Parameter x: shape [N, H, W, C].
    /// - Returns: y, shape [N, height, width, C].
    public static func nearestResize(_ x: Tensor, height: Int, width: Int) -> Tensor {
        let (n, h, w, c) = extents(x)
        var y = Tensor.zeros(shape: [n, height, width, c])
        forEachResized(n: n, from: (h, w), to: (height, width)) { source, target in
            for channel in 0..<c { y.values[target * c + channel] = x.values[source * c + channel] }
        }
        return y
    }

    /// The gradient of `nearestResize`: each dy is added to its source.
    public static func nearestResizeGradient(dy: Tensor, inputShape: [Int]) -> Tensor {
        let (n, height, width, c) = extents(dy)
        var dx = Tensor.zeros(shape: inputShape)
        forEachResized(n: n, from: (inputShape[1], inputShape[2]), to: (height, width)) { source, target in
            for channel in 0..<c { dx.values[source * c + channel] += dy.values[target * c + channel] }
        }
        return dx
    }

    /// Calls `body` with the flat source and target pixel of every target pixel, in order.
    static func forEachResized(
        n: Int, from input: (Int, Int), to output: (Int, Int), _ body: (_ source: Int, _ target: Int) -> Void
    ) {
        for image in 0..<n {
            for row in 0..<output.0 {
                let sourceRow = nearestSource(row, input: input.0, output: output.0)
                for column in 0..<output.1 {
                    let sourceColumn = nearestSource(column, input: input.1, output: output.1)
                    body(
                        (image * input.0 + sourceRow) * input.1 + sourceColumn,
                        (image * output.0 + row) * output.1 + column)
                }
            }
        }
    }
}
