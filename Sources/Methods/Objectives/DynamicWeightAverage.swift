import AdaShareGraph
import AdaShareOperators
import AdaShareSchema
import Foundation

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

/// K · softmax over the K tasks that take part, in float64; 0 for the others.
func shares(_ values: [Double], among present: [Int]) -> [Double] {
    let top = present.map { values[$0] }.max() ?? 0
    let powers = present.map { exp(values[$0] - top) }
    let sum = powers.reduce(0, +)
    var result = [Double](repeating: 0, count: values.count)
    for (task, power) in zip(present, powers) { result[task] = Double(present.count) * power / sum }
    return result
}

extension StepRecorder {
    /// Σ w · λ · loss with the weights w that the host gives for the step.
    func hostWeighted(_ losses: [Value]) -> Value {
        graph.record(TaskWeightedSum(tasks: present, scales: present.map(weight)), [taskWeights] + losses)[0]
    }

    /// A task's part of it.
    func hostWeighted(_ loss: Value, of task: Int) -> Value {
        graph.record(TaskWeightedSum(tasks: [task], scales: [weight(of: task)]), [taskWeights, loss])[0]
    }
}
