import Reference
import Testing

@Suite struct BatchNormTests {
    @Test func knownValues() {
        let x = Tensor(shape: [1, 2, 2, 1], values: [1, 2, 3, 6])
        let (y, mean, inverse, unbiased) = Reference.batchNormTraining(
            x: x, gamma: Tensor(shape: [1], values: [2]), beta: Tensor(shape: [1], values: [1]), epsilon: 0.5)
        #expect(mean.values == [3])
        #expect(unbiased.values == [14.0 / 3])
        #expect(inverse.values == [0.5])
        #expect(y.values == [-1, 0, 1, 4])
    }

    @Test func inferenceUsesGivenStatistics() {
        let y = Reference.batchNormInference(
            x: Tensor(shape: [1, 1, 1, 2], values: [5, 7]), gamma: Tensor(shape: [2], values: [2, 3]),
            beta: Tensor(shape: [2], values: [1, -1]), mean: Tensor(shape: [2], values: [1, 4]),
            variance: Tensor(shape: [2], values: [3.75, 8.75]), epsilon: 0.25)
        #expect(y.values == [5, 2])
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 1, 1, 3], [1, 3, 5, 1], [2, 3, 2, 3], [1, 3, 3, 19]])
    func gradients(_ shape: [Int]) {
        let channels = shape[3]
        let x = Tensor.random(shape: shape, seed: 31)
        let gamma = Tensor.random(shape: [channels], seed: 32)
        let beta = Tensor.random(shape: [channels], seed: 33)
        let dy = Tensor.random(shape: shape, seed: 34)
        let (_, mean, inverse, _) = Reference.batchNormTraining(x: x, gamma: gamma, beta: beta)
        let (dx, dgamma, dbeta) = Reference.batchNormBackward(
            x: x, dy: dy, gamma: gamma, mean: mean, inverseDeviation: inverse)
        let atX = FiniteDifference.error(of: dx, at: x) {
            Reference.batchNormTraining(x: $0, gamma: gamma, beta: beta).y.dot(dy)
        }
        let atGamma = FiniteDifference.error(of: dgamma, at: gamma) {
            Reference.batchNormTraining(x: x, gamma: $0, beta: beta).y.dot(dy)
        }
        let atBeta = FiniteDifference.error(of: dbeta, at: beta) {
            Reference.batchNormTraining(x: x, gamma: gamma, beta: $0).y.dot(dy)
        }
        #expect(atX < gradientTolerance)
        #expect(atGamma < gradientTolerance)
        #expect(atBeta < gradientTolerance)
    }

    @Test func ignoringTheStatisticsGradientIsReported() {
        let x = Tensor.random(shape: [1, 3, 3, 2], seed: 35)
        let gamma = Tensor.filled(shape: [2], with: 1)
        let beta = Tensor.zeros(shape: [2])
        let dy = Tensor.random(shape: x.shape, seed: 36)
        let inverse = Reference.batchNormTraining(x: x, gamma: gamma, beta: beta).inverseDeviation
        var wrong = dy
        for index in 0..<dy.count { wrong.values[index] *= inverse.values[index % 2] }
        let error = FiniteDifference.error(of: wrong, at: x) {
            Reference.batchNormTraining(x: $0, gamma: gamma, beta: beta).y.dot(dy)
        }
        #expect(error > 0.01)
    }

    @Test(arguments: 1...5) func runningStatisticsEqualRepeatedUpdates(_ count: Int) {
        let running = Tensor.random(shape: [3], seed: 37)
        let statistic = Tensor.random(shape: [3], seed: 38)
        var expected = running
        for _ in 0..<count { expected = expected.zip(statistic) { 0.9 * $0 + 0.1 * $1 } }
        let actual = Reference.runningStatistics(running: running, statistic: statistic, momentum: 0.1, count: count)
        #expect(Comparison.maximumError(actual: actual, expected: expected) < 1e-14)
        #expect(actual != running)
    }

    @Test func noTaskLeavesRunningStatisticsAlone() {
        let running = Tensor.random(shape: [3], seed: 39)
        #expect(Reference.runningStatistics(running: running, statistic: .zeros(shape: [3]), count: 0) == running)
    }
}
