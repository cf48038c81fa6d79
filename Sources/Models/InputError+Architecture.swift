import AdaShareSupport

/// A network or policy that cannot be laid out as asked.
extension InputError {
    static func badWidth(_ width: Double) -> InputError {
        InputError(file: "model.width", found: "\(width)", expected: "a number above 0 and at most 16")
    }

    static func badHeadHidden(_ hidden: Int) -> InputError {
        InputError(file: "head hidden channels", found: "\(hidden)", expected: "1 to 65536")
    }

    static var noTasks: InputError {
        InputError(file: "tasks", found: "an empty list", expected: "at least one task")
    }

    static func emptyTaskName(index: Int) -> InputError {
        InputError(file: "tasks[\(index)].name", found: "an empty name", expected: "a name")
    }

    static func duplicateTask(_ name: String) -> InputError {
        InputError(file: "tasks", found: "the name '\(name)' twice", expected: "distinct names")
    }

    static func badChannels(task: String, found: Int) -> InputError {
        InputError(file: "task '\(task)'", found: "\(found) channels", expected: "1 to 65536")
    }

    static func badNumber(task: String, found: Int) -> InputError {
        InputError(file: "task '\(task)'", found: "number \(found)", expected: "one from 1 that no other task has")
    }

    static func sharedImages(task: String, other: String) -> InputError {
        InputError(
            file: "batch norm per task", found: "the same images for tasks '\(other)' and '\(task)'",
            expected: "images of its own for every task")
    }

    static func policyTaskCount(found: Int, expected: Int) -> InputError {
        InputError(file: "policy", found: "\(found) tasks", expected: "\(expected)")
    }

    static func policyBlockCount(task: String, found: Int, expected: Int, backbone: String) -> InputError {
        InputError(
            file: "policy of task '\(task)'", found: "\(found) decisions",
            expected: "\(expected), one per block of \(backbone)")
    }
}
