import AdaShareGraph
import AdaShareOperators

/// The geometric mean of the losses, which no constant factor of a loss changes: `tasks[].weight` is without effect.
///
/// - Source: Chennupati, Sistu, Yogamani, Rawashdeh, "MultiNet++", CVPR workshops 2019.
public struct GeometricLoss: Objective {
    public static let kind = "geometric"
    public static let meaning = "the geometric mean of the losses, whatever their weights (Chennupati et al. 2019)"
    public var isAdditive: Bool { false }

    public init() {}

    public func total(_ losses: [Value], in recorder: StepRecorder) -> Value {
        recorder.graph.record(GeometricMean(), losses)[0]
    }

    public func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value {
        preconditionFailure("a geometric mean has no terms")
    }
}
