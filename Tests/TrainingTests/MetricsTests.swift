import Foundation
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTasks
@testable import AdaShareTraining

@Suite struct MetricsTests {
    private func value(
        _ name: String, _ convention: MetricConvention, _ results: [MetricConvention: [Metric]]
    ) -> Double {
        results[convention]?.first { $0.name == name }?.value ?? .nan
    }

    private func near(_ left: Double, _ right: Double, _ tolerance: Double = 1e-6) -> Bool {
        abs(left - right) <= tolerance
    }

    /// Scores that make `classes` the predicted ones.
    private func scores(_ predicted: [Int], classes: Int) -> [Float] {
        predicted.flatMap { best in (0..<classes).map { $0 == best ? 1 : 0 } }
    }

    // MARK: - Segmentation

    @Test func segmentationInBothConventions() {
        var metrics = SegmentationMetrics(classes: 4)
        // Labels 0 0 1 255 against 0 1 0 0: 1 of 3 right; class 1 is present without a hit.
        metrics.add(
            prediction: scores([0, 1, 0, 0], classes: 4), height: 2, width: 2, label: [0, 0, 1, 255], labelHeight: 2,
            labelWidth: 2)
        // One labelled pixel of class 2, right. Class 3 never occurs.
        metrics.add(
            prediction: scores([2, 3], classes: 4), height: 1, width: 2, label: [2, 255], labelHeight: 1, labelWidth: 2)
        let results = metrics.results()
        // IoU: class 0 1/(2+2-1) = 1/3, class 1 0, class 2 1.
        #expect(near(value("miou", .published, results), 100 * (1.0 / 3 + 1) / 2))
        #expect(near(value("miou", .exact, results), 100 * (1.0 / 3 + 0 + 1) / 3))
        #expect(near(value("pixel_accuracy", .published, results), 100 * (1.0 / 3 + 1) / 2))
        #expect(near(value("pixel_accuracy", .exact, results), 50))
    }

    @Test func negativeIgnoreLabelCountsAsWrongOnlyWhenPublished() {
        var metrics = SegmentationMetrics(classes: 2, ignoreLabel: -1)
        metrics.add(
            prediction: scores([0, 0, 1, 1], classes: 2), height: 2, width: 2, label: [0, -1, 1, 0], labelHeight: 2,
            labelWidth: 2)
        #expect(near(value("pixel_accuracy", .published, metrics.results()), 50))
        #expect(near(value("pixel_accuracy", .exact, metrics.results()), 200.0 / 3))
    }

    @Test func predictionsAreResizedByNearestNeighbour() {
        #expect(nearestIndices(from: 2, to: 5) == [0, 0, 0, 1, 1])
        #expect(nearestIndices(from: 5, to: 2) == [0, 2])
        #expect(nearestIndices(from: 29, to: 224).last == 28)
        var metrics = SegmentationMetrics(classes: 2)
        metrics.add(
            prediction: scores([0, 1], classes: 2), height: 1, width: 2, label: [0, 0, 0, 1, 1, 0, 0, 0, 1, 0],
            labelHeight: 2, labelWidth: 5)
        #expect(near(value("pixel_accuracy", .exact, metrics.results()), 90))
    }

    @Test func nothingMeasuredIsNaNAndNullInJSON() throws {
        let results = SegmentationMetrics(classes: 2).results()
        #expect(value("miou", .exact, results).isNaN)
        let metric = try #require(results[.exact]?.first)
        let data = try JSONEncoder().encode(metric)
        #expect(String(decoding: data, as: UTF8.self).contains("null"))
        #expect(try JSONDecoder().decode(Metric.self, from: data).value.isNaN)
    }

    @Test func noHitAtAllIsZero() {
        var metrics = SegmentationMetrics(classes: 2)
        metrics.add(
            prediction: scores([1], classes: 2), height: 1, width: 1, label: [0], labelHeight: 1, labelWidth: 1)
        #expect(value("miou", .published, metrics.results()) == 0)
    }

    // MARK: - Normals

    /// The colour of a normal.
    private func colour(_ x: Float, _ y: Float, _ z: Float) -> [Float] { [x, y, z].map { ($0 + 1) * 127.5 } }

