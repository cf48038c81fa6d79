import AdaShareSchema
import AdaShareSupport
import AdaShareTasks
import Foundation
import Yams

/// Several configurations that differ in a few keys, each trained with several seeds, to be set side by side.
public struct Study: Sendable {
    /// One configuration of a study.
    public struct Row: Sendable, Equatable {
        /// What tables call it.
        public var name = ""
        /// `path=value` as `--set` takes them, after those of the study.
        public var set: [String] = []
    }

    /// Numbers out of the literature, for a table's last rows.
    public struct Published: Sendable, Equatable {
        /// What tables call it.
        public var name = ""
        /// `task metric=value`, such as `segmentation miou=27.5`.
        public var metrics: [String] = []
    }

    /// The configuration that rows change, relative to the study's file.
    public var config = ""
    /// `path=value` of every row.
    public var set: [String] = []
    /// Values of `training.seed`.
    private var seedNumbers = [1.0]
    /// The line of the table that others are compared with, a row or one of a row's networks; nil for none.
    public var reference: String?
    /// At least one.
    public var rows: [Row] = []
    /// Rows of numbers alone.
    public var published: [Published] = []
    /// Where it was read.
    public private(set) var url = URL(fileURLWithPath: "study")
    /// Each row's configuration with the first seed, by the row's name.
    private var configurations: [String: ExperimentConfiguration] = [:]

    /// Values of `training.seed`, at least one.
    public var seeds: [Int] { seedNumbers.map { Int($0) } }

    private static var fields: [ConfigurationField<Study>] {
        [
            .key("config", \.config, isRequired: true, "The configuration that rows change, relative to this file."),
            .key("set", \.set, "Keys of every row, each path=value as --set takes them."),
            .key(
                "seeds", \.seedNumbers,
                limit: ConfigurationLimit(text: "a whole number from 0 to 1000000000, each once, at least one") {
                    list in
                    !list.isEmpty && Set(list).count == list.count
                        && list.allSatisfy { $0 >= 0 && $0 <= 1e9 && $0.rounded() == $0 }
                }, "Values of training.seed; every row is trained with each."),
            .key(
                "reference", \.reference, "What the others are compared with: a row's name, or a line's of the table."),
            .list(
                "rows", \.rows,
                of: [
                    .key("name", \.name, isRequired: true, "What tables call it."),
                    .key("set", \.set, "Keys of the row, each path=value."),
                ], empty: Row(), "The configurations."),
            .list(
                "published", \.published,
                of: [
                    .key("name", \.name, isRequired: true, "What tables call it."),
                    .key("metrics", \.metrics, isRequired: true, "Its numbers, each `task metric=value`."),
                ], empty: Published(), isRequired: false, "Rows of numbers out of the literature."),
        ]
    }

    /// Reads a study, and every configuration in it.
    ///
    /// - Throws: `InputError` naming the key at fault, of the study or of a row's configuration.
    public static func read(_ url: URL) throws -> Study {
        guard let data = try? Data(contentsOf: url), let text = String(data: data, encoding: .utf8) else {
            throw InputError(file: url.path, found: "no readable text", expected: "a YAML file of a study")
        }
        let tree = try ConfigurationTree(yaml: text, file: url.path, overrides: [])
        var study = Study()
        try tree.decode(fields, into: &study, at: tree.root, prefix: "")
        study.url = url
        try study.check()
        return study
    }

