import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareSupport
import Foundation

/// What a command reads, so that nothing it writes takes its place.
struct InputFiles {
    private var files: [String] = []
    private var folders: [String] = []

    init(_ files: [String?]) { add(files) }

    /// Adds files by path; nil is none.
    mutating func add(_ paths: [String?]) { files += paths.compactMap { $0 } }

    /// Adds what a configuration names: files, and data sets with all that is in their folders.
    mutating func add(_ configuration: ExperimentConfiguration) {
        add([configuration.model.initialCheckpoint])
        for task in configuration.tasks {
            if case .file(let path) = task.classWeights { files.append(path) }
        }
        _ = configuration.method.chosen.resolved { path in
            files.append(path)
            return path
        }
        folders += ([configuration.dataset.root] + configuration.tasks.map { $0.dataset?.root }).compactMap { $0 }
    }

    /// Adds a policy that is a file.
    mutating func add(_ policy: PolicySource?) {
        if case .file(let path)? = policy { files.append(path) }
    }

    /// Adds what `train` keeps in the folder of a run; other files there are the user's.
    mutating func add(trainedIn path: String?) {
        guard let path else { return }
        let kept = RunDirectory.kept(in: URL(fileURLWithPath: path))
        files += kept.files.map(\.relativePath)
        folders += kept.folders.map(\.relativePath)
    }

    /// Adds a run with all that is in its folder.
    mutating func add(run path: String?) { if let path { folders.append(path) } }

    /// Checks, before any work, that no output takes the place of an input or of another output, or is a link.
    ///
    /// - Throws: `InputError` naming both.
    func check(_ outputs: [String]) throws {
        var seen: [String: String] = [:]
        let places = Dictionary(files.map { (Self.place($0), $0) }) { first, _ in first }
        let read = Dictionary(files.compactMap { file in Self.identity(file).map { ($0, file) } }) { first, _ in first }
        for output in outputs {
            let place = Self.place(output)
            if let other = seen.updateValue(output, forKey: place) {
                throw InputError(
                    file: output, found: "the place of another output, \(other)", expected: "a name of its own")
            }
            if let input = places[place] ?? Self.identity(output).flatMap({ read[$0] }) {
                throw InputError(
                    file: output, found: "a file that is read, \(input)", expected: "another place for what is written")
            }
            try OrdinaryFile.refuseLink(at: URL(fileURLWithPath: output))
            guard FileManager.default.fileExists(atPath: output) else { continue }
            let resolved = URL(fileURLWithPath: output).resolvingSymlinksInPath().path
            for folder in folders where resolved.hasPrefix(Self.folder(folder)) || place.hasPrefix(Self.folder(folder))
            {
                throw InputError(
                    file: output, found: "a file of \(folder), which is read", expected: "another place, or a new file")
            }
            try Self.refuseFileOfRun(output, at: place)
        }
    }

    /// Refuses what `train` keeps of a run, whatever is read: the run could not be shown or resumed any more.
    private static func refuseFileOfRun(_ output: String, at place: String) throws {
        // In the run's own folder, or in one of that folder.
        let folder = URL(fileURLWithPath: place).deletingLastPathComponent()
        for run in [folder, folder.deletingLastPathComponent()]
        where FileManager.default.fileExists(atPath: RunDirectory.Entry.configuration.url(in: run).path) {
            let kept = RunDirectory.kept(in: run)
            guard
                kept.files.contains(where: { $0.path == place })
                    || kept.folders.contains(where: { place.hasPrefix($0.path + "/") })
            else { continue }
            throw InputError(
                file: output, found: "a file that the run \(run.lastPathComponent) keeps",
                expected: "another place, or a new file")
        }
    }

    /// A path as a new file would get it: links in its folder followed, its own name kept.
    private static func place(_ path: String) -> String {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        return url.deletingLastPathComponent().resolvingSymlinksInPath().appendingPathComponent(url.lastPathComponent)
            .path
    }

    private static func folder(_ path: String) -> String {
        URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path + "/"
    }

    /// What a path leads to, by whatever links; nil where there is nothing.
    private static func identity(_ path: String) -> [UInt64]? {
        var found = stat()
        return stat(path, &found) == 0 ? [UInt64(found.st_dev), UInt64(found.st_ino)] : nil
    }
}
