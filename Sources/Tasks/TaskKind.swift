import AdaShareDatasets
import AdaShareOperators

/// What a task predicts: how its labels lie, its loss, its metrics, the best constant, its picture. One file each.
public protocol TaskKind: Sendable {
    /// The word in `tasks[].kind`, and the label that is read where a task names none.
    static var name: String { get }
    /// The word for such a task in configurations of the published code; nil where it names none.
    static var publishedName: String? { get }
    /// What is predicted, one clause for the reference.
    static var meaning: String { get }
    /// Which values say that there is no label, one clause for the reference.
    static var absence: String { get }
    /// Outputs that every task of the kind has; nil where they are classes, whose number a task gives.
    static var channels: Int? { get }
    /// λ where a task gives none.
    static var defaultWeight: Double { get }
    /// Whether a label, and so an output, belongs to each pixel or to the whole image.
    static var extent: LabelFormat.Extent { get }
    /// The key that says whether tasks of this kind are trained as the published code does; nil where there is no
    /// difference.
    static var conventionKey: ConventionKey? { get }

    /// The kind with what one task says of itself.
    init(_ task: TaskConfiguration)

    /// How labels lie.
    var label: LabelFormat { get }
    /// Records the loss of a batch, a scalar: the mean over everything in the batch that has a label, 0 with gradient
    /// 0 where nothing has.
    ///
    /// - Parameters:
    ///   - prediction: [N, h, w, channels] float32; h and w are 1 where the label is the image's.
    ///   - label: of the same height and width, as `label` says.
    ///   - classWeights: [channels], for a task that has them.
    ///   - recorder: what the loss is recorded in.
    func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value
    /// What a label counts in the mean that `loss` is, 0 for what is none: how the means of a batch's parts are weighed
    /// against each other.
    ///
    /// - Parameters:
    ///   - label: of a pixel, or of a whole image.
    ///   - classWeights: of the loss; nil for equal ones.
    func weight(of label: LabelValue, classWeights: [Float]?) -> Double
    /// Empty metrics.
    func metrics() -> any TaskMetrics
    /// An empty guess.
    ///
    /// - Parameter classWeights: of the loss; nil for equal ones.
    func constantGuess(classWeights: [Double]?) -> any ConstantGuess
    /// The prediction for an image, from that for the same image mirrored; nil where it cannot be told.
    func mirrored(_ prediction: Prediction) -> Prediction?
    /// The mean of predictions of one image in several forms, all in the frame of the image itself.
    ///
    /// - Precondition: at least one prediction, all of one size.
    func mean(of predictions: [Prediction]) -> Prediction
    /// A colour R, G, B for every pixel of the first image of a prediction, row-major.
    func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)]
    /// A colour R, G, B for every value of a label, as predictions are drawn, row-major; nil where there is no label.
    func colours(of label: ImageLabel) -> [(UInt8, UInt8, UInt8)?]
    /// Whether colours stand for a range of values, whose ends a caption then says.
    var isMap: Bool { get }
    /// The label that class scores leave out; nil for numbers.
    var ignoredClass: Int? { get }
    /// Of its numbers, such as m; nil where they have none.
    var unit: String? { get }
    /// Its numbers as other programs want them, from those of the head: as many for each pixel.
    func numbers(_ prediction: Prediction) -> [Float]
    /// Its labels as a file of labels has them.
    func stored(_ prediction: Prediction) -> StoredLabels
    /// How far each pixel of a prediction is from a label of its size; NaN where there is no label. Of classes 0 and 1.
    func deviations(_ prediction: Prediction, from label: ImageLabel) -> [Float]
    /// Of deviations.
    var deviationUnit: String? { get }
}

extension TaskKind {
    public static var absence: String { "the value `ignore_label`" }
    public static var publishedName: String? { nil }
    public static var extent: LabelFormat.Extent { .pixels }
    public static var conventionKey: ConventionKey? { nil }
    public var isMap: Bool { false }
    public var ignoredClass: Int? { nil }
    public var unit: String? { nil }
    public var deviationUnit: String? { unit }

    /// Left and right exchanged.
    public func mirrored(_ prediction: Prediction) -> Prediction? { prediction.flipped }
    /// The mean of each number.
    public func mean(of predictions: [Prediction]) -> Prediction { .mean(of: predictions) }
}

/// A key that chooses between what the published code trains and what the name of the kind says.
public struct ConventionKey: Sendable, Hashable {
    /// Dotted path from the root of a configuration.
    public let path: String
    /// What the choice means, for the reference.
    public let meaning: String

    /// The last part of the path, under which checkpoints and results record the choice.
    public var name: String { path.split(separator: ".").last.map(String.init) ?? path }

    /// Creates a key.
    public init(path: String, meaning: String) {
        self.path = path
        self.meaning = meaning
    }
}

/// The kinds that `tasks[].kind` may name.
public struct TaskKinds: Sendable {
    /// In the order of the reference.
    public let all: [any TaskKind.Type]

    /// A registry of one's own.
    ///
    /// - Precondition: names differ.
    public init(_ all: [any TaskKind.Type]) {
        precondition(Set(all.map { $0.name }).count == all.count, "two task kinds of one name")
        self.all = all
    }

    /// What this package predicts.
    public static let standard = TaskKinds([
        Segmentation.self, Normals.self, Depth.self, Keypoints.self, Edges.self, Classification.self,
    ])

    /// The same with one more.
    public func adding(_ kind: any TaskKind.Type) -> TaskKinds { TaskKinds(all + [kind]) }

    /// The kind of that name.
    public subscript(name: String) -> (any TaskKind.Type)? { all.first { $0.name == name } }
}
