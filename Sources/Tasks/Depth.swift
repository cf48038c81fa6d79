import AdaShareDatasets
import AdaShareOperators
import Foundation

/// A distance in metres for each pixel; absolute error.
public struct Depth: TaskKind {
    public static let name = "depth"
    public static let publishedName: String? = "depth"
    public static let meaning = "a distance in metres for each pixel"
    public static let absence = "0 and below, NaN and infinity"
    public static let channels: Int? = 1
    public static let defaultWeight = 3.0

    public init(_ task: TaskConfiguration) {}

    public var label: LabelFormat { LabelFormat(.numbers, absent: 0) }

    public func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        recorder.record(TaskLoss(.absolutePositive), [prediction, label])[0]
    }

    public func weight(of label: LabelValue, classWeights: [Float]?) -> Double {
        guard case .numbers(let numbers) = label else { return 0 }
        return numbers.first.map(isValidDepth) ?? false ? 1 : 0
    }

    public func metrics() -> any TaskMetrics { DepthMetrics() }
    public func constantGuess(classWeights: [Double]?) -> any ConstantGuess { MedianGuess(isLabel: isValidDepth) }
    public func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] { Pictures.range(prediction) }
    public var isMap: Bool { true }
    public var unit: String? { "m" }
    /// Millimetres; 0 where the distance is not above it, 65535 beyond.
    public func stored(_ prediction: Prediction) -> StoredLabels {
        .words(prediction.values.map { $0 > 0 ? UInt16(min(65_535, ($0 * 1000).rounded())) : 0 })
    }
    public func deviations(_ prediction: Prediction, from label: ImageLabel) -> [Float] {
        differences(prediction, label) { isValidDepth($0) && $0.isFinite }
    }
}

/// Errors of predicted distances.
///
/// A label g is valid if g > 3·10⁻⁵.
/// - Absolute and relative error: `published` averages per-image means (final tests use batch 1), `exact` is per pixel.
/// - δ < 1.25ⁿ, the share with max(p/g, g/p) below it: `published` counts a negative prediction as correct, as its
///   ratio is negative; `exact` does not.
/// - log RMSE: base 10; predictions p ≤ 0 (and labels g ≤ 0) are left out and counted in `leftOutOfLog`.
public struct DepthMetrics: Sendable {
    /// Valid pixels that the log RMSE could not use.
    public private(set) var leftOutOfLog = 0
    private static let limits = [1.25, 1.25 * 1.25, 1.25 * 1.25 * 1.25]
    private var imageAbsolute = MeanAccumulator()
    private var imageRelative = MeanAccumulator()
    private var absolute = MeanAccumulator()
    private var relative = MeanAccumulator()
    private var square = MeanAccumulator()
    private var logSquare = MeanAccumulator()
    private var publishedWithin = [0, 0, 0]
    private var exactWithin = [0, 0, 0]

    /// Creates an empty accumulator.
    public init() {}

    /// Adds one image.
    ///
    /// - Parameters:
    ///   - prediction: distances, [height, width] row-major; resized to the label by nearest neighbour.
    ///   - height: rows of the prediction.
    ///   - width: columns of the prediction.
    ///   - label: distances, [labelHeight, labelWidth].
    ///   - labelHeight: rows of the label.
    ///   - labelWidth: columns of the label.
    public mutating func add(
        prediction: [Float], height: Int, width: Int, label: [Float], labelHeight: Int, labelWidth: Int
    ) {
        var (ofImage, relativeOfImage) = (MeanAccumulator(), MeanAccumulator())
        forEachPixel(
            predictionCount: prediction.count, channels: 1, height: height, width: width, labelCount: label.count,
            labelHeight: labelHeight, labelWidth: labelWidth
        ) { index, pixel in
            let truth = Double(label[index])
            guard isValidDepth(label[index]) else { return }
            let value = Double(prediction[pixel])
            let error = abs(value - truth)
            ofImage.add(error)
            absolute.add(error)
            square.add(error * error)
            relativeOfImage.add(error / truth)
            relative.add(error / truth)
            let ratio = max(value / truth, truth / value)
            for (step, limit) in Self.limits.enumerated() where ratio < limit {
                publishedWithin[step] += 1
                if value > 0 { exactWithin[step] += 1 }
            }
            if value > 0 && truth > 0 {
                let difference = log10(value) - log10(truth)
                logSquare.add(difference * difference)
            } else {
                leftOutOfLog += 1
            }
        }
        if ofImage.count > 0 {
            imageAbsolute.add(ofImage.mean)
            imageRelative.add(relativeOfImage.mean)
        }
    }

    /// `absolute_error` in m, `relative_error`, `delta_1.25`, `delta_1.25^2`, `delta_1.25^3` in %, `rmse` in m,
    /// `log10_rmse`.
    public func results() -> [MetricConvention: [Metric]] {
        [
            .published: metrics(imageAbsolute.mean, imageRelative.mean, publishedWithin),
            .exact: metrics(absolute.mean, relative.mean, exactWithin),
        ]
    }

    private func metrics(_ absolute: Double, _ relative: Double, _ within: [Int]) -> [Metric] {
        let total = self.absolute.count == 0 ? Double.nan : Double(self.absolute.count)
        func share(_ name: String, _ count: Int) -> Metric {
            Metric(name: name, value: 100 * Double(count) / total, higherIsBetter: true, unit: "%")
        }
        return [
            Metric(name: "absolute_error", value: absolute, higherIsBetter: false, unit: "m"),
            Metric(name: "relative_error", value: relative, higherIsBetter: false),
            share("delta_1.25", within[0]), share("delta_1.25^2", within[1]), share("delta_1.25^3", within[2]),
            Metric(name: "rmse", value: square.mean.squareRoot(), higherIsBetter: false, unit: "m"),
            Metric(name: "log10_rmse", value: logSquare.mean.squareRoot(), higherIsBetter: false),
        ]
    }
}

/// Whether a distance in metres is a label.
@Sendable func isValidDepth(_ value: Float) -> Bool { value > 3e-5 }

extension DepthMetrics: TaskMetrics {
    public mutating func add(_ prediction: Prediction, _ label: ImageLabel) {
        add(
            prediction: prediction.values, height: prediction.height, width: prediction.width, label: label.numbers,
            labelHeight: label.height, labelWidth: label.width)
    }

    public var leftOut: [String: Int] { ["left_out_of_log": leftOutOfLog] }
}