    @Test func exactNormalsAreDecoded() {
        var metrics = NormalMetrics(order: .exact)
        // Labels of 0.6 avoid 255, which marks a pixel without a label.
        let labels: [Float] = colour(0.6, 0, -0.8) + colour(0, -0.6, -0.8) + [255, 127, 127] + colour(-0.6, -0.8, 0)
        // Right, 90° off (any length), ignored, opposite.
        metrics.add(
            prediction: [0.6, 0, -0.8, 7, 0, 0, 1, 1, 1, 0.6, 0.8, 0], height: 2, width: 2, label: labels,
            labelHeight: 2, labelWidth: 2)
        let results = metrics.results()
        #expect(near(value("angle_mean", .exact, results), 90, 1e-2))
        #expect(near(value("angle_median", .exact, results), 90, 1e-3))
        let rmse = (40_500.0 / 3).squareRoot()
        #expect(near(value("angle_rmse", .exact, results), rmse, 1e-2))
        for name in ["within_11.25", "within_22.5", "within_30"] {
            #expect(near(value(name, .exact, results), 100.0 / 3))
        }
        #expect(near(value("cosine", .exact, results), 0, 1e-4))
    }

    @Test func publishedNormalsAreRawColoursInReverse() {
        // The label's raw colour is (R, G, B) = (0, 30, 40): as B, G, R the direction (0.8, 0.6, 0).
        var metrics = NormalMetrics(order: .published)
        metrics.add(prediction: [8, 6, 0], height: 1, width: 1, label: [0, 30, 40], labelHeight: 1, labelWidth: 1)
        #expect(near(value("angle_mean", .published, metrics.results()), 0, 1e-3))
        #expect(value("within_11.25", .published, metrics.results()) == 100)
        // In the wrong order it is far off, and decoded the label points the other way.
        var wrong = NormalMetrics(order: .published)
        wrong.add(prediction: [0, 6, 8], height: 1, width: 1, label: [0, 30, 40], labelHeight: 1, labelWidth: 1)
        #expect(near(value("angle_mean", .published, wrong.results()), acos(0.36) * 180 / .pi, 1e-3))
        #expect(value("angle_mean", .exact, metrics.results()) > 90)
    }

    @Test func exactPredictionsBecomeColoursForThePublishedConvention() {
        var metrics = NormalMetrics(order: .exact)
        metrics.add(
            prediction: [0.6, 0, -0.8], height: 1, width: 1, label: colour(0.6, 0, -0.8), labelHeight: 1, labelWidth: 1)
        #expect(near(value("angle_mean", .published, metrics.results()), 0, 1e-2))
        #expect(near(value("angle_mean", .exact, metrics.results()), 0, 1e-2))
    }

    @Test func medianOfAnEvenNumberOfAngles() {
        var metrics = NormalMetrics(order: .exact)
        for degrees in [10.0, 20, 40, 80] {
            let angle = degrees * .pi / 180
            // Label (0, 0, −1) is the colour (127.5, 127.5, 0).
            metrics.add(
                prediction: [Float(sin(angle)), 0, Float(-cos(angle))], height: 1, width: 1, label: [127.5, 127.5, 0],
                labelHeight: 1, labelWidth: 1)
        }
        #expect(near(value("angle_median", .exact, metrics.results()), 30, 1e-3))
        #expect(near(value("angle_mean", .exact, metrics.results()), 37.5, 1e-3))
        #expect(near(value("within_11.25", .exact, metrics.results()), 25))
        #expect(near(value("within_22.5", .exact, metrics.results()), 50))
    }

    // MARK: - Depth and other numbers

