import Datasets
import Operators

/// A class for the whole image; cross-entropy on pooled features.
public struct Classification: TaskKind {
    public static let name = "classification"
    public static let meaning = "a class for the whole image"
    public static let channels: Int? = nil
    public static let defaultWeight = 1.0
    public static let extent = LabelFormat.Extent.image

    private let classes: Int
    private let ignored: Int

    public init(_ task: TaskConfiguration) {
        classes = task.channels
        // A class of that number is a class: 255 is one of DomainNet's 345.
        ignored = task.ignoreLabel < classes ? -1 : task.ignoreLabel
    }

    public var label: LabelFormat { LabelFormat(.classes, extent: .image, absent: Double(ignored)) }
    public var ignoredClass: Int? { ignored }

    public func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        let inputs = [prediction, label] + (classWeights.map { [$0] } ?? [])
        return recorder.record(TaskLoss(.crossEntropy(ignore: ignored)), inputs)[0]
    }

    public func metrics() -> any TaskMetrics { ClassificationMetrics(classes: classes, ignoreLabel: ignored) }

    public func constantGuess(classWeights: [Double]?) -> any ConstantGuess {
        ClassFrequencies(classes: classes, ignored: ignored, weights: classWeights)
    }

    public func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] { Pictures.classes(prediction) }
}

/// Top-1 and top-5 accuracy of an image classifier; the same in both conventions.
public struct ClassificationMetrics: Sendable {
    /// Number of classes.
    public let classes: Int
    /// Label value that is left out.
    public let ignoreLabel: Int
    private var first = 0
    private var firstFive = 0
    private var total = 0

    /// Creates an empty accumulator.
    public init(classes: Int, ignoreLabel: Int = 255) {
        self.classes = classes
        // A class of that number is a class: 255 is one of DomainNet's 345.
        self.ignoreLabel = ignoreLabel < classes ? -1 : ignoreLabel
    }

    /// Adds one image: `prediction` holds the scores [classes]. A label outside the classes is left out.
    ///
    /// A score equal to the label's counts as better, so that a constant output gets no credit.
    public mutating func add(prediction: [Float], label: Int32) {
        precondition(prediction.count == classes, "prediction is not \(classes) scores")
        let truth = Int(label)
        guard truth != ignoreLabel, truth >= 0, truth < classes else { return }
        let better = prediction.indices.filter { $0 != truth && !(prediction[$0] < prediction[truth]) }.count
        total += 1
        if better < 1 { first += 1 }
        if better < 5 { firstFive += 1 }
    }

    /// `top_1` and `top_5` in %.
    public func results() -> [MetricConvention: [Metric]] {
        let count = total == 0 ? Double.nan : Double(total)
        let metrics = [
            Metric(name: "top_1", value: 100 * Double(first) / count, higherIsBetter: true, unit: "%"),
            Metric(name: "top_5", value: 100 * Double(firstFive) / count, higherIsBetter: true, unit: "%"),
        ]
        return [.published: metrics, .exact: metrics]
    }
}

extension ClassificationMetrics: TaskMetrics {
    public mutating func add(_ prediction: Prediction, _ label: ImageLabel) {
        precondition(label.classes.count == 1, "one label per image")
        add(prediction: prediction.values, label: label.classes[0])
    }
}
