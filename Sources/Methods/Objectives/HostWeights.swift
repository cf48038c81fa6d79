import AdaShareGraph
import AdaShareOperators
import Foundation

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
