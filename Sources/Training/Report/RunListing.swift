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
    /// of it. Links are not followed.
    ///
    /// - Parameter root: the folder; a run's own is listed alone.
    /// - Throws: `InputError` if it is no folder that can be read.
    public static func all(in root: URL) throws -> [RunListing] {
        guard (try? FileManager.default.contentsOfDirectory(atPath: root.path)) != nil else {
            throw InputError(
                file: root.relativePath, found: "no folder that can be read", expected: "one that runs lie in")
        }
        var found: [RunListing] = []
        look(in: root, name: "", depth: 0, into: &found)
        return found.sorted { ($1.lastChange, $0.name) < ($0.lastChange, $1.name) }
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

    /// Studies have a folder for each row, in one of their own.
    private static let deepest = 5

    private static func look(in folder: URL, name: String, depth: Int, into found: inout [RunListing]) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
            var listing = RunListing(name: name, folder: folder.relativePath)
            (listing.state, listing.problem) = (.damaged, "the folder cannot be read")
            found.append(listing)
            return
        }
        if RunDirectory.isRun(holding: Set(names)) {
            found.append(RunListing(folder, name: name.isEmpty ? "." : name))
            return
        }
        guard depth < deepest else { return }
        for child in names.sorted() where !child.hasPrefix(".") {
            let url = folder.appendingPathComponent(child)
            guard status(url.path).map({ $0.st_mode & S_IFMT == S_IFDIR }) ?? false else { continue }
            look(in: url, name: name.isEmpty ? child : "\(name)/\(child)", depth: depth + 1, into: &found)
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
        let outlines = configuration.method.chosen.phases(try configuration.methodSettings()).filter {
            $0.iterations > 0 && !$0.isElsewhere
        }
        let log = try Log(run.log)
        let last = try log.last()
        phase = last?.phase ?? outlines.first?.phase.rawValue
        iteration = last?.iteration ?? 0
        func place(of phase: String?) -> Int? { outlines.firstIndex { $0.phase.rawValue == phase } }
        // A checkpoint may be further than what was logged.
        if let file = run.latestCheckpoint?.deletingPathExtension().lastPathComponent,
            let dash = file.lastIndex(of: "-"), let kept = Int(file[file.index(after: dash)...])
        {
            let name = String(file[..<dash])
            let (mine, other) = (place(of: name) ?? -1, place(of: phase) ?? -1)
            if mine > other || mine == other && kept > iteration ?? 0 { (phase, iteration) = (name, kept) }
        }
        let place = place(of: phase)
        (phaseNumber, phases) = (place.map { $0 + 1 }, outlines.count)
        iterations = place.map { outlines[$0].iterations }
        let reference = configuration.method.chosen.reference
        bestScore = log.bestScore(ofLast: outlines.filter { $0.phase != reference }.map(\.phase.rawValue))
        let summary: Ending? = try JSONText.readFileIfThere(run.summary)
        gainOverHardSharing = summary?.gainOverHardSharing
        let compared = run.url.appendingPathComponent("tradeoff.json").path
        let isOver = phaseNumber == phases && iteration == iterations
        let isCompared = !SideRuns.areWanted(configuration) || FileManager.default.fileExists(atPath: compared)
        if summary != nil, isOver, isCompared { state = .finished }
    }

    /// The part of a summary that is listed.
    private struct Ending: Decodable {
        let gainOverHardSharing: Double?
    }

    // MARK: - Files

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
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

/// The lines of a log that a list looks at: the last one, and those of evaluations. Logs of long runs are large.
private struct Log {
    private let url: URL
    private let data: Data

    init(_ url: URL) throws {
        self.url = url
        guard FileManager.default.fileExists(atPath: url.path) else {
            data = Data()
            return
        }
        // Not mapped: a run that goes on cuts its log.
        guard let data = try? Data(contentsOf: url) else {
            throw InputError(file: url.path, found: "no readable file", expected: "a log of JSON lines")
        }
        self.data = data
    }

    /// Where the last whole line says that the run stands; nil without one.
    func last() throws -> (phase: String, iteration: Int)? {
        let newline = UInt8(ascii: "\n")
        guard let end = data.lastIndex(of: newline) else { return nil }
        let start = data[..<end].lastIndex(of: newline).map { $0 + 1 } ?? data.startIndex
        guard let event = try? JSONValue.parse(Data(data[start..<end])), let phase = event["phase"]?.string,
            let iteration = event["iteration"]?.double.flatMap(Int.init(exactly:))
        else {
            throw InputError(
                file: url.path, place: "last line", found: "no event of a run", expected: "a JSON object with its phase"
            )
        }
        return (phase, iteration)
    }

    /// The best score of the last of these phases that has one.
    func bestScore(ofLast phases: [String]) -> Double? {
        var best: [String: Double] = [:]
        for line in evaluations {
            guard let event = try? JSONValue.parse(line), let phase = event["phase"]?.string,
                let score = event["score"]?.double
            else { continue }
            best[phase] = max(score, best[phase] ?? score)
        }
        return phases.last { best[$0] != nil }.flatMap { best[$0] }
    }

    /// The lines that are about evaluations.
    private var evaluations: [Data] {
        let (word, newline) = (Array("\"evaluation\"".utf8), UInt8(ascii: "\n"))
        return data.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return [] }
            var (found, position): ([Data], Int) = ([], 0)
            // Few letters are as rare as its v, and the system finds one fast.
            while position < bytes.count,
                let hit = memchr(base + position, Int32(UInt8(ascii: "v")), bytes.count - position)
            {
                let start = base.distance(to: UnsafeRawPointer(hit)) - 2
                position = start + 3
                guard start >= 0, start + word.count <= bytes.count, memcmp(base + start, word, word.count) == 0 else {
                    continue
                }
                let first = bytes[..<start].lastIndex(of: newline).map { $0 + 1 } ?? 0
                guard let end = bytes[start...].firstIndex(of: newline) else { break }
                found.append(Data(bytes[first..<end]))
                position = end
            }
            return found
        }
    }
}
