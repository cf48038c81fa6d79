import AdaShareDatasets
import AdaShareSchema
import AdaShareTasks
import Synchronization

/// Every key of the configuration: the one table that decoding, encoding, checks and documentation share.
public struct ConfigurationReference {
    /// One documented key.
    public struct Key: Sendable, Equatable {
        /// Dotted path; `tasks[].name` for a key of every task.
        public let path: String
        /// Type and limits.
        public let type: String
        /// The default as YAML, or "required", or how it follows from other keys.
        public let defaultText: String
        /// What the key means.
        public let meaning: String
    }

    /// The names that keys may have as values.
    let vocabulary: Vocabulary

    /// The reference of a vocabulary.
    public init(_ vocabulary: Vocabulary = .standard) { self.vocabulary = vocabulary }

    /// All keys, in the order of a resolved file.
    public var keys: [Key] {
        let defaults = ExperimentConfiguration(vocabulary: vocabulary)
        return fields.flatMap { field -> [Key] in
            let items = field.items.map {
                Key(
                    path: "\(field.path)[].\($0.path)", type: $0.expectation, defaultText: $0.defaultText,
                    meaning: $0.meaning)
            }
            guard items.isEmpty || !field.isRequired else { return items }
            let own = Key(
                path: field.path, type: field.expectation,
                defaultText: field.defaultText ?? field.defaultLeaf(of: defaults), meaning: field.meaning)
            return [own] + items
        }
    }

    /// Metrics keep a count for every pair of classes: 128 MB for as many as this.
    private static let maximumChannels = 4096

    /// Kinds by what they have in common, such as "normals 3; depth, edges 1".
    private func kinds<Value: Hashable>(_ value: (any TaskKind.Type) -> Value?, _ spell: (Value) -> String) -> String {
        var groups: [(value: Value, names: [String])] = []
        for kind in vocabulary.tasks.all {
            guard let value = value(kind) else { continue }
            if let known = groups.firstIndex(where: { $0.value == value }) {
                groups[known].names.append(kind.name)
            } else {
                groups.append((value, [kind.name]))
            }
        }
        return "by kind: "
            + groups.map { "\($0.names.joined(separator: ", ")) \(spell($0.value))" }.joined(separator: "; ")
    }

    /// The keys of one task. `kind` comes before `channels` and `weight`, whose defaults it sets.
    var taskFields: [ConfigurationField<TaskConfiguration>] {
        let kinds = vocabulary.tasks
        return [
            .key("name", \.name, isRequired: true, "Unique name: the key in logs, policies and result files."),
            .choice(
                "kind", of: kinds.all.map { $0.name }, isRequired: true,
                "What the task predicts: "
                    + kinds.all.map { "`\($0.name)`, \($0.meaning)" }.joined(separator: "; ") + ".",
                word: { $0.kind.name },
                choose: { task, word in
                    guard let kind = kinds[word] else { return }
                    task.kind = kind
                    task.channels = kind.channels ?? 0
                    task.weight = kind.defaultWeight
                }),
            .key(
                "label", \.label, limit: ConfigurationLimit(text: "not empty") { $0 != "" }, defaultText: "the kind",
                "The data set's label that the task learns. Tasks of one kind can learn different ones."),
            .key(
                "channels", \.channels, in: 1...Self.maximumChannels,
                defaultText: self.kinds({ $0.channels }, { "\($0)" }),
                "Outputs: the number of classes where the kind predicts classes, else what the kind demands."),
            .key(
                "weight", \.weight, limit: .atLeast(0),
                defaultText: self.kinds({ $0.defaultWeight }, { "\(Int($0))" }),
                "Weight λ of the task's loss."),
            .key(
                "class_weights", \.classWeights, defaultText: "null",
                "Weights of the classes in the cross-entropy: one number per class, or a file that holds them."),
            .key(
                "ignore_label", \.ignoreLabel, in: Int(Int32.min)...Int(Int32.max), defaultText: "255",
                "Label value that loss and metrics leave out; −1 for Cityscapes. No label by kind: "
                    + kinds.all.map { "`\($0.name)`, \($0.absence)" }.joined(separator: "; ") + "."),
            .key(
                "number", \.number, in: .fromOne,
                defaultText: "the position in the list, from 1",
                "Number in the parameter names `task<number>_…`; `--tasks` sets it, so that a part of the tasks "
                    + "keeps its names."
            ),
        ] + taskDatasetFields
    }

    /// What a run that has begun allows of a key of a resolved file, such as `tasks.0.weight`.
    func change(of path: String) -> KeyChange {
        if let field = fields.first(where: { $0.path == path }) { return field.change }
        let parts = path.split(separator: ".", maxSplits: 2)
        guard parts.count == 3, parts[0] == "tasks" else { return .refused }
        return taskFields.first { $0.path == parts[2] }?.change ?? .refused
    }

    /// All keys below the root, which are made once: lists of runs read many files.
    var fields: [ConfigurationField<ExperimentConfiguration>] {
        let vocabulary = vocabulary.identity
        if let known = Self.known.withLock({ $0[vocabulary] }) { return known }
        let fields = madeFields
        Self.known.withLock { $0[vocabulary] = fields }
        return fields
    }

    private static let known = Mutex<[[[ObjectIdentifier]]: [ConfigurationField<ExperimentConfiguration>]]>([:])

    private var madeFields: [ConfigurationField<ExperimentConfiguration>] {
        let placeholder = TaskConfiguration(name: "", kind: vocabulary.tasks.all[0])
        let tasks = ConfigurationField<ExperimentConfiguration>.list(
            "tasks", \.tasks, of: taskFields, empty: placeholder, "The tasks, in the order of their heads.")
        return [tasks] + datasetFields + Self.modelFields + methodFields + objectiveFields + Self.trainingFields
            + Self.policyFields
    }
}
