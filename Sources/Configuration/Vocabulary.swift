import AdaShareDatasets
import AdaShareMethods
import AdaShareTasks

/// The names that a configuration may use: what can be predicted, what can be read, and how
/// it is learned.
///
/// A program with a task kind, a reader, a method or an objective of its own parses its configurations with a larger
/// vocabulary.
public struct Vocabulary: Sendable {
    /// What `tasks[].kind` may be.
    public var tasks: TaskKinds
    /// What `dataset.kind` may be.
    public var readers: Readers
    /// What `method.kind` may be.
    public var methods: MethodKinds
    /// What `objective.kind` may be.
    public var objectives: ObjectiveKinds

    /// Creates a vocabulary.
    public init(
        tasks: TaskKinds = .standard, readers: Readers = .standard, methods: MethodKinds = .standard,
        objectives: ObjectiveKinds = .standard
    ) {
        self.tasks = tasks
        self.readers = readers
        self.methods = methods
        self.objectives = objectives
    }

    /// What tells it from others.
    var identity: [[ObjectIdentifier]] {
        [
            tasks.all.map { ObjectIdentifier($0) }, readers.all.map { ObjectIdentifier($0) },
            methods.all.map { ObjectIdentifier($0) }, objectives.all.map { ObjectIdentifier($0) },
        ]
    }

    /// What this package knows.
    public static let standard = Vocabulary()
}
