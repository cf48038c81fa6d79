/// Every key of the configuration: the one table that decoding, encoding, checks and documentation share.
public enum ConfigurationReference {
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

    /// All keys, in the order of a resolved file.
    public static var keys: [Key] {
        let defaults = ExperimentConfiguration()
        let tasks = taskFields.map { field in
            Key(
                path: "tasks[].\(field.path)", type: field.expectation,
                defaultText: field.isRequired ? "required" : field.defaultText ?? "", meaning: field.meaning)
        }
        let others = fields.filter { $0.path != "tasks" }.map { field in
            Key(
                path: field.path, type: field.expectation,
                defaultText: field.defaultText
                    ?? ConfigurationTree.leaves(of: field.write(defaults)).first?.1 ?? "",
                meaning: field.meaning)
        }
        return tasks + others
    }

    /// Metrics keep a count for every pair of classes: 128 MB for as many as this.
    private static let maximumChannels = 4096

    /// The keys of one task. `kind` comes before `channels` and `weight`, whose defaults it sets.
    static var taskFields: [ConfigurationField<TaskConfiguration>] {
        [
            .key("name", \.name, isRequired: true, "Unique name: the key in logs, policies and result files."),
            .key("kind", \.kind, isRequired: true, "What the task predicts.") { task in
                task.channels = task.kind.fixedChannels ?? 0
                task.weight = task.kind.defaultWeight
            },
            .key(
                "channels", \.channels, in: 1...maximumChannels,
                defaultText: "by kind: normals 3; depth, keypoints, edges 1",
                "Outputs: the number of classes for segmentation and classification, else what the kind demands."),
            .key(
                "weight", \.weight, limit: .atLeast(0),
                defaultText: "by kind: segmentation, classification 1; normals 20; depth 3; keypoints, edges 7",
                "Weight λ of the task's loss."),
            .key(
                "class_weights", \.classWeights, defaultText: "null",
                "Weights of the classes in the cross-entropy: one number per class, or a file that holds them."),
            .key(
                "ignore_label", \.ignoreLabel, in: Int(Int32.min)...Int(Int32.max), defaultText: "255",
                "Label value that loss and metrics leave out; −1 for Cityscapes."),
            .key(
                "number", \.number, in: .fromOne,
                defaultText: "the position in the list, from 1",
                "Number in the parameter names `task<number>_…`; `--tasks` sets it, so that a part of the tasks keeps its "
                    + "names."
            ),
        ]
    }

    /// All keys below the root.
    static var fields: [ConfigurationField<ExperimentConfiguration>] {
        let tasks = ConfigurationField<ExperimentConfiguration>.list(
            "tasks", \.tasks, of: taskFields, empty: TaskConfiguration(name: "", kind: .segmentation),
            "The tasks, in the order of their heads.")
        return [tasks] + datasetFields + modelFields + trainingFields + policyFields
    }
}
