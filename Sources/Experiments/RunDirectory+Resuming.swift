import AdaShareConfiguration
import AdaShareMethods
import AdaShareSchema
import AdaShareSupport
import Foundation

/// A key of a run that has another value than when the run began.
public struct ConfigurationDifference: Sendable, Equatable {
    /// The key.
    public let path: String
    /// Its values as YAML text.
    public let before, now: String

    /// One clause for people.
    public var text: String { "\(path): \(before) before, \(now) now" }
}

/// Runs that go on with another configuration than they began with, and those that begin anew.
extension RunDirectory {
    /// Stores the resolved configuration, or, where one is stored already, demands that it changes nothing that is
    /// computed already. A run without a step is begun anew with it.
    ///
    /// - Parameters:
    ///   - configuration: the resolved one.
    ///   - key: a key that names a file of another run, which may have moved with it.
    /// - Returns: what has changed. It is stored now, but for lengths of phases, which the trainer judges and stores.
    /// - Throws: `InputError` naming the keys that may not differ, or what is not valid in the stored file.
    @discardableResult
    public func prepare(
        _ configuration: ExperimentConfiguration, moving key: String? = nil
    ) throws -> [ConfigurationDifference] {
        guard hasConfiguration else {
            try begin(configuration)
            return []
        }
        let stored = try readConfiguration()
        let all = stored.differences(to: configuration).map {
            ConfigurationDifference(path: $0.path, before: $0.mine, now: $0.other)
        }
        guard !all.isEmpty else { return [] }
        if try isUnbegun() {
            removeUnbegun()
            try begin(configuration)
            return []
        }
        func change(_ difference: ConfigurationDifference) -> KeyChange {
            difference.path == key ? .free : configuration.change(of: difference.path)
        }
        let fixed = all.filter { change($0) == .refused }
        guard fixed.isEmpty else { throw refusal(of: fixed) }
        let longer = all.filter { change($0) == .longer }
        if longer.isEmpty {
            try store(configuration)
        } else {
            try checkLengths(stored, configuration, longer)
        }
        return all
    }

    /// What another configuration makes of the run.
    package enum Continuation {
        /// The same run.
        case same
        /// The same run, with more steps.
        case longer
        /// Another run, and why.
        case other(InputError)
    }

    /// What another configuration would make of the run.
    ///
    /// - Throws: `InputError` if the stored one is missing or not valid.
    package func continuation(_ configuration: ExperimentConfiguration) throws -> Continuation {
        let stored = try readConfiguration()
        let all = stored.differences(to: try configuration.stored(beside: stored)).map {
            ConfigurationDifference(path: $0.path, before: $0.mine, now: $0.other)
        }
        let refused = all.filter { configuration.change(of: $0.path) == .refused }
        if !refused.isEmpty { return .other(refusal(of: refused)) }
        if let file = fileThatChanged(of: configuration) {
            return .other(
                InputError(
                    file: url.path, found: "another content of \(file) than when the run began",
                    expected: "the same, or another --output for a new run"))
        }
        return all.contains { configuration.change(of: $0.path) == .longer } ? .longer : .same
    }

    /// Stores the configuration that the run goes on with.
    package func store(_ configuration: ExperimentConfiguration) throws {
        try AtomicFile.write(Data(configuration.yaml().utf8), to: self.configuration)
    }

    private func begin(_ configuration: ExperimentConfiguration) throws {
        try store(configuration)
        let hashes = configuration.trainedFrom.reduce(into: [String: String]()) { $0[$1] = Self.hash(of: $1) }
        guard !hashes.isEmpty else { return }
        try AtomicFile.write(Data(try JSONText.pretty(hashes).utf8), to: inputs)
    }

    /// Path → `ContentHash` of files that the run was begun with.
    private var inputs: URL { Entry.inputs.url(in: url) }

