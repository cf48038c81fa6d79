import AdaShareMethods
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import AdaShareTasks
import Foundation
import Yams

/// Everything a run depends on, as read from a YAML file.
///
/// `ConfigurationReference` lists every key with its default: the NYU v2 3-task column of the method's settings.
public struct ExperimentConfiguration: Sendable {
    /// The tasks, in the order of their heads.
    public var tasks: [TaskConfiguration]
    /// Images and labels.
    public var dataset: DatasetConfiguration
    /// The network.
    public var model = ModelConfiguration()
    /// How it is trained.
    public var method: ChosenKind<any Method>
    /// What is minimised.
    public var objective: ChosenKind<any Objective>
    /// Lengths of phases, and optimisers.
    public var training = TrainingConfiguration()
    /// Policy learning.
    public var policy = PolicyConfiguration()
    /// The names it may use.
    public let vocabulary: Vocabulary

    /// Creates the defaults for these tasks.
    public init(tasks: [TaskConfiguration] = [], vocabulary: Vocabulary = .standard) {
        self.tasks = tasks
        self.vocabulary = vocabulary
        dataset = DatasetConfiguration(readers: vocabulary.readers)
        method = ChosenKind(vocabulary.methods.all)
        objective = ChosenKind(vocabulary.objectives.all)
    }

    /// Reads a YAML file and applies `path=value` overrides to it. One of the published code is translated first, as
    /// ``PublishedConfiguration`` says.
    ///
    /// - Throws: `InputError` if the file cannot be read, is not YAML, or has an unknown key, a wrong type or a
    ///   value out of range.
    public static func load(
        _ url: URL, overrides: [String] = [], vocabulary: Vocabulary = .standard
    ) throws -> ExperimentConfiguration {
        let text = try Self.text(of: url)
        guard let published = try PublishedConfiguration.translate(text, file: url.path, vocabulary: vocabulary) else {
            return try parse(yaml: text, file: url.path, overrides: overrides, vocabulary: vocabulary)
        }
        do {
            return try parse(yaml: published.yaml, file: url.path, overrides: overrides, vocabulary: vocabulary)
        } catch let error as InputError {
            throw published.located(error)
        }
    }

    /// The text of a configuration file.
    static func text(of url: URL) throws -> String {
        guard let data = try? Data(contentsOf: url) else {
            throw InputError.unreadable(url, expected: "a YAML configuration")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw InputError(
                file: url.path, found: "bytes that are not UTF-8", expected: "a YAML configuration")
        }
        return text
    }

    /// Decodes YAML text; `file` names it in errors.
    ///
    /// - Throws: as `load`.
    public static func parse(
        yaml: String, file: String, overrides: [String] = [], vocabulary: Vocabulary = .standard
    ) throws -> ExperimentConfiguration {
        let tree = try ConfigurationTree(
            yaml: yaml, file: file, overrides: overrides,
            abbreviated: ["method": "kind", "objective": "kind", "dataset.augmentation": "kind"])
        var result = ExperimentConfiguration(vocabulary: vocabulary)
        try tree.decode(ConfigurationReference(vocabulary).fields, into: &result, at: tree.root, prefix: "")
        try result.validateTasks(file: file)
        try result.validatePrecision(file: file)
        try result.validateShards(file: file)
        try result.method.refuseIdleKeys(section: "method", file: file)
        try result.objective.refuseIdleKeys(section: "objective", file: file)
        try result.dataset.source.validate(place: "dataset", file: file)
        for (index, task) in result.tasks.enumerated() {
            try task.dataset?.validate(place: "tasks.\(index).dataset", file: file)
        }
        try result.validateTaskBatchNorm(file: file)
        return result
    }

    /// The resolved configuration: every key with its value, as YAML that parses back to an equal value.
    public func yaml() -> String {
        let node = ConfigurationTree.encode(ConfigurationReference(vocabulary).fields, of: self)
        do {
            return try Yams.serialize(node: node, width: -1, allowUnicode: true)
        } catch {
            preconditionFailure("the emitter refused a tree of scalars, lists and mappings: \(error)")
        }
    }

