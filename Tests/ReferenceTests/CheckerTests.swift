import Reference
import Testing

/// The largest error a gradient may show against central differences, relative to its largest element.
let gradientTolerance = 1e-6

/// The checkers themselves: what is wrong must be reported.
@Suite struct CheckerTests {
    @Test func rightGradientPasses() {
        let x = Tensor.random(shape: [7], seed: 1)
        #expect(FiniteDifference.error(of: x.map { 3 * $0 * $0 }, at: x) { $0.dot($0.zip($0, *)) } < gradientTolerance)
    }

    @Test func oneWrongElementIsReported() {
        let x = Tensor.random(shape: [7], seed: 1)
        var wrong = x.map { 3 * $0 * $0 }
        wrong.values[4] += 1e-4
        #expect(FiniteDifference.error(of: wrong, at: x) { $0.dot($0.zip($0, *)) } > 1e-5)
    }

    @Test func wrongConvolutionGradientIsReported() {
        let x = Tensor.random(shape: [1, 4, 4, 2], seed: 2)
        let w = Tensor.random(shape: [3, 3, 2, 3], seed: 3)
        let dy = Tensor.random(shape: [1, 4, 4, 3], seed: 4)
        // The kernel is not mirrored: the classic mistake.
        let wrong = Reference.convolution(
            x: dy, w: Tensor(shape: [3, 3, 3, 2], values: w.values), padding: 1)
        let error = FiniteDifference.error(of: wrong, at: x) {
            Reference.convolution(x: $0, w: w, padding: 1).dot(dy)
        }
        #expect(error > 0.1)
    }

    @Test func zeroSignFlippedAndNaNGradientsAreReported() {
        let x = Tensor.random(shape: [5], seed: 5)
        let square: (Tensor) -> Double = { $0.dot($0) }
        #expect(FiniteDifference.error(of: x.map { _ in 0 }, at: x, function: square) > 0.9)
        #expect(FiniteDifference.error(of: x.map { -2 * $0 }, at: x, function: square) > 0.9)
        #expect(FiniteDifference.error(of: x.map { _ in .nan }, at: x, function: square) == .infinity)
        #expect(FiniteDifference.error(of: x.reshaped([1, 5]), at: x, function: square) == .infinity)
    }

    @Test func comparisonFindsTheWorstElement() {
        let expected = Tensor(shape: [2, 3], values: [1, 2, 3, 4, -8, 0])
        var actual = expected.floats
        #expect(Comparison.maximumError(actual: actual, expected: expected) == 0)
        actual[5] = 0.5
        actual[0] = 1.25
        #expect(Comparison.maximumError(actual: actual, expected: expected) == 0.0625)
        #expect(Comparison.worst(actual: actual, expected: expected).indices == [1, 2])
    }

    @Test func comparisonNeverPassesWhatCannotBeCompared() {
        let expected = Tensor(shape: [2], values: [1, 2])
        #expect(Comparison.maximumError(actual: [1, .nan], expected: expected) == .infinity)
        #expect(Comparison.maximumError(actual: [1, .infinity], expected: expected) == .infinity)
        #expect(Comparison.maximumError(actual: [1], expected: expected) == .infinity)
        #expect(Comparison.maximumError(actual: [], expected: .zeros(shape: [0])) == .infinity)
        let broken = Tensor(shape: [2], values: [1, .nan])
        #expect(Comparison.maximumError(actual: [1, 2], expected: broken) == .infinity)
        #expect(Comparison.maximumError(actual: [0, 0.5], expected: .zeros(shape: [2])) == 0.5)
    }
}
