import AdaShareDatasets
import AdaShareOperators

/// A kind that predicts a strength for each pixel, −1 to 1, by absolute error; 255 marks pixels without a label.
public protocol StrengthKind: TaskKind {}

extension StrengthKind {
    public static var absence: String { "255" }
    public static var channels: Int? { 1 }
    public static var defaultWeight: Double { 7 }

    public var label: LabelFormat { LabelFormat(.numbers, absent: 255) }

    public func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        recorder.record(TaskLoss(.absoluteNot255), [prediction, label])[0]
    }

    public func weight(of label: LabelValue, classWeights: [Float]?) -> Double {
        guard case .numbers(let numbers) = label else { return 0 }
        return numbers.first != 255 ? 1 : 0
    }

    public func metrics() -> any TaskMetrics { AbsoluteErrorMetrics() }
    public func constantGuess(classWeights: [Double]?) -> any ConstantGuess { MedianGuess { $0 != 255 } }
    public func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] { Pictures.range(prediction) }
    public var isMap: Bool { true }
    /// v of strength v / 127 − 1, 0 to 254.
    public func stored(_ prediction: Prediction) -> StoredLabels {
        .bytes(prediction.values.map { UInt8(((max(-1, min(1, $0.isNaN ? -1 : $0)) + 1) * 127).rounded()) })
    }
}

/// Absolute error over pixels whose label is not 255.
///
/// `published` averages per-image means (final tests use batch 1), `exact` is per pixel.
public struct AbsoluteErrorMetrics: Sendable {
    private var imageError = MeanAccumulator()
    private var error = MeanAccumulator()

    /// Creates an empty accumulator.
    public init() {}

    /// Adds one image.
    ///
    /// - Parameters:
    ///   - prediction: strengths, [height, width] row-major; resized to the label by nearest neighbour.
    ///   - height: rows of the prediction.
    ///   - width: columns of the prediction.
    ///   - label: strengths, [labelHeight, labelWidth]; 255 = no label.
    ///   - labelHeight: rows of the label.
    ///   - labelWidth: columns of the label.
    public mutating func add(
        prediction: [Float], height: Int, width: Int, label: [Float], labelHeight: Int, labelWidth: Int
    ) {
        var image = MeanAccumulator()
        forEachPixel(
            predictionCount: prediction.count, channels: 1, height: height, width: width, labelCount: label.count,
            labelHeight: labelHeight, labelWidth: labelWidth
        ) { index, pixel in
            guard label[index] != 255 else { return }
            let value = abs(Double(prediction[pixel]) - Double(label[index]))
            image.add(value)
            error.add(value)
        }
        if image.count > 0 { imageError.add(image.mean) }
    }

    /// `absolute_error`.
    public func results() -> [MetricConvention: [Metric]] {
        func metrics(_ value: Double) -> [Metric] {
            [Metric(name: "absolute_error", value: value, higherIsBetter: false)]
        }
        return [.published: metrics(imageError.mean), .exact: metrics(error.mean)]
    }
}

extension AbsoluteErrorMetrics: TaskMetrics {
    public mutating func add(_ prediction: Prediction, _ label: ImageLabel) {
        add(
            prediction: prediction.values, height: prediction.height, width: prediction.width, label: label.numbers,
            labelHeight: label.height, labelWidth: label.width)
    }
}
