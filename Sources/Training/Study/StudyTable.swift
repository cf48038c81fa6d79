import AdaShareConfiguration
import AdaShareSupport
import AdaShareTasks
import Foundation

/// Networks beside one another, as those of a study: a line for each, numbers as mean ± deviation over seeds.
public struct StudyTable {
    /// How a table is written.
    public enum Form: String, CaseIterable, Sendable {
        /// Columns of one width, for a terminal.
        case text
        /// For documents.
        case markdown
        /// For programs: means and deviations in columns of their own, all digits.
        case csv
        /// A `tabular`.
        case latex
    }

    private let lines: [StudyResults.Line]
    /// By name, of all lines: one may have tasks that another has not.
    private let taskNames: [String]
    private let published: [Study.Published]
    private let gains: (StudyResults.Line) -> [Double]
    private let convention: MetricConvention
    private let hasAllMetrics: Bool

    /// - Parameters:
    ///   - results: of a study.
    ///   - convention: of the metrics; Δ is always of the exact ones.
    ///   - hasAllMetrics: instead of each task's first one.
    public init(_ results: StudyResults, convention: MetricConvention = .exact, hasAllMetrics: Bool = false) {
        let study = results.study
        let names = study.rows.flatMap { study.configuration($0, seed: study.seeds[0]).tasks.map(\.name) }
        self.init(
            results.lines, tasks: names, published: study.published, convention: convention,
            hasAllMetrics: hasAllMetrics, gains: results.gains)
    }

    /// - Parameters:
    ///   - lines: of the table.
    ///   - tasks: names in order, which may be repeated.
    ///   - published: rows below, out of the literature.
    ///   - convention: of the metrics.
    ///   - hasAllMetrics: instead of each task's first one.
    ///   - gains: Δ of a line in percent, by seed.
    init(
        _ lines: [StudyResults.Line], tasks: [String], published: [Study.Published] = [],
        convention: MetricConvention = .exact, hasAllMetrics: Bool, gains: @escaping (StudyResults.Line) -> [Double]
    ) {
        self.lines = lines
        taskNames = tasks.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        self.published = published
        self.gains = gains
        self.convention = convention
        self.hasAllMetrics = hasAllMetrics
    }

    /// A number over seeds.
    package struct Spread: Equatable, Encodable {
        /// Of all seeds.
        package let mean: Double
        /// Sample standard deviation; nil of one seed.
        package let deviation: Double?

        /// nil without numbers, or with one that is none.
        init?(_ values: [Double]) {
            guard !values.isEmpty, values.allSatisfy(\.isFinite) else { return nil }
            mean = values.reduce(0, +) / Double(values.count)
            let squares = values.reduce(0) { [mean] in $0 + ($1 - mean) * ($1 - mean) }
            deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : nil
        }
    }

    private struct Column {
        let title: String
        /// Of a line; nil for a published row.
        let values: (StudyResults.Line) -> [Double]
        let published: (Study.Published) -> Double?
        var isSigned = false
    }

    private var tasks: [(name: String, metrics: [Metric])] {
        taskNames.compactMap { name in
            let found = lines.lazy.compactMap { line in
                line.entries.values.first?.metrics[name]?[convention.rawValue]
            }.first
            return found.map { (name, hasAllMetrics ? $0 : Array($0.prefix(1))) }
        }
    }

    private var columns: [Column] {
        var columns = tasks.flatMap { task in
            task.metrics.map { metric in
                Column(
                    title: "\(task.name) \(metric.name) " + (metric.higherIsBetter ? "↑" : "↓"),
                    values: { line in
                        line.entries.keys.sorted().compactMap { seed in
                            line.entries[seed]?.metrics[task.name]?[convention.rawValue]?
                                .first { $0.name == metric.name }?.value
                        }
                    },
                    published: { $0.values?[task.name]?[metric.name] })
            }
        }
        func own(_ title: String, isSigned: Bool = false, _ values: @escaping (StudyResults.Line) -> [Double]) {
            guard lines.contains(where: { !values($0).isEmpty }) else { return }
            columns.append(Column(title: title, values: values, published: { _ in nil }, isSigned: isSigned))
        }
        own(convention == .exact ? "Δ %" : "Δ % (exact)", isSigned: true) { gains($0) }
        own("M parameters") { $0.entries.values.first.map { [Double($0.parameters) / 1e6] } ?? [] }
        own("M MACs") { line in line.entries.keys.sorted().map { Double(line.entries[$0]?.macs ?? 0) / 1e6 } }
        own("ms an image") { line in line.entries.keys.sorted().compactMap { line.entries[$0]?.milliseconds } }
        return columns
    }

