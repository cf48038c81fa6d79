import AdaShareConfiguration
import AdaShareExperiments
import AdaShareModels
import AdaShareSupport
import AdaShareTasks
import Foundation

/// What the finished runs of a study reached.
public struct StudyResults: Sendable {
    /// Where a network's weights lie.
    struct Network: Equatable {
        /// A run's folder.
        let run: URL
        /// Every task selects every block, whatever policy the weights were trained with.
        let sharesAll: Bool
    }

    /// One network with one seed.
    public struct Entry: Sendable {
        /// Task → convention → metrics.
        public let metrics: [String: [String: [Metric]]]
        /// Trainable parameters, and multiply-accumulates for one image, heads included; where images take paths of
        /// their own, the mean over those that were scored.
        public let parameters, macs: Int
        /// What predictions for one image take; nil where that was not measured.
        public internal(set) var milliseconds: Double?
        let network: Network
        /// What the network of its run is called that this one is too, where two budgets have come to one policy.
        public var sameAs: String?
        /// Whether it takes more than its budget.
        public var isOverBudget = false
        /// By which a run is known again: what it ended with, and the algorithms that it computes by.
        let fingerprint: String
    }

    /// One line of a table: a row of the study, or one of the networks that belong to its runs.
    public struct Line: Sendable {
        /// What tables call it.
        public let name: String
        /// The row, and what the network is called within it.
        let row, part: String
        /// What belongs to a row beside its network, and a policy that a budget chose; nil for the row's network.
        let kind: Tradeoff.Point.Kind?
        /// By seed.
        public var entries: [Int: Entry]
    }

    /// The study.
    public let study: Study
    /// Of the rows in order, those of a row together; rows without a finished run are left out.
    public let lines: [Line]
    /// Runs that are missing or not finished, as their folders are called.
    public let unfinished: [String]
    /// Runs that are left out, and why: of other configurations than the study's now, or with a damaged file.
    public let changed: [InputError]
    /// What was measured of predictions, and where; nil where nothing was.
    public let times: StudyTimes?

    /// Reads what lies in the folder of a study.
    ///
    /// - Throws: `InputError` if `times.json` is damaged, two lines have one name, or the reference is none.
    public init(_ study: Study, in folder: URL) throws {
        self.study = study
        times = try StudyTimes.read(in: folder)
        try Self.checkNames(of: study)
        var (lines, unfinished): ([Line], [String]) = ([], [])
        var changed: [InputError] = []
        for row in study.rows {
            var own: [Line] = []
            for seed in study.seeds {
                let run = folder.appendingPathComponent(study.folder(row, seed: seed))
                let configuration = study.configuration(row, seed: seed)
                let entries: [Part]
                do {
                    if let change = try Self.change(of: run, configuration) { throw change }
                    guard try Self.isFinished(run, configuration) else {
                        unfinished.append(study.folder(row, seed: seed))
                        continue
                    }
                    entries = try Self.entries(of: run)
                } catch let error as InputError {
                    changed.append(error)
                    continue
                }
                for (part, kind, var entry) in entries {
                    let name = Self.name(of: part, in: row)
                    entry.milliseconds = times?.milliseconds(line: name, seed: seed, of: entry)
                    if let place = own.firstIndex(where: { $0.name == name }) {
                        own[place].entries[seed] = entry
                    } else {
                        own.append(Line(name: name, row: row.name, part: part, kind: kind, entries: [seed: entry]))
                    }
                }
            }
            lines += own
        }
        (self.lines, self.unfinished, self.changed) = (lines, unfinished, changed)
    }

    /// Whether it is known of every network what its predictions take.
    public var areTimed: Bool { lines.allSatisfy { $0.entries.values.allSatisfy { $0.milliseconds != nil } } }

    /// The line that others are compared with; nil where there is none, or it has no finished run.
    public var reference: Line? { lines.first { $0.name == study.reference } }

