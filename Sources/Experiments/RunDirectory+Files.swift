import AdaShareMethods
import AdaShareSupport
import AdaShareTensorBoard
import Foundation

/// What lies in the folder of a run: whatever looks for a file of one, or for all of them, has its name from here.
extension RunDirectory {
    /// A file or folder that `train` keeps in a run's folder.
    package struct Entry: Sendable {
        /// Its name.
        package let name: String
        /// What else is known of it.
        fileprivate let traits: Traits

        fileprivate struct Traits: OptionSet {
            let rawValue: Int
            /// It is made before the first step, and can be made again.
            static let first = Traits(rawValue: 1)
            /// A page about the run says something of it.
            static let shown = Traits(rawValue: 2)
            static let folder = Traits(rawValue: 4)
            /// A folder of runs that belong to the run.
            static let runs = Traits(rawValue: 8)
        }

        private init(_ name: String, _ traits: Traits = []) { (self.name, self.traits) = (name, traits) }

        /// Where it lies in a run's folder.
        package func url(in folder: URL) -> URL { folder.appendingPathComponent(name) }

        package static let configuration = Entry("config.yml", [.first, .shown])
        package static let log = Entry("metrics.jsonl", [.first, .shown])
        package static let damaged = Entry("metrics.damaged")
        package static let algorithms = Entry("algorithms.json", .first)
        package static let times = Entry("times.json", .first)
        package static let classes = Entry("classes.json", .first)
        package static let inputs = Entry("inputs.json", .first)
        package static let part = Entry("part.json", .first)
        package static let asked = Entry("asked.json", .first)
        package static let profile = Entry("profile.json", [.first, .shown])
        package static let lock = Entry("run.lock", .first)
        package static let policy = Entry("policy.json", .shown)
        package static let summary = Entry("summary.json", .shown)
        package static let tradeoff = Entry("tradeoff.json", .shown)
        package static let tradeoffPicture = Entry("tradeoff.svg")
        package static let checkpoints = Entry("checkpoints", [.first, .folder])
        package static let pictures = Entry("pictures", [.first, .shown, .folder])
        package static let policies = Entry("policies", [.shown, .folder])
        package static let retrainings = Entry("retrain", [.shown, .folder, .runs])
        package static let narrowed = Entry("hard_sharing", [.shown, .folder, .runs])

        static let all = [
            configuration, log, damaged, algorithms, times, classes, inputs, part, asked, profile, lock, policy,
            summary, tradeoff, tradeoffPicture, checkpoints, pictures, policies, retrainings, narrowed,
        ]
    }

    /// Whether a name in the folder is that of a file for TensorBoard, `events.out.tfevents.*`.
    static func isBoard(_ name: String) -> Bool { TensorBoardLog.isName(name) }

    /// Whether a name is that of something that a run makes before its first step, all of which it makes again.
    static func isFirst(_ name: String) -> Bool {
        Entry.all.contains { $0.name == name && $0.traits.contains(.first) } || isBoard(name)
    }

