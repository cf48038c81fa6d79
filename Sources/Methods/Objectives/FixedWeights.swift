import AdaShareGraph
import AdaShareOperators

/// Σ λ · loss with the weights of the configuration.
public struct FixedWeights: Objective {
    public static let kind = "fixed"
    public static let meaning = "the sum of the losses, each times its `tasks[].weight`"

    public var isLinear: Bool { true }

    public init() {}

    public func total(_ losses: [Value], in recorder: StepRecorder) -> Value {
        recorder.graph.record(WeightedSum(recorder.present.map(recorder.weight)), losses)[0]
    }

    public func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value {
        recorder.graph.record(WeightedSum([recorder.weight(of: task)]), [loss])[0]
    }
}
