import Foundation
import Reference
import Testing

@Suite struct OptimizerTests {
    @Test func sgdFollowsPyTorchsMomentum() {
        var p = Tensor(shape: [1], values: [2])
        var buffer: Tensor?
        // g = 1 + 0.5·2 = 2 is the first buffer; then g = 1 + 0.5·1.8 = 1.9 and b = 0.5·2 + 1.9.
        let gradient = Tensor(shape: [1], values: [1])
        for expected in [(1.8, 2.0), (1.51, 2.9)] {
            let next = Reference.sgd(
                parameter: p, gradient: gradient, buffer: buffer, learningRate: 0.1, momentum: 0.5, weightDecay: 0.5)
            (p, buffer) = (next.parameter, next.buffer)
            #expect(abs(p[0] - expected.0) < 1e-15 && abs(next.buffer[0] - expected.1) < 1e-15)
        }
    }

    @Test func adamsFirstStepIsTheRateInTheGradientsDirection() {
        let p = Tensor(shape: [3], values: [1, -1, 0.5])
        let zero = Tensor.zeros(shape: [3])
        let next = Reference.adam(
            parameter: p, gradient: Tensor(shape: [3], values: [1e-3, -20, 0]), first: zero, second: zero, step: 1,
            learningRate: 0.01, epsilon: 0)
        #expect(abs(next.parameter[0] - 0.99) < 1e-15)
        #expect(abs(next.parameter[1] + 0.99) < 1e-15)
        #expect(next.parameter[2].isNaN)
    }

    /// Adam as first published, with explicit bias-corrected moments, which equals PyTorch's arrangement.
    @Test(arguments: [(0.5, 0.999, 1e-4), (0.9, 0.999, 5e-4), (0.9, 0.99, 0)])
    func adamMatchesBiasCorrectedMoments(_ beta1: Double, _ beta2: Double, _ decay: Double) {
        var p = Tensor.random(shape: [4], seed: 81)
        var (m, v) = (Tensor.zeros(shape: [4]), Tensor.zeros(shape: [4]))
        var (expected, mean, square) = (p.values, m.values, v.values)
        for step in 1...10 {
            let gradient = Tensor.random(shape: [4], seed: 82 + UInt64(step))
            (p, m, v) = Reference.adam(
                parameter: p, gradient: gradient, first: m, second: v, step: step, learningRate: 1e-2,
                betas: (beta1, beta2), weightDecay: decay)
            for index in 0..<4 {
                let g = gradient.values[index] + decay * expected[index]
                mean[index] = beta1 * mean[index] + (1 - beta1) * g
                square[index] = beta2 * square[index] + (1 - beta2) * g * g
                let corrected = mean[index] / (1 - pow(beta1, Double(step)))
                let deviation = (square[index] / (1 - pow(beta2, Double(step)))).squareRoot()
                expected[index] -= 1e-2 * corrected / (deviation + 1e-8)
            }
        }
        #expect(Comparison.maximumError(actual: p, expected: Tensor(shape: [4], values: expected)) < 1e-13)
    }
}
