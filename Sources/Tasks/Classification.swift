import AdaShareDatasets

/// A class for the whole image; cross-entropy on pooled features.
public struct Classification: ClassKind {
    public static let name = "classification"
    public static let meaning = "a class for the whole image"
    public static let extent = LabelFormat.Extent.image

    public let classes: Int
    public let ignored: Int

    public init(_ task: TaskConfiguration) {
        classes = task.channels
        ignored = Self.ignored(task.ignoreLabel, classes: classes)
    }

    /// A class of that number is a class: 255 is one of DomainNet's 345.
    static func ignored(_ label: Int, classes: Int) -> Int { label < classes ? -1 : label }

    public var label: LabelFormat { LabelFormat(.classes, extent: .image, absent: Double(ignored)) }

    public func metrics() -> any TaskMetrics { ClassificationMetrics(classes: classes, ignoreLabel: ignored) }
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
        self.ignoreLabel = Classification.ignored(ignoreLabel, classes: classes)
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
