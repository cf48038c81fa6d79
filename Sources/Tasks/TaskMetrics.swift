import AdaShareDatasets

/// The label of one image, at its own size.
public struct ImageLabel: Sendable, Equatable {
    /// Of the image, pixels; a label of the whole image has one value all the same.
    public let height, width: Int
    /// Classes, [height, width] or one; empty for numbers.
    public let classes: [Int32]
    /// Numbers, [height, width, channels]; empty for classes.
    public let numbers: [Float]

    /// Creates a label.
    public init(height: Int, width: Int, classes: [Int32] = [], numbers: [Float] = []) {
        self.height = height
        self.width = width
        self.classes = classes
        self.numbers = numbers
    }
}

extension Batch {
    /// A label of one image; nil where it carries none.
    ///
    /// - Precondition: `index` lies in 0..<N.
    package func imageLabel(_ name: String, image index: Int) -> ImageLabel? {
        guard let label = labels[name], label.isCarried[index] else { return nil }
        func part<Value>(_ values: [Value]) -> [Value] {
            let perImage = values.count / count
            return Array(values[index * perImage..<(index + 1) * perImage])
        }
        return ImageLabel(height: height, width: width, classes: part(label.classes), numbers: part(label.numbers))
    }
}

/// Sums up how good a task's predictions are, image by image.
public protocol TaskMetrics: Sendable {
    /// Adds one image, whose prediction may be smaller than its label.
    ///
    /// - Precondition: the label is one of the kind's.
    mutating func add(_ prediction: Prediction, _ label: ImageLabel)
    /// The metrics in both conventions, always in the same order; NaN where nothing was added.
    func results() -> [MetricConvention: [Metric]]
    /// What was left out of the metrics, by reason, to be printed beside them.
    var leftOut: [String: Int] { get }
}

extension TaskMetrics {
    public var leftOut: [String: Int] { [:] }
}

/// The best output that does not look at the image, learned from labels.
public protocol ConstantGuess: Sendable {
    /// Adds one image's label.
    ///
    /// - Precondition: the label is one of the kind's.
    mutating func add(_ label: ImageLabel)
    /// The constant output, one number per channel, to be scored like a prediction of 1 × 1 pixels; zeros without any
    /// label.
    func prediction() -> [Float]
    /// The task's loss (without λ) at the constant output; NaN without any label.
    func loss() -> Double
}
