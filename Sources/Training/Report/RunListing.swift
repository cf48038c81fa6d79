import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareSupport
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a list of runs says about one.
public struct RunListing: Sendable, Encodable {
    /// What becomes of it.
    public enum State: String, Sendable, Encodable {
        /// A process works on it, it has come to its end, or it may be resumed.
        case running, finished, stopped
        /// A file is missing or cannot be read; `problem` says which.
        case damaged
    }

    /// The folder, from the one that is listed.
    public let name: String
    /// The same from where the program runs.
    public let folder: String
    /// What becomes of it.
    public private(set) var state = State.stopped
    /// What is wrong, of a damaged one.
    public private(set) var problem: String?
    /// `method.kind`.
    public private(set) var method: String?
    /// The phase that runs, or ran last; its place among the phases of the run, from 1; and how many these are.
    public private(set) var phase: String?, phaseNumber: Int?, phases: Int?
    /// Steps of the phase that are done, and all of them.
    public private(set) var iteration: Int?, iterations: Int?
    /// The run that belongs to it and is worked on, or is the next to be, once its own phases are over; and the
    /// last of them, once all are finished.
    package private(set) var part: RunStanding.Part?, lastPart: RunStanding.Part?
    /// Best score on the validation split in percent, of the last phase that has one, but for what results are compared
    /// with: mean relative gain over what scores of the run are relative to.
    public private(set) var bestScore: Double?
    /// Mean relative gain over hard sharing in percent, where the run has trained that too.
    public private(set) var gainOverHardSharing: Double?
    /// Bytes on disk, runs that belong to it included.
    public private(set) var bytes = 0
    /// When a file of it was written last, in seconds since 1970-01-01 UTC.
    public private(set) var lastChange = 0.0

    /// Lists the runs in a folder and the folders in it, those last changed first. Runs that belong to a run are a part
    /// of it. Links to folders are followed; a run is listed once, by the name that needs none where there is one.
    ///
    /// - Parameters:
    ///   - root: the folder; a run's own is listed alone.
    ///   - leftOut: told the folders that are not looked into, whose names are no UTF-8, spelled out.
    /// - Throws: `InputError` if it is no folder that can be read.
    public static func all(in root: URL, leftOut: ([String]) -> Void = { _ in }) throws -> [RunListing] {
        guard FolderNames(root.path) != nil else {
            throw InputError(
                file: root.relativePath, found: "no folder that can be read",
                expected: "one that runs lie in: adashare runs FOLDER")
        }
        var search = Search()
        search.look(in: root, name: "", depth: 0)
        search.followLinks()
        if !search.leftOut.isEmpty { leftOut(search.leftOut) }
        return search.found.sorted { ($1.lastChange, $0.name) < ($0.lastChange, $1.name) }
    }

    /// Looks at the folder of a run.
    ///
    /// - Parameters:
    ///   - folder: of the run.
    ///   - name: what it is called.
    /// - Throws: `InputError` if it is no run's.
    public init(of folder: URL, name: String) throws {
        _ = try RunDirectory(folder, mode: .read)
        self.init(folder, name: name)
    }

    /// Goes through folders, each once, by whatever name it is come to.
    private struct Search {
        private(set) var found: [RunListing] = []
        private(set) var leftOut: [String] = []
        private var seen: Set<[UInt64]> = []
        private var links: [(folder: URL, name: String, depth: Int)] = []

        /// Studies have a folder for each row, in one of their own.
        private static let deepest = 5

