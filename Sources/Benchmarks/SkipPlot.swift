import AdaShareSupport
import Foundation

/// Time of a step against the density of its policy, one panel per step, with lines of hard sharing and of one pass per
/// task, as SVG for page and print.
///
/// Policies on which all tasks agree and those that each task draws on its own are two curves: of the former hard
/// sharing is the densest, the latter share nothing once they have diverged and do not come near it.
///
/// Each time is taken relative to the all-selected runs measured in turns with it, times what hard sharing takes: a
/// machine that is slower for a while moves no point against the line.
public struct SkipPlot {
    private let report: SkipReport

    /// The plot of a report.
    public init(_ report: SkipReport) { self.report = report }

    /// Writes the plot, whole or not at all.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws { try chart.write(to: url) }

    private static let titles: [SkipReport.Step: String] = [
        .inference: "Inference", .retrain: "Retraining step", .weights: "Weight step, hard_skip",
        .logits: "Logit step, hard_skip",
    ]
    /// Rows that are curves, lines or have no density; all others are single policies.
    private static let curves: Set = ["all_selected", "alike", "random", "hard_skip", "soft"]

    /// The whole picture, of the benchmark's own network.
    public var chart: Chart {
        let steps = SkipReport.Step.allCases.filter { step in report.rows.contains { $0.step == step } }
        let setting = [
            report.rows.first?.network ?? "", "\(report.network.head) heads", "batch \(report.batch)",
            dimensions(height: report.height, width: report.width), report.device, report.date,
        ]
        return Chart(
            "Time of a step against the selected part of the network", subtitle: setting.joined(separator: ", "),
            panels: steps.map(panel))
    }

    private func panel(_ step: SkipReport.Step) -> Chart.Panel {
        let rows = report.rows.filter { $0.step == step && $0.network == report.rows.first?.network }
            .sorted { ($0.density ?? 0) < ($1.density ?? 0) }
        func isDrawn(_ row: SkipReport.Row) -> Bool { row.policy == "random" || row.policy == "hard_skip" }
        let alike = rows.filter { $0.policy == "alike" || $0.policy == "all_selected" }
        let published = rows.filter { $0.policy == "published" }
        let own = rows.filter {
            !Self.curves.contains($0.policy) && $0.policy != "published" && !$0.policy.hasPrefix("only_")
        }
        let all = rows.first { $0.policy == "all_selected" }
        func pace(_ row: SkipReport.Row) -> Double {
            row.policy == "all_selected" ? 1 : (all?.ms ?? row.referenceMs) / row.referenceMs
        }
        func points(_ rows: [SkipReport.Row], label: Bool = false) -> [Chart.Point] {
            rows.map { Chart.Point(100 * ($0.density ?? 0), $0.ms * pace($0), label: label ? $0.policy : nil) }
        }
        let ideal = rows.filter(isDrawn).map { Chart.Point(100 * ($0.density ?? 0), $0.idealMs * pace($0)) }
        let series = [
            Chart.Series("all tasks decide alike (random)", .blue, .circle, line: .solid, points: points(alike)),
            Chart.Series(
                "each task on its own (random)", .vermillion, .square, line: .solid,
                points: points(rows.filter(isDrawn))),
            Chart.Series("the same, ideal", .black, nil, line: .dashed, points: ideal),
            Chart.Series("published policy", .green, .diamond, points: points(published, label: true)),
            Chart.Series("policy of one's own", .purple, .triangle, points: points(own, label: true)),
        ]
        return Chart.Panel(
            Self.titles[step] ?? step.rawValue, note: "lower is better",
            x: Chart.Axis("selected (block, task) pairs", range: 0...100, unit: " %"),
            y: Chart.Axis("ms per step, timed in turns with hard sharing"),
            series: series.filter { !$0.points.isEmpty },
            lines: all.map {
                [
                    Chart.ReferenceLine("hard sharing, one pass", at: $0.ms),
                    Chart.ReferenceLine("one pass per task", at: $0.passes * $0.ms, .grey, line: .thin),
                ]
            } ?? [])
    }
}