    private mutating func check() throws {
        func fail(_ place: String, _ found: String, _ expected: String) -> InputError {
            InputError(file: url.path, place: place, found: found, expected: expected)
        }
        guard !rows.isEmpty else { throw fail("rows", "none", "at least one") }
        var folders: [String: Int] = [:]
        for (index, row) in rows.enumerated() {
            guard !row.name.contains(where: \.isNewline), !row.name.unicodeScalars.contains(where: { $0.value < 32 })
            else {
                throw fail("rows.\(index).name", "a control character", "one line of text")
            }
            guard !Self.slug(row.name).isEmpty else {
                throw fail("rows.\(index).name", "'\(row.name)'", "ASCII letters or digits, which name its folder")
            }
            if let other = folders.updateValue(index, forKey: Self.slug(row.name)) {
                throw fail(
                    "rows.\(index).name", "'\(row.name)', with the folder of row \(other) '\(rows[other].name)'",
                    "names that differ in letters or digits")
            }
            for text in set + row.set {
                let key = text.prefix { $0 != "=" }.trimmingCharacters(in: .whitespaces)
                guard key == "training.seed" else { continue }
                throw fail(row.set.contains(text) ? "rows.\(index).set" : "set", text, "seeds")
            }
        }
        for row in rows { configurations[row.name] = try load(row) }
        for (index, row) in published.enumerated() {
            let place = "published.\(index)"
            guard !row.name.isEmpty else { throw fail("\(place).name", "nothing", "what tables call it") }
            guard let values = row.values, !values.isEmpty else {
                throw fail("\(place).metrics", "\(row.metrics)", "a list, each `task metric=value`, each metric once")
            }
            let tasks = rows.flatMap { configuration($0, seed: seeds[0]).tasks }
            for (name, metrics) in values.sorted(by: { $0.key < $1.key }) {
                guard let task = tasks.first(where: { $0.name == name }) else {
                    let known = Set(tasks.map(\.name)).sorted()
                    throw fail("\(place).metrics", "task '\(name)'", "one of " + known.joined(separator: ", "))
                }
                let known = task.metricNames
                if let metric = metrics.keys.sorted().first(where: { !known.contains($0) }) {
                    throw fail("\(place).metrics", "'\(name) \(metric)'", "one of " + known.joined(separator: ", "))
                }
            }
        }
    }

    /// The file of the configuration that rows change.
    public var configURL: URL {
        URL(fileURLWithPath: config, relativeTo: url.deletingLastPathComponent()).standardizedFileURL
    }

    /// What `--set` is given for a row and seed.
    public func overrides(_ row: Row, seed: Int) -> [String] { set + row.set + ["training.seed=\(seed)"] }

    /// A row's configuration, as it was when the study was read.
    ///
    /// - Precondition: the row is the study's.
    public func configuration(_ row: Row, seed: Int) -> ExperimentConfiguration {
        guard var configuration = configurations[row.name] else { preconditionFailure("no row '\(row.name)'") }
        configuration.training.seed = seed
        return configuration
    }

    private func load(_ row: Row) throws -> ExperimentConfiguration {
        do {
            let configuration = try ExperimentConfiguration.load(configURL, overrides: overrides(row, seed: seeds[0]))
            try configuration.validateForTraining(file: configURL.path)
            return configuration
        } catch let error as InputError {
            throw InputError(
                file: "\(url.path), row '\(row.name)': \(error.file)", place: error.place, found: error.found,
                expected: error.expected)
        }
    }

    /// The run folder of a row and seed in the folder of a study.
    public func folder(_ row: Row, seed: Int) -> String { "\(Self.slug(row.name))/seed-\(seed)" }

    /// Lower case, with a hyphen for all that is neither letter nor digit.
    private static func slug(_ name: String) -> String {
        name.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }.joined(separator: "-")
    }
}

extension Study.Published {
    /// Task → metric → value; nil where a text is no `task metric=value`.
    public var values: [String: [String: Double]]? {
        var result: [String: [String: Double]] = [:]
        for text in metrics {
            let sides = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard sides.count == 2, let value = Double(sides[1]), value.isFinite else { return nil }
            let words = sides[0].split(separator: " ").map(String.init)
            guard words.count == 2 else { return nil }
            guard result[words[0], default: [:]].updateValue(value, forKey: words[1]) == nil else { return nil }
        }
        return result
    }
}