        mutating func look(in folder: URL, name: String, depth: Int) {
            guard let status = RunListing.status(folder.path, followsLinks: true) else { return }
            let identity = [UInt64(status.st_dev), UInt64(status.st_ino)]
            guard seen.insert(identity).inserted else { return }
            guard let contents = FolderNames(folder.path) else {
                var listing = RunListing(name: name, folder: folder.relativePath)
                (listing.state, listing.problem) = (.damaged, "the folder cannot be read")
                found.append(listing)
                return
            }
            if RunDirectory.isRun(holding: Set(contents.names)) {
                found.append(RunListing(folder, name: name.isEmpty ? "." : name))
                return
            }
            guard depth < Self.deepest else {
                // A link may lead here from less deep.
                seen.remove(identity)
                return
            }
            func below(_ child: String) -> String { name.isEmpty ? child : "\(name)/\(child)" }
            leftOut += contents.others.filter { $0.isFolder && !$0.name.hasPrefix(".") }.map { below($0.name) }
            for child in contents.names where !child.hasPrefix(".") {
                let (url, path) = (folder.appendingPathComponent(child), below(child))
                switch RunListing.status(url.path).map({ $0.st_mode & S_IFMT }) {
                case S_IFDIR: look(in: url, name: path, depth: depth + 1)
                case S_IFLNK: links.append((url, path, depth + 1))
                default: break
                }
            }
        }

        /// Looks where links lead, once all that is there without them has been seen.
        mutating func followLinks() {
            while !links.isEmpty {
                let (folder, name, depth) = links.removeFirst()
                guard let status = RunListing.status(folder.path, followsLinks: true),
                    status.st_mode & S_IFMT == S_IFDIR
                else { continue }
                look(in: folder, name: name, depth: depth)
            }
        }
    }

    private init(name: String, folder: String) { (self.name, self.folder) = (name, folder) }

    private init(_ folder: URL, name: String) {
        self.init(name: name, folder: folder.relativePath)
        measure(folder.path)
        let isHeld = RunDirectory.isHeld(folder)
        do {
            try read(RunDirectory(folder, mode: .read))
        } catch {
            (state, problem) = (.damaged, "\(error)")
        }
        // A run that has just begun may lack anything.
        if isHeld { (state, problem) = (.running, nil) }
    }

    private mutating func read(_ run: RunDirectory) throws {
        let configuration = try run.readConfiguration()
        method = configuration.method.kind
        let log = try EventLog.Lines(run.log)
        let standing = try RunStanding(run, configuration, asked: run.readAsked(), log)
        (phase, phaseNumber, phases) = (standing.phase, standing.phaseNumber, standing.phases)
        (iteration, iterations) = (standing.iteration, standing.iterations)
        (part, lastPart) = (standing.part, standing.lastPart)
        bestScore = Self.bestScore(log, ofLast: standing.judged)
        let summary: Ending? = try JSONText.readFileIfThere(run.summary)
        gainOverHardSharing = summary?.gainOverHardSharing
        if standing.isFinished { state = .finished }
        // In the end, so that the rest is known of a run with a bad line.
        try log.check()
        _ = try log.last()
        for kind in standing.parts {
            let folder = run.url.appendingPathComponent(kind.folder)
            try EventLog.Lines(RunDirectory.Entry.log.url(in: folder)).check()
        }
    }

    /// The best score of the last of these phases that has one.
    private static func bestScore(_ log: EventLog.Lines, ofLast phases: [String]) -> Double? {
        var best: [String: Double] = [:]
        for event in log.events("evaluation") {
            guard let phase = event["phase"]?.string, let score = event["score"]?.double else { continue }
            best[phase] = max(score, best[phase] ?? score)
        }
        return phases.last { best[$0] != nil }.flatMap { best[$0] }
    }

    /// The part of a summary that is listed.
    private struct Ending: Decodable {
        let gainOverHardSharing: Double?
    }

    // MARK: - Files

    private static func status(_ path: String, followsLinks: Bool = false) -> stat? {
        var status = stat()
        return (followsLinks ? stat(path, &status) : lstat(path, &status)) == 0 ? status : nil
    }

    private mutating func measure(_ path: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
            guard let status = Self.status("\(path)/\(name)") else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                measure("\(path)/\(name)")
                continue
            }
            bytes += 512 * Int(status.st_blocks)
            #if canImport(Darwin)
                let time = status.st_mtimespec
            #else
                let time = status.st_mtim
            #endif
            lastChange = max(lastChange, (Double(time.tv_sec) + Double(time.tv_nsec) / 1e9).rounded())
        }
    }
}
