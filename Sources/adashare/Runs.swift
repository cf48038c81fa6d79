import AdaShareSupport
import AdaShareTraining
import ArgumentParser
import Foundation

struct Runs: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the runs in a folder: phase, step, best score, size, last change.",
        discussion: """
            Runs lie in it or in folders of it, as those of a study; links are followed, and a run is listed once. \
            Those that belong to a run are a part of it: its phase and step are then those of the one that is worked \
            on, such as `retraining at 0.6`. score: the best on the validation split in percent, of the last phase \
            that has one. A run whose files are damaged is listed with what is wrong. On a terminal long names are \
            shortened.
            """)

    @Argument(help: "The folder.", completion: .file()) var folder = "runs"
    @Option(help: "Order: changed (last first), name, score (best first) or size (largest first).")
    var sort = Order.changed
    @Flag(help: "Print JSON.") var json = false

    enum Order: String, CaseIterable, ExpressibleByArgument { case changed, name, score, size }

    func run(on console: Console) throws {
        let found = try RunListing.all(in: URL(fileURLWithPath: folder)) { names in
            console.say(.notice, "left out, since their names are not UTF-8: \(names.joined(separator: ", "))")
        }
        let runs: [RunListing]
        switch sort {
        case .changed: runs = found
        case .name: runs = found.sorted { $0.name < $1.name }
        case .score:
            func rank(_ run: RunListing) -> (Int, Double) { (run.bestScore == nil ? 1 : 0, -(run.bestScore ?? 0)) }
            runs = found.sorted { rank($0) < rank($1) }
        case .size: runs = found.sorted { $0.bytes > $1.bytes }
        }
        if json { return try console.print(try JSONText.pretty(runs)) }
        guard !runs.isEmpty else { return try console.print("no runs in \(folder)") }
        let now = Date().timeIntervalSince1970
        let header = ["run", "method", "phase", "step", "score", "size", "changed", "state"]
        let cells = runs.map { run -> [String] in
            let (place, steps) = standing(run)
            return [
                visible(run.name), run.method ?? Table.none, place, steps,
                run.bestScore.map(score) ?? Table.none, bytes(run.bytes), age(now - run.lastChange), run.state.rawValue,
            ]
        }
        try console.print(console.answersTerminal ? Self.narrow(header, cells) : Self.table(header, cells).whole)
        for run in runs where run.state == .damaged {
            try console.print(visible("\(run.name): \(run.problem ?? "damaged")"))
        }
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> Table {
        var table = Table(header)
        for row in rows { table.add(row) }
        return table
    }

    /// One table whatever the names: these alone give way.
    private static func narrow(_ header: [String], _ rows: [[String]]) -> String {
        let others = (1..<header.count).reduce(0) { sum, column in
            sum + 2 + (([header] + rows).map { columns(of: $0[column]) }.max() ?? 0)
        }
        let longest = max(12, Table.width - others)
        return table(header, rows.map { [shortened($0[0], to: longest)] + $0.dropFirst() }).text
    }

    /// The phase and step that a run is at, or those of the run that belongs to it.
    private func standing(_ run: RunListing) -> (phase: String, step: String) {
        if let part = run.part ?? run.lastPart {
            return ("\(part.name) \(part.number)/\(part.count)", "\(part.iteration)/\(part.iterations)")
        }
        let place = run.phaseNumber.map { " \($0)/\(run.phases ?? $0)" } ?? ""
        let steps = run.iteration.map { "\($0)" + (run.iterations.map { "/\($0)" } ?? "") } ?? Table.none
        return ((run.phase ?? Table.none) + place, steps)
    }

    private func score(_ percent: Double) -> String { percent > 999 ? "> 999" : signed(percent) }

    private func bytes(_ count: Int) -> String {
        let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        let (unit, name) = units.first { Double(count) >= $0.0 } ?? (1, "B")
        return "\(readable(Double(count) / unit, digits: 2)) \(name)"
    }

    private func age(_ seconds: Double) -> String {
        let units = [(86_400.0, "d"), (3600, "h"), (60, "min")]
        let (unit, name) = units.first { seconds >= $0.0 } ?? (1, "s")
        return "\(max(0, Int(seconds / unit))) \(name) ago"
    }
}
