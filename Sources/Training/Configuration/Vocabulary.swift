import Datasets
import Tasks

/// The names that a configuration may use: what can be predicted, and what can be read.
///
/// A program with a task kind or a reader of its own parses its configurations with a larger vocabulary.
public struct Vocabulary: Sendable {
    /// What `tasks[].kind` may be.
    public var tasks: TaskKinds
    /// What `dataset.kind` may be.
    public var readers: Readers

    /// Creates a vocabulary.
    public init(tasks: TaskKinds = .standard, readers: Readers = .standard) {
        self.tasks = tasks
        self.readers = readers
    }

    /// What this package knows.
    public static let standard = Vocabulary()
}
