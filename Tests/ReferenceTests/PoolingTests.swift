import Reference
import Testing

@Suite struct PoolingTests {
    /// Lengths of the method (224 and 321 inputs after the stem), and edges where the last window must be dropped.
    @Test(arguments: [
        (112, 3, 2, 1, true, 57), (112, 3, 2, 1, false, 56), (161, 3, 2, 1, true, 81), (161, 3, 2, 1, false, 81),
        (1, 3, 2, 1, true, 1), (2, 3, 2, 1, true, 2), (2, 3, 2, 1, false, 1), (3, 3, 2, 1, true, 2),
        (4, 3, 2, 1, true, 3), (4, 2, 2, 1, true, 3), (3, 2, 2, 1, true, 2), (3, 2, 3, 1, true, 2),
        (2, 2, 3, 1, true, 1), (4, 1, 3, 0, true, 2), (2, 1, 3, 0, true, 1), (5, 2, 2, 0, true, 3),
    ])
    func lengths(_ length: Int, _ window: Int, _ stride: Int, _ padding: Int, _ ceil: Bool, _ expected: Int) {
        let found = Reference.poolLength(length, window: window, stride: stride, padding: padding, ceilMode: ceil)
        #expect(found == expected)
    }

    @Test func knownValuesAndFirstMaximumWins() {
        let x = Tensor(shape: [1, 4, 4, 1], values: [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -5, -5, -1, -1, -5, -3])
        let (y, argmax) = Reference.maxPool(x: x)
        #expect(y.shape == [1, 3, 3, 1])
        #expect(y.values == [-1, -1, -1, -1, -1, -1, -1, -1, -3])
        #expect(argmax == [0, 1, 3, 4, 5, 7, 12, 13, 15])
    }

    @Test func nanReachesTheOutput() {
        let x = Tensor(shape: [1, 2, 1, 1], values: [.nan, 3])
        #expect(Reference.maxPool(x: x).y.values[0].isNaN)
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 2, 3, 3], [1, 5, 4, 19], [1, 6, 7, 2], [2, 8, 5, 3]], [true, false])
    func maxPoolGradient(_ shape: [Int], _ ceilMode: Bool) {
        let x = Tensor.random(shape: shape, seed: 51)
        let (y, argmax) = Reference.maxPool(x: x, ceilMode: ceilMode)
        let dy = Tensor.random(shape: y.shape, seed: 52)
        let dx = Reference.maxPoolGradient(dy: dy, argmax: argmax, inputShape: shape)
        let error = FiniteDifference.error(of: dx, at: x) { Reference.maxPool(x: $0, ceilMode: ceilMode).y.dot(dy) }
        #expect(error < gradientTolerance)
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 3, 5, 3], [3, 2, 1, 19]]) func globalAveragePool(_ shape: [Int]) {
        let x = Tensor.random(shape: shape, seed: 53)
        let y = Reference.globalAveragePool(x)
        #expect(y.shape == [shape[0], 1, 1, shape[3]])
        var sum = 0.0
        for row in 0..<shape[1] {
            for column in 0..<shape[2] { sum += x[shape[0] - 1, row, column, shape[3] - 1] }
        }
        #expect(abs(y[shape[0] - 1, 0, 0, shape[3] - 1] - sum / Double(shape[1] * shape[2])) < 1e-14)
        let dy = Tensor.random(shape: y.shape, seed: 54)
        let dx = Reference.globalAveragePoolGradient(dy: dy, inputShape: shape)
        let error = FiniteDifference.error(of: dx, at: x) { Reference.globalAveragePool($0).dot(dy) }
        #expect(error < gradientTolerance)
    }

    @Test func nearestResizeKnownIndices() {
        #expect((0..<7).map { Reference.nearestSource($0, input: 3, output: 7) } == [0, 0, 0, 1, 1, 2, 2])
        #expect((0..<3).map { Reference.nearestSource($0, input: 7, output: 3) } == [0, 2, 4])
        let x = Tensor(shape: [1, 2, 2, 1], values: [1, 2, 3, 4])
        #expect(Reference.nearestResize(x, height: 3, width: 1).values == [1, 1, 3])
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 3, 5, 3], [1, 4, 2, 19]], [[1, 1], [7, 4], [2, 9]])
    func nearestResizeGradient(_ shape: [Int], _ size: [Int]) {
        let x = Tensor.random(shape: shape, seed: 55)
        let dy = Tensor.random(shape: [shape[0], size[0], size[1], shape[3]], seed: 56)
        let dx = Reference.nearestResizeGradient(dy: dy, inputShape: shape)
        let error = FiniteDifference.error(of: dx, at: x) {
            Reference.nearestResize($0, height: size[0], width: size[1]).dot(dy)
        }
        #expect(error < gradientTolerance)
    }
}
