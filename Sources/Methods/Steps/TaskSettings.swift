import AdaShareDatasets
import AdaShareOperators
import AdaShareTasks

/// One task as the step graphs see it.
public struct TaskSettings: Sendable {
    /// The key in logs and results.
    public let name: String
    /// What it predicts: its loss and how its labels lie.
    public let kind: any TaskKind
    /// λ of the task's loss.
    public let weight: Double
    /// The label that the loss reads.
    public let label: String
    /// Whether the tensor store holds class weights for this task.
    public let hasClassWeights: Bool

    /// The task of a configuration.
    public init(_ task: TaskConfiguration) {
        name = task.name
        kind = task.made
        weight = task.weight
        label = task.labelName
        hasClassWeights = task.classWeights != .equal
    }
}

/// How parameters move in one phase.
public enum UpdateRule: Hashable, Sendable {
    /// Stochastic gradient descent with momentum μ and coupled (L2) weight decay λ.
    ///
    ///     g ← ∇ + λ · w;  m ← μ · m + g;  w ← w − rate · m
    case sgd(momentum: Double, weightDecay: Double)
    /// Adam with coupled (L2) weight decay λ, which is added to the gradient before the moments.
    ///
    /// - Source: Kingma & Ba 2015, algorithm 1.
    case adam(beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double)
}