    /// All that `train` keeps in the folder of a run, there or not; other files in it are the user's.
    package static func kept(in folder: URL) -> (files: [URL], folders: [URL]) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let (folders, files) = (
            Entry.all.filter { $0.traits.contains(.folder) }, Entry.all.filter { !$0.traits.contains(.folder) }
        )
        return (
            files.map { $0.url(in: folder) } + names.filter(isBoard).map { folder.appendingPathComponent($0) },
            folders.map { $0.url(in: folder) }
        )
    }

    /// Refuses a folder in which something that `train` writes to is a link: a run that somebody else has made may have
    /// one to any file of the user's.
    static func refuseLinks(in folder: URL) throws {
        for entry in Entry.all {
            try OrdinaryFile.refuseLink(
                at: entry.url(in: folder), expected: entry.traits.contains(.folder) ? "a folder" : "a file")
        }
    }

    /// The folders of runs that belong to the run in a folder, there or not.
    package static func partFolders(in folder: URL) -> [URL] {
        Entry.all.filter { $0.traits.contains(.runs) }.map { $0.url(in: folder) }
    }

    /// The runs that belong to the run in a folder: where they lie from there, and their folders.
    package static func parts(in folder: URL) -> [(name: String, url: URL)] {
        partFolders(in: folder).flatMap { place in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? []
            return names.sorted().map { ("\(place.lastPathComponent)/\($0)", place.appendingPathComponent($0)) }
        }
    }

    /// What a page about a run tells of, there or not, with what is there of the runs that belong to it. What lies in
    /// folders among them comes and goes by names, so that the time of the folder tells.
    package static func shown(in folder: URL) -> [URL] {
        let shown = Entry.all.filter { $0.traits.contains(.shown) }
        let own = shown.filter { !$0.traits.contains(.runs) }
        return shown.map { $0.url(in: folder) }
            + parts(in: folder).flatMap { part in own.map { $0.url(in: part.url) } }
    }

    // MARK: - Of this run

    /// The resolved configuration, `config.yml`.
    public var configuration: URL { Entry.configuration.url(in: url) }
    /// The log, `metrics.jsonl`.
    public var log: URL { Entry.log.url(in: url) }
    /// The learned policy, `policy.json`.
    public var policy: URL { Entry.policy.url(in: url) }
    /// The policy for one of several budgets, `policies/<budget>.json`.
    public func policy(of budget: PolicyBudget) -> URL { policy(of: budget.name) }
    package func policy(of budget: String) -> URL { policies.appendingPathComponent("\(budget).json") }
    var policies: URL { Entry.policies.url(in: url) }
    /// The algorithms of its convolutions, `algorithms.json`.
    public var algorithms: URL { Entry.algorithms.url(in: url) }
    /// What the run ended with, `summary.json`.
    public var summary: URL { Entry.summary.url(in: url) }
    /// What its policies and narrower networks come to beside hard sharing, `tradeoff.json`.
    public var tradeoff: URL { Entry.tradeoff.url(in: url) }
    /// The same as a picture, `tradeoff.svg`.
    public var tradeoffPicture: URL { Entry.tradeoffPicture.url(in: url) }
    /// What a task's predictions looked like when they were last scored at the end of a phase, `pictures/<number>.png`:
    /// a row for each image, with the image, what is predicted and the label.
    ///
    /// - Parameter number: of the task, from 1.
    public func picture(ofTask number: Int) -> URL { pictures.appendingPathComponent("\(number).png") }
    /// The folder of such pictures.
    package var pictures: URL { Entry.pictures.url(in: url) }
    /// What the kernels of a process that was profiled took, `profile.json`.
    public var profile: URL { Entry.profile.url(in: url) }
    /// The folder of checkpoints.
    public var checkpoints: URL { Entry.checkpoints.url(in: url) }

    /// The weights that the run began from, `checkpoints/initial.safetensors`: what `model.initial_checkpoint` named
    /// when they were first read. Phases that begin anew read them again, whatever has become of that file.
    public var initialWeights: URL { Self.initialWeights(in: url) }
    /// Those of the run in a folder; no file where there is none, or it has begun from new weights.
    public static func initialWeights(in folder: URL) -> URL {
        Entry.checkpoints.url(in: folder).appendingPathComponent("initial.safetensors")
    }

    /// Which of its checkpoints is the latest, `checkpoints/latest.json`.
    public var latest: URL { Self.latest(in: url) }
    /// That of the run in a folder.
    public static func latest(in folder: URL) -> URL {
        Entry.checkpoints.url(in: folder).appendingPathComponent("latest.json")
    }

    // MARK: - Runs of another run

    /// What is recorded of a run that belongs to another one, `part.json`.
    private struct Part: Encodable {
        /// The folder of that one, from this one's.
        let of: String
        /// What that one calls it.
        let name: String
    }

    /// Whether the run belongs to another one, which has made it and compares it; so wherever its folder lies by now.
    public var isPart: Bool {
        func exists(_ entry: Entry, in folder: URL) -> Bool {
            FileManager.default.fileExists(atPath: entry.url(in: folder).path)
        }
        if exists(.part, in: url) { return true }
        // Those of earlier versions have their place only.
        let group = url.standardizedFileURL.deletingLastPathComponent()
        return [Entry.retrainings, .narrowed].contains { $0.name == group.lastPathComponent }
            && exists(.configuration, in: group.deletingLastPathComponent())
    }

    /// Records that the run belongs to another one.
    ///
    /// - Parameters:
    ///   - folder: of that one, from this one's.
    ///   - name: what that one calls it.
    /// - Throws: `InputError` if it cannot be written.
    package func becomePart(of folder: String, called name: String) throws {
        guard !FileManager.default.fileExists(atPath: Entry.part.url(in: url).path) else { return }
        try AtomicFile.write(
            Data(try JSONText.pretty(Part(of: folder, name: name)).utf8), to: Entry.part.url(in: url))
    }
}
