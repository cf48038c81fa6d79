import Foundation
import Reference
import Testing

/// Labels in 0..<classes, every seventh ignored.
private func someLabels(count: Int, classes: Int, ignore: Int32) -> [Int32] {
    (0..<count).map { $0 % 7 == 3 ? ignore : Int32($0 * 5 % classes) }
}

@Suite struct LossTests {
    @Test func crossEntropyKnownValues() {
        let logits = Tensor(shape: [1, 1, 3, 2], values: [0, log(3), 0, 0, 9, 9])
        let plain = Reference.softmaxCrossEntropy(
            logits: logits, labels: [0, 1, 255], labelShape: [1, 1, 3], ignore: 255)
        #expect(abs(plain.loss - (log(4) + log(2)) / 2) < 1e-15)
        let weighted = Reference.softmaxCrossEntropy(
            logits: logits, labels: [0, 1, 255], labelShape: [1, 1, 3], ignore: 255,
            classWeights: Tensor(shape: [2], values: [3, 1]))
        #expect(abs(weighted.loss - (3 * log(4) + log(2)) / 4) < 1e-15)
        #expect(Array(weighted.gradient.values[4...]) == [0, 0])
    }

    @Test func crossEntropyStaysFiniteForLargeLogits() {
        let logits = Tensor(shape: [1, 1, 1, 2], values: [1e4, -1e4])
        let found = Reference.softmaxCrossEntropy(logits: logits, labels: [1], labelShape: [1, 1, 1], ignore: -1)
        #expect(found.loss == 2e4)
        #expect(found.gradient.values == [1, -1])
    }

    @Test(
        arguments: [[1, 1, 1, 2], [2, 3, 2, 3], [1, 3, 5, 19]], [[1, 1], [7, 5], [2, 9]])
    func crossEntropyGradient(_ shape: [Int], _ size: [Int]) {
        let logits = Tensor.random(shape: shape, seed: 61, scale: 3)
        let labelShape = [shape[0]] + size
        let weights = Tensor.random(shape: [shape[3]], seed: 62).map { abs($0) + 0.1 }
        for (ignore, classWeights) in [(Int32(255), nil), (-1, weights)] {
            let labels = someLabels(count: labelShape.reduce(1, *), classes: shape[3], ignore: ignore)
            func loss(_ logits: Tensor) -> (loss: Double, gradient: Tensor) {
                Reference.softmaxCrossEntropy(
                    logits: logits, labels: labels, labelShape: labelShape, ignore: ignore,
                    classWeights: classWeights)
            }
            #expect(loss(logits).loss > 0)
            #expect(FiniteDifference.error(of: loss(logits).gradient, at: logits) { loss($0).loss } < gradientTolerance)
        }
    }

    @Test func cosineKnownValues() {
        let labels = Tensor(shape: [1, 1, 2, 3], values: [0, 127.5, 127.5, 255, 255, 255])
        let along = Tensor(shape: [1, 1, 2, 3], values: [-3, 0, 0, 1, 1, 1])
        #expect(Reference.cosineLoss(prediction: along, labels: labels, mode: .exact).loss == 0)
        let colours = Tensor(shape: [1, 1, 2, 3], values: [0, 3, 4, 9, 255, 9])
        let reversed = Tensor(shape: [1, 1, 2, 3], values: [8, 6, 0, 1, 1, 1])
        let published = Reference.cosineLoss(prediction: reversed, labels: colours, mode: .published)
        #expect(abs(published.loss) < 1e-15)
        let straight = Tensor(shape: [1, 1, 2, 3], values: [0, 3, 4, 1, 1, 1])
        let crossed = Reference.cosineLoss(prediction: straight, labels: colours, mode: .published)
        #expect(abs(crossed.loss - (1 - 9.0 / 25)) < 1e-15)
    }