    /// Refuses lines of one name, and a reference that is no line.
    private static func checkNames(of study: Study) throws {
        var names: [String] = []
        for (index, row) in study.rows.enumerated() {
            for part in parts(study.configuration(row, seed: study.seeds[0])) {
                let name = name(of: part, in: row)
                guard !names.contains(name) else {
                    throw InputError(
                        file: study.url.path, place: "rows.\(index).name",
                        found: "'\(row.name)', by which two lines are called '\(name)'", expected: "another name")
                }
                names.append(name)
            }
        }
        guard let reference = study.reference, !names.contains(reference) else { return }
        throw InputError(
            file: study.url.path, place: "reference", found: "'\(reference)'",
            expected: "a line of the table: one of " + names.joined(separator: "; "))
    }

    /// What the networks of a row will be called within it.
    private static func parts(_ configuration: ExperimentConfiguration) -> [String] {
        let sides = SideRuns.areWanted(configuration) ? SideRuns.kinds(configuration, isPolicyGiven: false) : []
        let budgets = sides.filter(\.isBudget)
        return (budgets.count > 1 ? budgets.map(\.name) : [""])
            + (configuration.training.hardSharingBaseline ? [hardSharing] : [])
            + sides.filter { !$0.isBudget }.map(\.name)
    }

    package static let hardSharing = "hard sharing"

    private static func name(of part: String, in row: Study.Row) -> String {
        part.isEmpty ? row.name : "\(row.name), \(part)"
    }

    /// What makes a run another one than the study has in its place now; nil for the same one, and for none.
    private static func change(of url: URL, _ configuration: ExperimentConfiguration) throws -> InputError? {
        let again = "without the folder it is trained again"
        let summary = RunDirectory.Entry.summary.url(in: url)
        switch try continuation(of: url, configuration) {
        case .other(let error):
            return InputError(file: url.relativePath, found: error.found, expected: "what the study says; \(again)")
        case nil where FileManager.default.fileExists(atPath: summary.path):
            return InputError(file: url.relativePath, found: "no config.yml", expected: "that of the run; \(again)")
        default: return nil
        }
    }

    /// What a configuration makes of the run in a folder; nil where there is none.
    private static func continuation(
        of url: URL, _ configuration: ExperimentConfiguration
    ) throws -> RunDirectory.Continuation? {
        try (try? RunDirectory(url, mode: .read))?.continuation(configuration)
    }

    /// Whether a run has come to the end of what a configuration asks for.
    ///
    /// - Throws: `InputError` if its stored configuration is damaged.
    public static func isFinished(_ run: URL, _ configuration: ExperimentConfiguration) throws -> Bool {
        guard let run = try? RunDirectory(run, mode: .read) else { return false }
        // With more steps in a phase that its method leaves out it may be at its end as well.
        if case .other = try run.continuation(configuration) { return false }
        return try RunStanding(run, configuration, asked: nil).isFinished
    }

    /// A network of a run, and what it is called within that.
    package typealias Part = (part: String, kind: Tradeoff.Point.Kind?, entry: Entry)

    /// The networks of a run: its own, or where budgets are retrained in runs of their own those; hard sharing and
    /// narrower networks where they were trained. The only network of a row has no name of its own.
    ///
    /// - Parameters:
    ///   - run: its folder.
    ///   - leftOut: told what is wrong with a run that belongs to it, which is left out then; nil throws it.
    /// - Throws: `InputError` for a file that is missing or damaged.
    package static func entries(
        of run: URL, leftOut: ((InputError) -> Void)? = nil
    ) throws -> [Part] {
        let summary: RunSummary = try JSONText.readFile(RunDirectory.Entry.summary.url(in: run))
        let compared = RunDirectory.Entry.tradeoff.url(in: run)
        let baseline: [Part] =
            summary.hardSharing.map {
                [(hardSharing, .hardSharing, Entry(summary, metrics: $0, in: run, sharesAll: true))]
            } ?? []
        func own() -> Entry {
            var entry = Entry(summary, metrics: summary.metrics, in: run)
            entry.isOverBudget = summary.policyCost?.isOverBudget ?? false
            return entry
        }
        guard FileManager.default.fileExists(atPath: compared.path) else {
            let kind: Tradeoff.Point.Kind? = summary.isPolicyLearned ? .policy : nil
            return [("", kind, own())] + baseline
        }
        let tradeoff: Tradeoff = try JSONText.readFile(compared)
        let policies = tradeoff.points.filter { $0.kind == .policy }
        func entry(_ point: Tradeoff.Point) throws -> Entry? {
            guard point.folder != "." else { return own() }
            let folder = run.appendingPathComponent(point.folder)
            do {
                let side: RunSummary = try JSONText.readFile(RunDirectory.Entry.summary.url(in: folder))
                return Entry(side, metrics: side.metrics, in: folder)
            } catch let error as InputError {
                guard let leftOut else { throw error }
                leftOut(error)
                return nil
            }
        }
        // A policy that shares everything has no point of its own: it is hard sharing.
        var networks: [Part] = policies.isEmpty ? [("", .policy, own())] : []
        for point in tradeoff.points {
            guard point.kind != .hardSharing else {
                networks += baseline
                continue
            }
            guard var entry = try entry(point) else { continue }
            (entry.sameAs, entry.isOverBudget) = (point.sameAs, point.isOver(tradeoff.measure))
            let isOnly = point.kind == .policy && policies.count == 1
            networks.append((isOnly ? "" : point.name, point.kind, entry))
        }
        return networks
    }

