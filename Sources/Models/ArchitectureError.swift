/// A network or policy that cannot be laid out as asked.
public enum ArchitectureError: Error, Equatable, CustomStringConvertible {
    case badWidth(Double)
    case badHeadHidden(Int)
    case noTasks
    case emptyTaskName(index: Int)
    case duplicateTask(String)
    case badChannels(task: String, found: Int)
    case badNumber(task: String, found: Int)
    case sharedImages(task: String, other: String)
    case policyTaskCount(found: Int, expected: Int)
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