    @Test(
        arguments: [[1, 1, 1, 3], [2, 3, 5, 3], [1, 4, 2, 3]], [NormalConvention.exact, .published])
    func cosineGradient(_ shape: [Int], _ mode: NormalConvention) {
        let prediction = Tensor.random(shape: shape, seed: 63)
        var labels = Tensor.random(shape: [shape[0], 7, 4, 3], seed: 64).map { (127 + 127 * $0).rounded() }
        for pixel in stride(from: 5, to: labels.count / 3, by: 5) { labels.values[pixel * 3 + pixel % 3] = 255 }
        func loss(_ prediction: Tensor) -> (loss: Double, gradient: Tensor) {
            Reference.cosineLoss(prediction: prediction, labels: labels, mode: mode)
        }
        let gradient = loss(prediction).gradient
        #expect(gradient.maximumMagnitude > 0.01)
        #expect(FiniteDifference.error(of: gradient, at: prediction) { loss($0).loss } < gradientTolerance)
    }

    @Test func cosineOfAVanishingPrediction() {
        let labels = Tensor(shape: [1, 1, 1, 3], values: [254, 127.5, 127.5])
        let tiny = Tensor(shape: [1, 1, 1, 3], values: [2e-13, 1e-13, 0])
        let found = Reference.cosineLoss(prediction: tiny, labels: labels, mode: .exact)
        #expect(abs(found.loss - 0.8) < 1e-12)
        let error = FiniteDifference.error(of: found.gradient, at: tiny, step: 1e-14) {
            Reference.cosineLoss(prediction: $0, labels: labels, mode: .exact).loss
        }
        #expect(error < gradientTolerance)
    }

    @Test func maskedL1KnownValues() {
        let prediction = Tensor(shape: [1, 1, 4, 1], values: [1, 2, 3, 4])
        let labels = Tensor(shape: [1, 1, 4], values: [0, 2, 4.5, 255])
        let depth = Reference.maskedL1(prediction: prediction, labels: labels, valid: .greaterThan(3e-5))
        #expect(depth.loss == 252.5 / 3)
        #expect(depth.gradient.values == [0, 0, -1.0 / 3, -1.0 / 3])
        let edges = Reference.maskedL1(prediction: prediction, labels: labels, valid: .notEqual(255))
        #expect(edges.loss == 2.5 / 3)
        #expect(edges.gradient.values == [1.0 / 3, 0, -1.0 / 3, 0])
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 3, 5, 1], [1, 4, 2, 1]], [[1, 1], [7, 4]])
    func maskedL1Gradient(_ shape: [Int], _ size: [Int]) {
        let prediction = Tensor.random(shape: shape, seed: 65)
        let random = Tensor.random(shape: [shape[0]] + size, seed: 66)
        let marked = Tensor(
            shape: random.shape, values: random.values.enumerated().map { $0 % 4 == 1 ? 255 : $1 })
        for (labels, rule) in [(random, ValidRule.greaterThan(-0.5)), (marked, .notEqual(255))] {
            func loss(_ prediction: Tensor) -> (loss: Double, gradient: Tensor) {
                Reference.maskedL1(prediction: prediction, labels: labels, valid: rule)
            }
            let gradient = loss(prediction).gradient
            #expect(FiniteDifference.error(of: gradient, at: prediction) { loss($0).loss } < gradientTolerance)
        }
    }

    @Test func withoutAValidPixelEverythingIsZero() {
        let scores = Tensor.random(shape: [1, 2, 2, 3], seed: 67)
        let zero = Tensor.zeros(shape: scores.shape)
        let entropy = Reference.softmaxCrossEntropy(
            logits: scores, labels: [255], labelShape: [1, 1, 1], ignore: 255)
        #expect(entropy.loss == 0 && entropy.gradient == zero)
        let weightless = Reference.softmaxCrossEntropy(
            logits: scores, labels: [0], labelShape: [1, 1, 1], ignore: 255, classWeights: .zeros(shape: [3]))
        #expect(weightless.loss == 0 && weightless.gradient == zero)
        let white = Tensor.filled(shape: [1, 2, 2, 3], with: 255)
        let cosine = Reference.cosineLoss(prediction: scores, labels: white, mode: .exact)
        #expect(cosine.loss == 0 && cosine.gradient == zero)
        let prediction = Tensor.random(shape: [1, 2, 2, 1], seed: 68)
        let depth = Reference.maskedL1(
            prediction: prediction, labels: .zeros(shape: [1, 2, 2]), valid: .greaterThan(3e-5))
        #expect(depth.loss == 0 && depth.gradient == .zeros(shape: prediction.shape))
    }
}