    /// With files and folders named from the root, so that a run can be evaluated and resumed from any folder.
    public var withAbsolutePaths: ExperimentConfiguration {
        func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
        var result = self
        result.dataset.root = dataset.root.map(absolute)
        result.model.initialCheckpoint = model.initialCheckpoint.map(absolute)
        for index in tasks.indices {
            result.tasks[index].dataset?.root = tasks[index].dataset?.root.map(absolute)
            guard case .file(let path) = tasks[index].classWeights else { continue }
            result.tasks[index].classWeights = .file(absolute(path))
        }
        result.method.choose(method.chosen.resolved(absolute))
        return result
    }

    /// Files whose contents decide what is trained, beside data and class weights: weights to begin with, and what the
    /// method reads.
    package var trainedFrom: [String] {
        var files = [model.initialCheckpoint].compactMap { $0 }
        _ = method.chosen.resolved {
            files.append($0)
            return $0
        }
        return files
    }

    /// The keys whose values differ, in the order of the reference, with both values as YAML text.
    public func differences(
        to other: ExperimentConfiguration
    ) -> [(path: String, mine: String, other: String)] {
        let (left, right) = (flattened(), other.flattened())
        let values = Dictionary(right, uniquingKeysWith: { first, _ in first })
        let known = Set(left.map(\.0))
        let changed = left.filter { values[$0.0] != $0.1 }
            .map { (path: $0.0, mine: $0.1, other: values[$0.0] ?? "nothing") }
        return changed
            + right.filter { !known.contains($0.0) }.map { (path: $0.0, mine: "nothing", other: $0.1) }
    }

    /// What a run that has begun allows of a key.
    ///
    /// - Parameter path: of a resolved file, such as `tasks.0.weight`.
    package func change(of path: String) -> KeyChange { ConfigurationReference(vocabulary).change(of: path) }

    /// Whether a key changes no result, whatever its value.
    ///
    /// - Parameter path: of a resolved file, such as `tasks.0.dataset.root`.
    public func mayChange(_ path: String) -> Bool { change(of: path) == .free }

    /// The network and tasks of a published setting, everything else by default.
    ///
    /// - Parameters:
    ///   - published: the setting: backbone, and tasks with their channels.
    ///   - overrides: as `--set` gives them.
    /// - Throws: `InputError` for an override that does not fit.
    public static func published(
        _ published: PublishedPolicy, overrides: [String] = []
    ) throws -> ExperimentConfiguration {
        let tasks = published.tasks.map { "  - {name: \($0.name), kind: \($0.name), channels: \($0.channels)}" }
        let yaml = "tasks:\n" + tasks.joined(separator: "\n") + "\nmodel: {backbone: \(published.backbone.rawValue)}\n"
        return try parse(yaml: yaml, file: "the network of \(published.name)", overrides: overrides)
    }

    /// The same experiment with some of its tasks; they keep their numbers, so that tensors and noise keep their names.
    ///
    /// - Throws: `InputError` for an unknown or repeated name.
    public func selecting(_ names: [String]) throws -> ExperimentConfiguration {
        let known = tasks.map(\.name)
        for name in names where !known.contains(name) || names.count(where: { $0 == name }) > 1 {
            throw InputError(
                file: "--tasks", place: nil, found: "'\(name)'",
                expected: "each once, of " + known.joined(separator: ", "))
        }
        // All of them are the network itself, whose files name no other task.
        guard names.count < tasks.count else { return self }
        var result = self
        result.tasks = tasks.enumerated().filter { names.contains($1.name) }.map { position, task in
            var part = task
            part.number = task.number ?? position + 1
            return part
        }
        return result
    }

    /// Every key of the resolved configuration with its value as YAML text, in the order of the reference.
    package func flattened() -> [(String, String)] {
        let node = ConfigurationTree.encode(ConfigurationReference(vocabulary).fields, of: self)
        return ConfigurationTree.leaves(of: node)
    }
}

extension ExperimentConfiguration: Equatable {
    /// Whether every key has the same value.
    public static func == (a: Self, b: Self) -> Bool { a.yaml() == b.yaml() }
}