    private static func hash(of path: String) -> String? {
        (try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)).map(ContentHash.text)
    }

    /// A file that the run was begun with and that has another content now; one that is gone is not needed again.
    private func fileThatChanged(of configuration: ExperimentConfiguration) -> String? {
        guard let data = try? Data(contentsOf: inputs),
            let known = try? JSONText.read([String: String].self, data)
        else { return nil }
        return configuration.withAbsolutePaths.trainedFrom.first { path in
            guard let before = known[path], let now = Self.hash(of: path) else { return false }
            return before != now
        }
    }

    private func refusal(of differences: [ConfigurationDifference]) -> InputError {
        let (first, others) = (differences[0], differences.dropFirst().prefix(3).map(\.path))
        let final = (try? readConfiguration()).flatMap { try? results(of: Experiment($0)) }?.first?.weights
        let weights = (final ?? latestCheckpoint).map {
            "; a new run starts from this one's weights with --set model.initial_checkpoint=\($0.path)"
        }
        return InputError(
            file: configuration.path,
            found: "\(first.path): \(first.before) in the run, \(first.now) now"
                + (others.isEmpty ? "" : " (also " + others.joined(separator: ", ") + ")"),
            expected: "an unchanged configuration to resume with, or another --output for a new run" + (weights ?? ""))
    }

    /// Refuses other lengths of phases that are over, but for more of the last one, and where steps depend on them.
    private func checkLengths(
        _ stored: ExperimentConfiguration, _ now: ExperimentConfiguration, _ differences: [ConfigurationDifference]
    ) throws {
        func outlines(_ configuration: ExperimentConfiguration) throws -> [PhaseOutline] {
            try configuration.method.chosen.phases(configuration.methodSettings())
        }
        let latest = latestCheckpoint.flatMap { file in
            file.lastPathComponent.lastIndex(of: "-").map { _ in file.lastPathComponent }
        }
        for (before, after) in zip(try outlines(stored), try outlines(now)) where before.iterations != after.iterations
        {
            let name = before.phase.rawValue
            let isLast = latest?.hasPrefix("\(name)-") ?? false
            let weights = checkpoints.appendingPathComponent("\(name).safetensors")
            let isOver = FileManager.default.fileExists(atPath: weights.path)
            if !isOver, let done = latestPlace, done.phase == name, done.iteration > after.iterations {
                let change = differences.first { $0.path == "training.\(name).iterations" } ?? differences[0]
                throw InputError(
                    file: configuration.path, place: change.path,
                    found: "\(after.iterations) now, with \(done.iteration) done", expected: "at least as many")
            }
            let mayGrow = isLast && after.iterations > before.iterations && !before.isBoundToLength
            let mayChange = isOver ? mayGrow : !(isLast && before.isBoundToLength)
            if !mayChange { throw refusal(of: differences) }
        }
        try checkParts(now)
    }

    /// Refuses fewer steps of retraining than the runs that belong to this one have done, before anything is changed.
    private func checkParts(_ now: ExperimentConfiguration) throws {
        let wanted = now.training.retrain.iterations
        for (name, folder) in Self.parts(in: url) {
            guard let part = try? RunDirectory(folder, mode: .read), let done = part.latestPlace,
                done.phase == Phase.retrain.rawValue, done.iteration > wanted
            else { continue }
            throw InputError(
                file: configuration.path, place: "training.retrain.iterations",
                found: "\(wanted) now, with \(done.iteration) done in \(name)", expected: "at least as many")
        }
    }

    /// What ends the name of a checkpoint after all steps of a phase that has not ended.
    package static let openSuffix = "-open"

    /// The weights of the newest checkpoint; nil where there is none after a step.
    package var latestCheckpoint: URL? {
        struct Pointer: Decodable { let model: String }
        guard let data = try? Data(contentsOf: latest),
            let pointer = try? JSONText.decode(Pointer.self, from: data)
        else { return nil }
        return checkpoints.appendingPathComponent(pointer.model)
    }

    /// The phase of the newest checkpoint, and the steps of it that are done.
    package var latestPlace: (phase: String, iteration: Int)? {
        guard var name = latestCheckpoint?.deletingPathExtension().lastPathComponent else { return nil }
        if name.hasSuffix(Self.openSuffix) { name.removeLast(Self.openSuffix.count) }
        guard let dash = name.lastIndex(of: "-"), let iteration = Int(name[name.index(after: dash)...]) else {
            return nil
        }
        return (String(name[..<dash]), iteration)
    }

    // MARK: - Runs without a step

    /// Whether no step of the run is kept anywhere, so that nothing is lost with what it has left.
    package func isUnbegun() throws -> Bool {
        guard !(try hasTrained()) else { return false }
        let manager = FileManager.default
        let names = try manager.contentsOfDirectory(atPath: url.path)
        guard names.allSatisfy({ Self.isFirst($0) || AtomicFile.isTemporary($0) }) else { return false }
        let kept = (try? manager.contentsOfDirectory(atPath: checkpoints.path)) ?? []
        return kept.allSatisfy {
            $0 == latest.lastPathComponent || $0 == initialWeights.lastPathComponent || AtomicFile.isTemporary($0)
                || $0.contains("-0000000.")
        }
    }

    /// Removes what such a run has left, but for its lock.
    package func removeUnbegun() {
        let manager = FileManager.default
        for name in (try? manager.contentsOfDirectory(atPath: url.path)) ?? []
        where Self.isFirst(name) && ![Entry.lock.name, Entry.checkpoints.name].contains(name) {
            try? manager.removeItem(at: url.appendingPathComponent(name))
        }
        for name in (try? manager.contentsOfDirectory(atPath: checkpoints.path)) ?? [] {
            try? manager.removeItem(at: checkpoints.appendingPathComponent(name))
        }
    }
}