    /// What people should know of the table, a line of text each: why a line has no Δ although there is a reference,
    /// and what became of budgets.
    public var remarks: [String] { gainRemarks + lines.flatMap(\.budgetRemarks) }

    private var gainRemarks: [String] {
        guard let reference else { return [] }
        return lines.filter { gains($0).isEmpty }.map { line in
            let common = line.entries.keys.filter { reference.entries[$0] != nil }
            let cause = common.isEmpty ? "no seed that both have" : "a metric that is not a number"
            return "no Δ of \(line.name) over \(reference.name): \(cause)"
        }
    }

    /// Δ of a line over the reference in percent, exact convention, for the seeds that both have.
    public func gains(_ line: Line) -> [Double] { reference.map(line.gains) ?? [] }
}

extension StudyResults.Line {
    /// What became of its budget: whether it is another line's network, and whether it takes more. With seeds, where
    /// that is not so of all.
    var budgetRemarks: [String] {
        func seeds(_ holds: (StudyResults.Entry) -> Bool) -> String? {
            let found = entries.filter { holds($0.value) }.keys.sorted()
            guard !found.isEmpty else { return nil }
            return found.count == entries.count ? "" : " (seed \(found.map(String.init).joined(separator: ", ")))"
        }
        let twins = Set(entries.values.compactMap(\.sameAs)).sorted().compactMap { twin in
            seeds { $0.sameAs == twin }.map { "\(name) is the \(twin), trained once\($0)" }
        }
        return twins + (seeds(\.isOverBudget).map { ["\(name) is over its budget\($0)"] } ?? [])
    }

    /// Δ over another line in percent, exact convention, for the seeds that both have; empty where one has none, since
    /// a mean over the others would be of other runs than the rest of the line.
    func gains(over base: StudyResults.Line) -> [Double] {
        let gains = entries.keys.sorted().compactMap { seed -> Double? in
            guard let mine = entries[seed], let other = base.entries[seed] else { return nil }
            return RelativeGain.overall(mine.metrics, over: other.metrics) ?? .nan
        }
        return gains.allSatisfy(\.isFinite) ? gains : []
    }
}

extension StudyResults.Entry {
    private static func fingerprint(of run: URL) -> String {
        let files = [RunDirectory.Entry.summary, .algorithms].map { $0.url(in: run) }
        return ContentHash.text(files.map { (try? Data(contentsOf: $0)) ?? Data() })
    }

    fileprivate init(
        _ summary: RunSummary, metrics: [String: [String: [Metric]]], in run: URL, sharesAll: Bool = false
    ) {
        let heads = summary.cost.heads
        let macs = sharesAll ? summary.cost.backbone.macsHardSharing : summary.macs
        self.init(
            metrics: metrics, parameters: summary.parameters + heads.parameters, macs: macs + heads.macs,
            network: StudyResults.Network(run: run, sharesAll: sharesAll),
            fingerprint: Self.fingerprint(of: run))
    }
}
