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