    @Test func depthInBothConventions() {
        var metrics = DepthMetrics()
        // Errors 1, 0 at g = 2, 4; g = 0 is no label.
        metrics.add(
            prediction: [3, 4, 9], height: 1, width: 3, label: [2, 4, 0], labelHeight: 1, labelWidth: 3)
        // A negative prediction: error 3 at g = 2.
        metrics.add(prediction: [-1], height: 1, width: 1, label: [2], labelHeight: 1, labelWidth: 1)
        let results = metrics.results()
        #expect(near(value("absolute_error", .published, results), (0.5 + 3) / 2))
        #expect(near(value("absolute_error", .exact, results), 4.0 / 3))
        #expect(near(value("relative_error", .published, results), (0.25 + 1.5) / 2))
        #expect(near(value("relative_error", .exact, results), 2.0 / 3))
        // Ratios 1.5, 1, and a negative one.
        #expect(near(value("delta_1.25", .published, results), 200.0 / 3))
        #expect(near(value("delta_1.25", .exact, results), 100.0 / 3))
        #expect(near(value("delta_1.25^2", .published, results), 100))
        #expect(near(value("delta_1.25^2", .exact, results), 200.0 / 3))
        #expect(near(value("rmse", .exact, results), (10.0 / 3).squareRoot()))
        #expect(near(value("log10_rmse", .exact, results), (pow(log10(1.5), 2) / 2).squareRoot()))
        #expect(metrics.leftOutOfLog == 1)
        #expect(metrics.leftOut == ["left_out_of_log": 1])
    }

    @Test func absoluteErrorLeavesOut255() {
        var metrics = AbsoluteErrorMetrics()
        metrics.add(prediction: [0, 1], height: 1, width: 2, label: [1, 255], labelHeight: 1, labelWidth: 2)
        metrics.add(prediction: [0, 0], height: 1, width: 2, label: [0, 0], labelHeight: 1, labelWidth: 2)
        #expect(near(value("absolute_error", .published, metrics.results()), 0.5))
        #expect(near(value("absolute_error", .exact, metrics.results()), 1.0 / 3))
    }

    @Test func classificationCountsRanks() {
        var metrics = ClassificationMetrics(classes: 7)
        let scores: [Float] = [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
        for label: Int32 in [0, 4, 5, 255] { metrics.add(prediction: scores, label: label) }
        #expect(near(value("top_1", .exact, metrics.results()), 100.0 / 3))
        #expect(near(value("top_5", .exact, metrics.results()), 200.0 / 3))
        var constant = ClassificationMetrics(classes: 7)
        constant.add(prediction: Array(repeating: 0, count: 7), label: 0)
        #expect(value("top_5", .exact, constant.results()) == 0)
    }

    /// The best constant of one label is that label, and every metric says so.
    @Test(arguments: TaskKinds.standard.all.map { $0.name }) func everyKindIsWhole(name: String) throws {
        let type = try #require(TaskKinds.standard[name])
        let channels = type.channels ?? 6
        let kind = TaskConfiguration(name: name, kind: type, channels: channels, convention: .published).made
        let isClass = kind.label.element == .classes
        #expect(isClass == (type.channels == nil) && (kind.label.extent == type.extent))
        let label =
            isClass
            ? ImageLabel(height: 1, width: 1, classes: [2])
            : ImageLabel(height: 1, width: 1, numbers: [Float](repeating: 9, count: channels))
        var (metrics, guess) = (kind.metrics(), kind.constantGuess(classWeights: nil))
        guess.add(label)
        let output = Prediction(height: 1, width: 1, channels: channels, values: guess.prediction())
        #expect(output.values.count == channels && kind.colours(output).count == 1)
        metrics.add(output, label)
        let results = metrics.results()
        for convention in MetricConvention.allCases {
            #expect(results[convention]?.isEmpty == false)
            #expect(results[convention]?.map(\.name) == results[.exact]?.map(\.name))
        }
        let first = results[.published]?.first
        #expect(near(first?.value ?? .nan, first?.higherIsBetter == true ? 100 : 0, 1e-3))
        #expect(near(guess.loss(), 0))
    }

    // MARK: - Relative gain

    @Test func relativeGainIsSigned() throws {
        func metrics(_ up: Double, _ down: Double) -> [Metric] {
            [
                Metric(name: "miou", value: up, higherIsBetter: true),
                Metric(name: "rmse", value: down, higherIsBetter: false),
            ]
        }
        #expect(RelativeGain.ofTask(metrics(22, 3), over: metrics(20, 4)) == 17.5)
        #expect(RelativeGain.ofTask(metrics(22, 3), over: metrics(0, 4)) == 25)
        #expect(RelativeGain.ofTask(metrics(.nan, 3), over: []) == nil)
        let gain = try #require(
            RelativeGain.overall(
                ["a": metrics(22, 3), "b": metrics(10, 8)], over: ["a": metrics(20, 4), "b": metrics(20, 4)]))
        #expect(near(gain, (17.5 - 75) / 2))
        // What is not a number leaves the score, and is said; what has no reference is not missed.
        let finite = RelativeGain.ofFinite(
            ["a": metrics(.nan, 3), "b": metrics(10, 8), "c": metrics(.nan, 1)],
            over: ["a": metrics(20, 4), "b": metrics(20, 4), "c": metrics(.nan, 0)])
        #expect(finite.leftOut == ["a miou"] && near(finite.gain ?? .nan, (25.0 - 75) / 2))
        #expect(ValidationScore(gain: -50, leftOut: 0) > ValidationScore(gain: 90, leftOut: 1))
        #expect(ValidationScore(gain: 2, leftOut: 1) > ValidationScore(gain: 1, leftOut: 1))
        // A negative reference must not turn a gain into a loss.
        let up = [Metric(name: "cosine", value: 0.5, higherIsBetter: true)]
        let down = [Metric(name: "cosine", value: -0.5, higherIsBetter: true)]
        #expect(RelativeGain.ofTask(up, over: down) == 200)
    }