    private func cell(_ values: [Double], isSigned: Bool) -> String {
        guard let spread = Spread(values) else { return Table.none }
        let mean = isSigned ? signed(spread.mean) : readable(spread.mean)
        // To the digits of the mean; costs that are the same for every seed say nothing.
        guard let deviation = spread.deviation, deviation > 0 else { return mean }
        guard !mean.contains("e") else { return mean + " ± " + readable(deviation) }
        let decimals = mean.split(separator: ".").dropFirst().first?.count ?? 0
        return mean + " ± " + String(format: "%.\(decimals)f", deviation)
    }

    /// The table with a column for each network: easier to read where these are few, and their numbers many.
    package var transposed: String {
        func title(_ line: StudyResults.Line) -> String {
            line.name + (line.entries.values.contains(where: \.isOverBudget) ? SideRuns.overMark : "")
        }
        var table = Table([""] + lines.map(title))
        for column in columns {
            table.add([column.title] + lines.map { cell(column.values($0), isSigned: column.isSigned) })
        }
        return table.text
    }

    /// Every number of a line, by the title of its column.
    package func numbers(_ line: StudyResults.Line) -> [String: Spread] {
        columns.reduce(into: [:]) { $0[$1.title] = Spread($1.values(line)) }
    }

    /// The table.
    public func text(_ form: Form) -> String {
        let columns = columns
        let rows =
            lines.map { line in
                [line.name] + columns.map { cell($0.values(line), isSigned: $0.isSigned) }
            }
            + published.map { row in
                [row.name] + columns.map { column in column.published(row).map { readable($0) } ?? Table.none }
            }
        let header = [""] + columns.map(\.title)
        switch form {
        case .csv: return csv(columns)
        case .text:
            var table = Table(header)
            for row in rows { table.add(row) }
            return table.text
        case .markdown:
            func line(_ cells: [String]) -> String {
                "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
            }
            let rule = "|" + String(repeating: "---|", count: header.count)
            return ([line(header), rule] + rows.map(line)).joined(separator: "\n")
        case .latex:
            func line(_ cells: [String]) -> String { cells.map(Self.latex).joined(separator: " & ") + " \\\\" }
            let body = [line(header), "\\hline"] + rows.map(line)
            return "\\begin{tabular}{l" + String(repeating: "r", count: columns.count) + "}\n"
                + body.joined(separator: "\n") + "\n\\end{tabular}"
        }
    }

    private func csv(_ columns: [Column]) -> String {
        func quoted(_ text: String) -> String {
            text.contains { ",\"\n".contains($0) } ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
        }
        let titles = columns.flatMap { [$0.title, "\($0.title) deviation"] }
        let rows =
            lines.map { line -> [String] in
                [line.name, "\(line.entries.count)"]
                    + columns.flatMap { column -> [String] in
                        guard let spread = Spread(column.values(line)) else { return ["", ""] }
                        return ["\(spread.mean)", spread.deviation.map { "\($0)" } ?? ""]
                    }
            }
            + published.map { row in
                [row.name, ""] + columns.flatMap { [$0.published(row).map { "\($0)" } ?? "", ""] }
            }
        return ([["", "seeds"] + titles] + rows).map { $0.map(quoted).joined(separator: ",") }.joined(separator: "\n")
    }

    private static func latex(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&", "%", "$", "#", "_", "{", "}": result += "\\\(character)"
            case "~": result += "\\textasciitilde{}"
            case "^": result += "\\textasciicircum{}"
            case "\\": result += "\\textbackslash{}"
            case "↑": result += "$\\uparrow$"
            case "↓": result += "$\\downarrow$"
            case "±": result += "$\\pm$"
            case "Δ": result += "$\\Delta$"
            case "−": result += "$-$"
            case "×": result += "$\\times$"
            case "–": result += "--"
            default: result.append(character)
            }
        }
        return result
    }
}
