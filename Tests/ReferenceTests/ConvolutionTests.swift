import Reference
import Testing

/// One convolution to be checked.
struct ConvolutionCase: CustomTestStringConvertible, Sendable {
    let input: [Int], kernel: [Int]
    let stride: Int, dilation: Int, padding: Int

    init(_ input: [Int], _ kernel: [Int], stride: Int = 1, dilation: Int = 1, padding: Int = 0) {
        (self.input, self.kernel) = (input, kernel)
        (self.stride, self.dilation, self.padding) = (stride, dilation, padding)
    }

    var testDescription: String { "\(input) * \(kernel) s\(stride) d\(dilation) p\(padding)" }

    var x: Tensor { .random(shape: input, seed: 11) }
    var w: Tensor { .random(shape: kernel, seed: 12) }
    var bias: Tensor { .random(shape: [kernel[3]], seed: 13) }

    func forward(x: Tensor, w: Tensor, bias: Tensor?) -> Tensor {
        Reference.convolution(x: x, w: w, bias: bias, stride: stride, dilation: dilation, padding: padding)
    }

    static let all = [
        ConvolutionCase([1, 1, 1, 1], [1, 1, 1, 1]),
        ConvolutionCase([1, 1, 1, 3], [3, 3, 3, 2], padding: 1),
        ConvolutionCase([2, 5, 3, 3], [3, 3, 3, 4], padding: 1),
        ConvolutionCase([1, 5, 4, 19], [1, 1, 19, 3]),
        ConvolutionCase([1, 3, 3, 2], [3, 3, 2, 19], padding: 1),
        ConvolutionCase([1, 6, 7, 3], [3, 3, 3, 2], stride: 2, padding: 1),
        ConvolutionCase([1, 7, 5, 2], [1, 1, 2, 3], stride: 2),
        ConvolutionCase([1, 9, 8, 3], [7, 7, 3, 2], stride: 2, padding: 3),
        ConvolutionCase([1, 7, 6, 2], [3, 3, 2, 2], dilation: 2, padding: 2),
        ConvolutionCase([1, 5, 7, 2], [3, 3, 2, 2], dilation: 4, padding: 4),
        ConvolutionCase([2, 4, 3, 2], [3, 3, 2, 2], dilation: 6, padding: 6),
        ConvolutionCase([1, 8, 7, 1], [3, 3, 1, 2], stride: 2, dilation: 2, padding: 2),
        ConvolutionCase([1, 6, 5, 2], [2, 3, 2, 2], stride: 3, padding: 1),
    ]
}