    // MARK: - Constant guess

    @Test func classGuessReachesTheEntropy() {
        var guess = ClassFrequencies(classes: 3, ignored: 255)
        guess.add(ImageLabel(height: 1, width: 5, classes: [0, 1, 1, 1, 255]))
        let entropy = -(0.25 * log(0.25) + 0.75 * log(0.75))
        #expect(near(guess.loss(), entropy))
        let output = guess.prediction()
        #expect(bestChannel(output, from: 0, count: 3) == 1)
        // The cross-entropy of the output itself.
        let total = log(output.reduce(0) { $0 + exp(Double($1)) })
        let loss = [0, 1, 1, 1].reduce(0) { $0 + (total - Double(output[$1])) } / 4
        #expect(near(loss, entropy))
        var weighted = ClassFrequencies(classes: 3, ignored: 255, weights: [9, 1, 1])
        weighted.add(ImageLabel(height: 1, width: 5, classes: [0, 1, 1, 1, 255]))
        #expect(bestChannel(weighted.prediction(), from: 0, count: 3) == 0)
        #expect(near(weighted.loss(), entropy))
    }

    @Test func directionGuessIsTheMean() {
        var guess = MeanDirection(space: .exact)
        guess.add(
            ImageLabel(height: 1, width: 3, numbers: colour(0.6, 0, -0.8) + colour(-0.6, 0, -0.8) + [255, 0, 0]))
        let output = guess.prediction()
        #expect(near(Double(output[0]), 0) && near(Double(output[2]), -1))
        #expect(near(guess.loss(), 0.2))
        var published = MeanDirection(space: .published)
        published.add(ImageLabel(height: 1, width: 1, numbers: [0, 30, 40]))
        #expect(published.prediction() == [0.8, 0.6, 0])
        #expect(near(published.loss(), 0))
    }

    @Test func medianGuess() {
        var guess = MedianGuess(isLabel: isValidDepth)
        guess.add(ImageLabel(height: 1, width: 1, numbers: [1, 2, 10, 0]))
        #expect(guess.prediction() == [2])
        #expect(near(guess.loss(), 3))
        guess.add(ImageLabel(height: 1, width: 1, numbers: [4]))
        #expect(guess.prediction() == [3])
        #expect(near(guess.loss(), 11.0 / 4))
        var edges = MedianGuess { $0 != 255 }
        edges.add(ImageLabel(height: 1, width: 1, numbers: [-1, 0, 1, 255, -3, -2]))
        #expect(edges.prediction() == [-1])
        #expect(MedianGuess(isLabel: isValidDepth).prediction() == [0])
        #expect(MedianGuess(isLabel: isValidDepth).loss().isNaN)
        // Many different numbers: within one part in 2048 of the true median.
        var many = MedianGuess(isLabel: isValidDepth)
        many.add(ImageLabel(height: 1, width: 100_001, numbers: (1...100_001).map { Float($0) / 1000 }))
        #expect(abs(many.prediction()[0] - 50.001) < 50 / 2048)
        #expect(near(many.loss(), 25.0005, 1e-2))
    }
}
