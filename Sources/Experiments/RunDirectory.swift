import AdaShareConfiguration
import AdaShareMethods
import AdaShareSupport
import Foundation

/// The folder of one run: resolved config, log, policy, checkpoints and summary, held by at most one writing process.
public final class RunDirectory: Sendable {
    /// How a run directory is opened.
    public enum Mode: Sendable {
        /// A new run: the folder must be missing or empty.
        case create
        /// An earlier run, or what one killed before its first file left: the folder must exist.
        case resume
        /// Without the lock, to evaluate or report.
        case read
    }

    /// The folder.
    public let url: URL
    /// How it was opened.
    public let mode: Mode
    private let lock: FolderLock?
    /// Whether its file system has no locks, so that nothing keeps another process from the run.
    public var hasNoLocks: Bool { lock?.hasNone ?? false }

    /// Whether a process works on the run in a folder now.
    package static func isHeld(_ folder: URL) -> Bool { FolderLock.isHeld(folder, name: Entry.lock.name) }

    /// Whether a folder that holds these names is that of a run, damaged or not.
    package static func isRun(holding names: Set<String>) -> Bool {
        func has(_ entry: Entry) -> Bool { names.contains(entry.name) }
        let others: [Entry] = [.lock, .checkpoints, .log, .summary, .algorithms]
        if has(.configuration) { return others.contains(where: has) }
        return has(.lock) && has(.checkpoints) || has(.log) && has(.summary)
    }

    /// Opens the folder, takes the lock (unless reading) and removes temporary files of killed processes.
    ///
    /// - Throws: `InputError` if the folder is not empty (`create`), is missing or no run's (`resume`, `read`), cannot
    ///   be written, has a link where `train` writes, or is held by another process.
    public init(_ url: URL, mode: Mode) throws {
        self.url = url
        self.mode = mode
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
        if exists && !isFolder.boolValue {
            throw InputError(file: url.path, found: "a file", expected: "a folder for the run")
        }
        if mode != .create && !exists {
            throw InputError(file: url.path, found: "no such folder", expected: "the folder of an earlier run")
        }
        if mode == .read {
            lock = nil
            try Self.requireRun(at: url)
            return
        }
        if !exists { try AtomicFile.makeFolder(url) }
        // Before the lock file is made: a foreign folder is left as it was found.
        let contents = try Self.contents(of: url)
        if mode == .create, let name = contents.first {
            let isRun = contents.contains(Entry.configuration.name)
            let mayReplace = isRun ? try Self(url, mode: .read).isUnbegun() : false
            guard mayReplace else {
                throw InputError(
                    file: url.path, found: "a folder that is not empty (\(name))",
                    expected: "an empty or new folder, or --resume to continue the run in it")
            }
        }
        if mode == .resume && !contents.isEmpty { try Self.requireRun(at: url) }
        try Self.refuseLinks(in: url)
        lock = try FolderLock(url, name: Entry.lock.name, of: "run")
        try AtomicFile.makeFolder(checkpoints, in: url)
        if mode == .create { removeUnbegun() }
        for folder in [url, checkpoints, policies, pictures] { AtomicFile.removeLeftovers(in: folder) }
    }

    /// Whether the run has stored its configuration; false for a new run and for one killed before it could.
    public var hasConfiguration: Bool { FileManager.default.fileExists(atPath: configuration.path) }

    /// Whether the log says that steps were taken, whatever is wrong with its other lines; those before the first
    /// checkpoint cannot be.
    package func hasTrained() throws -> Bool { try EventLog.Lines(log).hold(event: "step") }

    /// The configuration the run was started with.
    ///
    /// - Throws: `InputError` if the file is missing or not valid.
    public func readConfiguration() throws -> ExperimentConfiguration {
        try ExperimentConfiguration.load(configuration, overrides: [])
    }

    /// Paths of the finished checkpoint files with this extension, sorted by name; temporary files are left out.
    public func checkpointFiles(extension suffix: String = "safetensors") -> [URL] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints.path)) ?? []
        return names.filter { !AtomicFile.isTemporary($0) && $0.hasSuffix("." + suffix) }.sorted()
            .map { checkpoints.appendingPathComponent($0) }
    }

    /// The weights that a run has come to, each with the tasks that they are for: nil for all.
    ///
    /// - Parameter experiment: of the run, or of a part of its tasks.
    /// - Throws: `InputError` if no phase has finished.
    public func results(of experiment: Experiment) throws -> [(weights: URL, tasks: [String]?)] {
        func url(_ phase: Phase) -> URL { checkpoints.appendingPathComponent("\(phase.rawValue).safetensors") }
        let results = experiment.results { FileManager.default.fileExists(atPath: url($0).path) }
        guard !results.isEmpty else {
            throw InputError(
                file: checkpoints.path, found: "no weights of a finished phase", expected: "one, or --checkpoint FILE")
        }
        return results.map { (url($0.phase), $0.tasks) }
    }

    /// The run whose checkpoint a file is; nil for one that lies elsewhere.
    public static func holding(checkpoint file: URL) -> RunDirectory? {
        let folder = file.standardizedFileURL.resolvingSymlinksInPath().deletingLastPathComponent()
        guard folder.lastPathComponent == Entry.checkpoints.name else { return nil }
        return try? RunDirectory(folder.deletingLastPathComponent(), mode: .read)
    }

    /// Makes the folder for the policies of several budgets.
    package func makePolicies() throws { try AtomicFile.makeFolder(policies, in: url) }

    /// What the folder holds, apart from what a run killed right after its start may leave.
    private static func contents(of url: URL) throws -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: url.path) else {
            throw InputError(file: url.path, found: "a folder that cannot be read", expected: "a folder for the run")
        }
        return names.sorted().filter { name in
            if name == Entry.lock.name || AtomicFile.isTemporary(name) { return false }
            guard name == Entry.checkpoints.name else { return true }
            return (try? FileManager.default.contentsOfDirectory(atPath: url.path + "/" + name))?.isEmpty != true
        }
    }

    private static func requireRun(at url: URL) throws {
        func isRun(_ folder: URL) -> Bool {
            FileManager.default.fileExists(atPath: Entry.configuration.url(in: folder).path)
        }
        guard !isRun(url) else { return }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        let inside = names.sorted().first { isRun(url.appendingPathComponent($0)) }
        throw InputError(
            file: url.path, found: "no config.yml",
            expected: "the folder of an earlier run"
                + (inside.map { ", such as \($0) in it: `adashare runs` lists them" } ?? ""))
    }
}
