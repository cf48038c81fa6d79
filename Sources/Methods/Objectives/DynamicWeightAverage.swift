import AdaShareGraph
import AdaShareOperators
import AdaShareSchema

/// Dynamic weight average: Σ w · λ · loss with w = K · softmax(r / T), where r is a task's mean loss in the last epoch
/// over that in the one before. In the first two epochs of a phase w is 1.
///
/// - Source: Liu, Johns, Davison, "End-to-end multi-task learning with attention", CVPR 2019, section 4.3.
public struct DynamicWeightAverage: Objective {
    public static let kind = "dynamic_weight_average"
    public static let meaning = "more weight for losses that fall more slowly from epoch to epoch (Liu et al. 2019)"
    public static var fields: [ConfigurationField<DynamicWeightAverage>] {
        [.key("temperature", \.temperature, limit: .above(0), "T: the larger, the more alike the weights.")]
    }

    /// T, above 0: the larger, the more alike the weights; as published 2.
    public var temperature = 2.0
    public var isLinear: Bool { true }
    public var readsHistory: Bool { true }

    public init() {}

    public func total(_ losses: [Value], in recorder: StepRecorder) -> Value { recorder.hostWeighted(losses) }

    public func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value {
        recorder.hostWeighted(loss, of: task)
    }

    public func weights(_ present: [Int], of count: Int, state: StepState, history: LossHistory) -> [Double]? {
        guard let last = history.last, let before = history.before else { return [Double](repeating: 1, count: count) }
        let rates = zip(last, before).map { last, before -> Double in
            guard let last, let before, before > 0, last.isFinite else { return 1 }
            return last / before
        }
        return shares(rates.map { $0 / temperature }, among: present)
    }
}
