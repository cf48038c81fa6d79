/// The metrics of one task, of whatever kind.
public enum TaskMetrics: Sendable {
    case segmentation(SegmentationMetrics)
    case normals(NormalMetrics)
    case depth(DepthMetrics)
    case absolute(L1Metrics)
    case classification(ClassificationMetrics)

    /// An empty accumulator for a task.
    ///
    /// - Parameters:
    ///   - kind: what the task predicts.
    ///   - channels: its outputs.
    ///   - ignoreLabel: class label that is left out.
    ///   - normals: the space in which normals were trained.
    public static func make(
        kind: TaskKind, channels: Int, ignoreLabel: Int = 255, normals: NormalSpace = .exact
    ) -> TaskMetrics {
        switch kind {
        case .segmentation: .segmentation(SegmentationMetrics(classes: channels, ignoreLabel: ignoreLabel))
        case .normals: .normals(NormalMetrics(order: normals == .published ? .published : .exact))
        case .depth: .depth(DepthMetrics())
        case .keypoints, .edges: .absolute(L1Metrics())
        case .classification: .classification(ClassificationMetrics(classes: channels, ignoreLabel: ignoreLabel))
        }
    }

    /// Adds one image with class labels: [labelHeight, labelWidth], or one for a classification.
    ///
    /// - Precondition: the task is a segmentation or a classification; counts match the sizes.
    public mutating func add(
        prediction: [Float], height: Int, width: Int, label: [Int32], labelHeight: Int, labelWidth: Int
    ) {
        switch self {
        case .segmentation(var metrics):
            metrics.add(
                prediction: prediction, height: height, width: width, label: label, labelHeight: labelHeight,
                labelWidth: labelWidth)
            self = .segmentation(metrics)
        case .classification(var metrics):
            precondition(label.count == 1, "one label per image")
            metrics.add(prediction: prediction, label: label[0])
            self = .classification(metrics)
        case .normals, .depth, .absolute:
            preconditionFailure("this task has labels of numbers, not of classes")
        }
    }

    /// Adds one image with labels of numbers: [labelHeight, labelWidth], for normals × 3 (raw colours R, G, B).
    ///
    /// - Precondition: the task is neither a segmentation nor a classification; counts match the sizes.
    public mutating func add(
        prediction: [Float], height: Int, width: Int, label: [Float], labelHeight: Int, labelWidth: Int
    ) {
        switch self {
        case .normals(var metrics):
            metrics.add(
                prediction: prediction, height: height, width: width, label: label, labelHeight: labelHeight,
                labelWidth: labelWidth)
            self = .normals(metrics)
        case .depth(var metrics):
            metrics.add(
                prediction: prediction, height: height, width: width, label: label, labelHeight: labelHeight,
                labelWidth: labelWidth)
            self = .depth(metrics)
        case .absolute(var metrics):
            metrics.add(
                prediction: prediction, height: height, width: width, label: label, labelHeight: labelHeight,
                labelWidth: labelWidth)
            self = .absolute(metrics)
        case .segmentation, .classification:
            preconditionFailure("this task has labels of classes, not of numbers")
        }
    }

    /// The task's metrics in both conventions, always in the same order.
    public func results() -> [MetricConvention: [Metric]] {
        switch self {
        case .segmentation(let metrics): metrics.results()
        case .normals(let metrics): metrics.results()
        case .depth(let metrics): metrics.results()
        case .absolute(let metrics): metrics.results()
        case .classification(let metrics): metrics.results()
        }
    }

    /// What was left out of the metrics, by name, to be printed beside them; empty if nothing can be.
    public var counts: [String: Int] {
        if case .depth(let metrics) = self { ["left_out_of_log": metrics.leftOutOfLog] } else { [:] }
    }
}
