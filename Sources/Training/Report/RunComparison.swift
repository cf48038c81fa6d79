import AdaShareConfiguration
import AdaShareExperiments
import AdaShareSupport
import Foundation

/// What several runs have reached beside one another; runs that differ in their seeds alone are one.
public struct RunComparison: Sendable {
    /// The networks of the runs: each run's own, or those of its budgets, and what was trained to compare with.
    public let lines: [StudyResults.Line]
    private let tasks: [String]
    /// Runs that belong to these and are left out, and why.
    public let leftOut: [InputError]
    /// By which a line's run is found again: Δ is over its own hard sharing.
    private let baselines: [String: StudyResults.Line]

    private struct Group {
        let configuration: ExperimentConfiguration
        var runs: [(seed: Int, name: String, url: URL)]

        /// Whether a configuration differs in its seed alone, and in what changes no number.
        func takes(_ other: ExperimentConfiguration) -> Bool {
            !runs.contains { $0.seed == other.training.seed }
                && configuration.differences(to: other).allSatisfy {
                    $0.path == "training.seed" || configuration.change(of: $0.path) == .free
                }
        }

        /// What the names of its runs begin with.
        var name: String {
            guard runs.count > 1 else { return runs[0].name }
            let common = runs.dropFirst().reduce(runs[0].name) { $0.commonPrefix(with: $1.name) }
            let stem = common.replacing(/(^|[\-_.\/ ]+)(seed|s|run)?[\-_.\/ ]*[0-9]*$/, with: "")
            let parent = runs[0].url.standardizedFileURL.deletingLastPathComponent().lastPathComponent
            return "\(stem.isEmpty ? parent : stem), \(runs.count) seeds"
        }
    }

    /// Reads what the folders hold; runs that have not ended with a summary are left out.
    ///
    /// - Parameter runs: what each run is called, and its folder.
    /// - Throws: `InputError` if one is no run's, or a file in it is damaged.
    public init(_ runs: [(name: String, url: URL)]) throws {
        var (groups, leftOut): ([Group], [InputError]) = ([], [])
        for (name, url) in runs {
            let run = try RunDirectory(url, mode: .read)
            let configuration = try run.readConfiguration()
            guard FileManager.default.fileExists(atPath: run.summary.path) else { continue }
            let member = (seed: configuration.training.seed, name: name, url: url)
            if let place = groups.firstIndex(where: { $0.takes(configuration) }) {
                groups[place].runs.append(member)
            } else {
                groups.append(Group(configuration: configuration, runs: [member]))
            }
        }
        var (lines, baselines): ([StudyResults.Line], [String: StudyResults.Line]) = ([], [:])
        var names: [String: Int] = [:]
        for group in groups {
            // Names of runs may begin alike though they are of different configurations.
            let count = names[group.name, default: 0] + 1
            names[group.name] = count
            let title = count > 1 ? "\(group.name) (\(count))" : group.name
            var own: [StudyResults.Line] = []
            for run in group.runs {
                for (part, kind, entry) in try StudyResults.entries(of: run.url, leftOut: { leftOut.append($0) }) {
                    let name = part.isEmpty ? title : "\(title), \(part)"
                    if let place = own.firstIndex(where: { $0.name == name }) {
                        own[place].entries[run.seed] = entry
                    } else {
                        own.append(
                            StudyResults.Line(
                                name: name, row: title, part: part, kind: kind, entries: [run.seed: entry]))
                    }
                }
            }
            baselines[title] = own.first { $0.kind == .hardSharing }
            lines += own
        }
        (self.lines, self.baselines, self.leftOut) = (lines, baselines, leftOut)
        tasks = groups.flatMap { $0.configuration.tasks.map(\.name) }
    }

    /// Δ in percent over the run's own hard sharing, by seed.
    private func gains(_ line: StudyResults.Line) -> [Double] {
        guard let base = baselines[line.row], base.name != line.name else { return [] }
        return line.gains(over: base)
    }

    private var table: StudyTable { StudyTable(lines, tasks: tasks, hasAllMetrics: true, gains: gains) }

    /// Every metric, exact convention, and costs, a column for each network, and what became of budgets.
    public var text: String {
        let remarks = lines.flatMap(\.budgetRemarks)
        return table.transposed + (remarks.isEmpty ? "" : "\n\n" + remarks.joined(separator: "\n"))
    }

    /// The same for programs, all digits.
    public var numbers: [Numbers] {
        lines.map {
            Numbers(name: $0.name, seeds: $0.entries.keys.sorted(), values: table.numbers($0))
        }
    }

    /// A network's.
    public struct Numbers: Encodable, Sendable {
        let name: String
        let seeds: [Int]
        let values: [String: StudyTable.Spread]
    }
}
