import Datasets
import Operators

/// A key point strength for each pixel, −1 to 1; absolute error.
public struct Keypoints: TaskKind {
    public static let name = "keypoints"
    public static let meaning = "a key point strength for each pixel"
    public static let channels: Int? = 1
    public static let defaultWeight = 7.0

    public init(_ task: TaskConfiguration) {}

    public var label: LabelFormat { LabelFormat(.numbers, absent: 255) }

    public func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        recorder.record(TaskLoss(.absoluteNot255), [prediction, label])[0]
    }

    public func metrics() -> any TaskMetrics { AbsoluteErrorMetrics() }
    public func constantGuess(classWeights: [Double]?) -> any ConstantGuess { MedianGuess { $0 != 255 } }
    public func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] { Pictures.range(prediction) }
    public var isMap: Bool { true }
}