@Suite struct ConvolutionTests {
    @Test func knownValues() {
        let x = Tensor(shape: [1, 3, 3, 1], values: [1, 2, 3, 4, 5, 6, 7, 8, 9])
        let w = Tensor(shape: [3, 3, 1, 1], values: [1, 0, 0, 0, 10, 0, 0, 0, 100])
        let bias = Tensor(shape: [1], values: [1000])
        #expect(
            Reference.convolution(x: x, w: w, bias: bias, padding: 1).values
                == [1510, 1620, 1030, 1840, 1951, 1062, 1070, 1084, 1095])
        #expect(Reference.convolution(x: x, w: w, stride: 2, padding: 1).values == [510, 30, 70, 95])
        #expect(
            Reference.convolution(x: x, w: w, dilation: 2, padding: 2).values
                == [910, 20, 30, 40, 50, 60, 70, 80, 91])
    }

    @Test func lengths() {
        func length(_ n: Int, _ kernel: Int, _ stride: Int, _ dilation: Int, _ padding: Int) -> Int {
            Reference.convolutionLength(n, kernel: kernel, stride: stride, dilation: dilation, padding: padding)
        }
        #expect(length(224, 7, 2, 1, 3) == 112)
        #expect(length(321, 7, 2, 1, 3) == 161)
        #expect(length(57, 3, 2, 1, 1) == 29)
        #expect(length(29, 3, 1, 24, 24) == 29)
        #expect(length(1, 1, 2, 1, 0) == 1)
    }

    /// The definition, one output at a time, over an image padded beforehand.
    @Test(arguments: ConvolutionCase.all) func forwardMatchesTheDefinition(_ test: ConvolutionCase) {
        let (x, w, bias) = (test.x, test.w, test.bias)
        let y = test.forward(x: x, w: w, bias: bias)
        let (n, h, width, c) = (test.input[0], test.input[1], test.input[2], test.input[3])
        var padded = Tensor.zeros(shape: [n, h + 2 * test.padding, width + 2 * test.padding, c])
        for image in 0..<n {
            for row in 0..<h {
                for column in 0..<width {
                    for channel in 0..<c {
                        padded[image, row + test.padding, column + test.padding, channel] =
                            x[image, row, column, channel]
                    }
                }
            }
        }
        var expected = y
        for index in 0..<y.count {
            let k = index % y.shape[3]
            let q = index / y.shape[3] % y.shape[2] * test.stride
            let p = index / (y.shape[3] * y.shape[2]) % y.shape[1] * test.stride
            let image = index / (y.shape[3] * y.shape[2] * y.shape[1])
            var sum = bias[k]
            for r in 0..<test.kernel[0] {
                for s in 0..<test.kernel[1] {
                    for channel in 0..<c {
                        sum +=
                            padded[image, p + r * test.dilation, q + s * test.dilation, channel]
                            * w[r, s, channel, k]
                    }
                }
            }
            expected.values[index] = sum
        }
        #expect(Comparison.maximumError(actual: y, expected: expected) < 1e-14)
    }

    @Test(arguments: ConvolutionCase.all) func gradients(_ test: ConvolutionCase) {
        let (x, w, bias) = (test.x, test.w, test.bias)
        let dy = Tensor.random(shape: test.forward(x: x, w: w, bias: bias).shape, seed: 14)
        let dx = Reference.convolutionInputGradient(
            dy: dy, w: w, inputShape: x.shape, stride: test.stride, dilation: test.dilation, padding: test.padding)
        let dw = Reference.convolutionWeightGradient(
            x: x, dy: dy, kernel: (test.kernel[0], test.kernel[1]), stride: test.stride, dilation: test.dilation,
            padding: test.padding)
        let db = Reference.biasGradient(dy: dy)
        let atX = FiniteDifference.error(of: dx, at: x) { test.forward(x: $0, w: w, bias: bias).dot(dy) }
        let atW = FiniteDifference.error(of: dw, at: w) { test.forward(x: x, w: $0, bias: bias).dot(dy) }
        let atBias = FiniteDifference.error(of: db, at: bias) { test.forward(x: x, w: w, bias: $0).dot(dy) }
        #expect(atX < gradientTolerance)
        #expect(atW < gradientTolerance)
        #expect(atBias < gradientTolerance)
    }

    @Test(arguments: [(1, 1, 1), (3, 19, 5), (2, 3, 19)]) func linear(_ n: Int, _ c: Int, _ k: Int) {
        let x = Tensor.random(shape: [n, c], seed: 21)
        let w = Tensor.random(shape: [c, k], seed: 22)
        let bias = Tensor.random(shape: [k], seed: 23)
        let dy = Tensor.random(shape: [n, k], seed: 24)
        let y = Reference.linear(x: x, w: w, bias: bias)
        let last = (0..<c).reduce(bias[k - 1]) { $0 + x[n - 1, $1] * w[$1, k - 1] }
        #expect(abs(y[n - 1, k - 1] - last) < 1e-12)
        let (dx, dw, db) = Reference.linearGradients(x: x, w: w, dy: dy)
        let atX = FiniteDifference.error(of: dx, at: x) { Reference.linear(x: $0, w: w, bias: bias).dot(dy) }
        let atW = FiniteDifference.error(of: dw, at: w) { Reference.linear(x: x, w: $0, bias: bias).dot(dy) }
        let atBias = FiniteDifference.error(of: db, at: bias) { Reference.linear(x: x, w: w, bias: $0).dot(dy) }
        #expect(atX < gradientTolerance)
        #expect(atW < gradientTolerance)
        #expect(atBias < gradientTolerance)
    }
}
