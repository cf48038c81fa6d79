/// A network or policy that cannot be laid out as asked.
public enum ArchitectureError: Error, Equatable, CustomStringConvertible {
    /// The channel multiplier is not above 0 and at most 16.
    case badWidth(Double)
    /// The hidden channels of a four-rate branch, before scaling, are not 1 to 65536.
    case badHeadHidden(Int)
    /// The list of tasks is empty.
    case noTasks
    /// The task at this index, from 0, has no name.
    case emptyTaskName(index: Int)
    /// Two tasks have this name.
    case duplicateTask(String)
    /// The output channels of a task are not 1 to 65536.
    case badChannels(task: String, found: Int)
    /// A task's number in parameter names is below 1, or another task's too.
    case badNumber(task: String, found: Int)
    /// Every task is to have batch norms of its own, but two are given the same images.
    case sharedImages(task: String, other: String)
    /// A policy has rows for more or fewer tasks than the network has.
    case policyTaskCount(found: Int, expected: Int)
    /// A task's row of a policy has more or fewer decisions than the backbone has blocks.
    case policyBlockCount(task: String, found: Int, expected: Int, backbone: String)

    public var description: String {
        switch self {
        case .badWidth(let width):
            "model.width: found \(width), expected a number above 0 and at most 16"
        case .badHeadHidden(let hidden):
            "head hidden channels: found \(hidden), expected 1 to 65536"
        case .noTasks:
            "tasks: found an empty list, expected at least one task"
        case .emptyTaskName(let index):
            "tasks[\(index)].name: found an empty name, expected a name"
        case .duplicateTask(let name):
            "tasks: found the name '\(name)' twice, expected distinct names"
        case .badChannels(let task, let found):
            "task '\(task)': found \(found) channels, expected 1 to 65536"
        case .badNumber(let task, let found):
            "task '\(task)': found number \(found), expected one from 1 that no other task has"
        case .sharedImages(let task, let other):
            "batch norm per task: found the same images for tasks '\(other)' and '\(task)', expected images of its "
                + "own for "
                + "every task"
        case .policyTaskCount(let found, let expected):
            "policy: found \(found) tasks, expected \(expected)"
        case .policyBlockCount(let task, let found, let expected, let backbone):
            "policy of task '\(task)': found \(found) decisions, expected \(expected), one per block of \(backbone)"
        }
    }
}
