import AdaShareDatasets

/// A class for each pixel; cross-entropy.
public struct Segmentation: ClassKind {
    public static let name = "segmentation"
    public static let publishedName: String? = "seg"
    public static let meaning = "a class for each pixel"

    public let classes: Int
    public let ignored: Int

    public init(_ task: TaskConfiguration) {
        classes = task.channels
        // A class of that number is a class, unless that is said.
        ignored = task.ignoreLabel == 255 && classes > 255 ? -1 : task.ignoreLabel
    }

    public var label: LabelFormat { LabelFormat(.classes, absent: Double(ignored)) }

    public func metrics() -> any TaskMetrics { SegmentationMetrics(classes: classes, ignoreLabel: ignored) }
}

/// mIoU and pixel accuracy of a segmentation task.
///
/// - mIoU: from one confusion matrix over all images. `published` averages the classes that have a true positive,
///   `exact` every class present in the labels.
/// - Pixel accuracy: `published` averages per-image accuracies (final tests use batch 1), and counts pixels with a
///   negative ignore label (Cityscapes) as wrong; `exact` is the share of all labelled pixels.
public struct SegmentationMetrics: Sendable {
    /// Number of classes.
    public let classes: Int
    /// Label value that is left out.
    public let ignoreLabel: Int
    /// `confusion[label * classes + predicted]`, pixels.
    private var confusion: [Int]
    private var imageAccuracy = MeanAccumulator()

    /// Creates an empty accumulator.
    public init(classes: Int, ignoreLabel: Int = 255) {
        precondition(classes > 0, "segmentation needs classes")
        self.classes = classes
        self.ignoreLabel = ignoreLabel
        confusion = Array(repeating: 0, count: classes * classes)
    }

    /// Adds one image.
    ///
    /// - Parameters:
    ///   - prediction: class scores, [height, width, classes] row-major; resized to the label by nearest neighbour.
    ///   - height: rows of the prediction.
    ///   - width: columns of the prediction.
    ///   - label: class per pixel, [labelHeight, labelWidth]. A value that is neither a class nor `ignoreLabel` is left
    ///     out like the latter; the data set's reader refuses it.
    ///   - labelHeight: rows of the label.
    ///   - labelWidth: columns of the label.
    public mutating func add(
        prediction: [Float], height: Int, width: Int, label: [Int32], labelHeight: Int, labelWidth: Int
    ) {
        precondition(prediction.count == height * width * classes, "prediction is not height × width × \(classes)")
        let predicted = (0..<height * width).map { pixel in
            bestChannel(prediction, from: pixel * classes, count: classes)
        }
        var (right, counted) = (0, 0)
        forEachPixel(
            predictionCount: predicted.count, channels: 1, height: height, width: width, labelCount: label.count,
            labelHeight: labelHeight, labelWidth: labelWidth
        ) { index, pixel in
            let truth = Int(label[index])
            guard truth != ignoreLabel, truth >= 0, truth < classes else {
                if ignoreLabel < 0 { counted += 1 }
                return
            }
            confusion[truth * classes + predicted[pixel]] += 1
            counted += 1
            if truth == predicted[pixel] { right += 1 }
        }
        if counted > 0 { imageAccuracy.add(Double(right) / Double(counted)) }
    }

    /// `miou` and `pixel_accuracy`, both in %.
    public func results() -> [MetricConvention: [Metric]] {
        var (published, exact) = (MeanAccumulator(), MeanAccumulator())
        var (right, total) = (0, 0)
        for label in 0..<classes {
            let hits = confusion[label * classes + label]
            let present = (0..<classes).reduce(0) { $0 + confusion[label * classes + $1] }
            let predicted = (0..<classes).reduce(0) { $0 + confusion[$1 * classes + label] }
            right += hits
            total += present
            guard present > 0 else { continue }
            let overlap = Double(hits) / Double(present + predicted - hits)
            exact.add(overlap)
            if hits > 0 { published.add(overlap) }
        }
        // No class was hit: its mean is 0, not undefined.
        let publishedOverlap = published.count == 0 && total > 0 ? 0 : published.mean
        let accuracy = total == 0 ? Double.nan : Double(right) / Double(total)
        func metrics(_ overlap: Double, _ accuracy: Double) -> [Metric] {
            [
                Metric(name: "miou", value: 100 * overlap, higherIsBetter: true, unit: "%"),
                Metric(name: "pixel_accuracy", value: 100 * accuracy, higherIsBetter: true, unit: "%"),
            ]
        }
        return [.published: metrics(publishedOverlap, imageAccuracy.mean), .exact: metrics(exact.mean, accuracy)]
    }
}

extension SegmentationMetrics: TaskMetrics {
    public mutating func add(_ prediction: Prediction, _ label: ImageLabel) {
        add(
            prediction: prediction.values, height: prediction.height, width: prediction.width, label: label.classes,
            labelHeight: label.height, labelWidth: label.width)
    }
}
