import AdaShareModels
import AdaShareSupport
import AdaShareTasks
import AdaShareTraining
import Foundation

/// One page about one or several runs: HTML that needs no other file and no network.
public struct ReportPage {
    private let runs: [RunReport]
    private let version: String

    /// - Parameters:
    ///   - runs: at least one.
    ///   - version: of this program.
    public init(_ runs: [RunReport], version: String) { (self.runs, self.version) = (runs, version) }

    /// The page.
    public var html: String { page("") }

    /// The page, which asks its server for what has changed.
    public var following: String {
        page("<p id=\"following\" role=\"status\">following</p>", script: ReportStyle.followingScript)
    }

    /// What tells a page about these runs from others.
    ///
    /// - Parameter folders: of the runs.
    package static func mark(of folders: [URL]) -> String {
        let paths = folders.map { $0.standardizedFileURL.resolvingSymlinksInPath().path + "\n" }
        return "<meta name=\"adashare-runs\" content=\"\(ContentHash.text(Data(paths.joined().utf8)))\">"
    }

    /// What the page is about, without its frame.
    public var main: String { (runs.count > 1 ? comparison : "") + runs.map(section).joined() }

    private func page(_ status: String, script: String = "") -> String {
        let title = runs.map(\.name).joined(separator: ", ")
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="generator" content="adashare \(escapedXML(version))">
            \(Self.mark(of: runs.map(\.folder)))
            <link rel="icon" href="data:,">
            <title>\(escapedXML(title)) – adashare</title>
            <style>
            \(ReportStyle.css)
            </style>
            </head>
            <body>
            \(status)<main>
            \(main)</main>
            <script>
            \(ReportStyle.script)\(script)
            </script>
            </body>
            </html>

            """
    }

    private func section(_ run: RunReport) -> String {
        var parts = [run.header]
        if let results = run.results { parts.append(results) }
        for (title, policy) in run.policies { parts.append(run.network(title, policy)) }
        if let learning = run.policySoFar { parts.append(learning) }
        if let costs = run.costs { parts.append(costs) }
        if let curves = run.curves { parts.append(curves) }
        if let predictions = run.predictions { parts.append(predictions) }
        if let kernels = run.kernels { parts.append(kernels) }
        let lines = run.configuration.split(separator: "\n").map { escapedXML(String($0)) }
        parts.append(
            "<section><details><summary>Resolved configuration</summary><pre>\(lines.joined(separator: "\n"))</pre>"
                + "</details></section>")
        return "<article>\n" + parts.joined(separator: "\n") + "\n</article>\n"
    }

    /// What each run has reached, side by side, and against what it costs.
    private var comparison: String {
        let finished = runs.filter { $0.summary != nil }
        guard let first = finished.first else { return "" }
        let columns = first.experiment.tasks.compactMap { task in
            first.summary?.metrics[task.name]?[MetricConvention.exact.rawValue]?.first.map { (task.name, $0) }
        }
        let header =
            ["run", "method"]
            + columns.map { "\($0.0) \($0.1.name)\(unit($0.1)) \($0.1.higherIsBetter ? "↑" : "↓")" }
            + ["accuracy against hard sharing", "M MACs below the heads", "M parameters below the heads"]
        let networks = finished.flatMap { run in
            run.networks.map { own in
                (
                    name: run.networks.count > 1 ? "\(run.name), \(own.title)" : run.name, network: own,
                    macs: own.summary.macs, gain: run.gain(own.summary)
                )
            }
        }
        let rows = networks.map { name, network, macs, gain -> [String] in
            let own = columns.map { task, metric in
                network.summary.metrics[task]?[MetricConvention.exact.rawValue]?.first { $0.name == metric.name }
                    .map { readable($0.value) } ?? "–"
            }
            return [name + (network.isOverBudget ? SideRuns.overMark : ""), network.summary.method] + own + [
                gain.map { signed($0) + " %" } ?? "–", readable(Double(macs) / 1e6),
                readable(Double(network.summary.parameters) / 1e6),
            ]
        }
        let points = networks.compactMap { network in
            network.gain.map { Chart.Point(Double(network.macs) / 1e6, $0, label: network.name) }
        }
        let shared = Set(networks.filter { $0.gain != nil }.map(\.network.summary.cost.backbone.macsHardSharing))
        let chart = Chart(
            "Accuracy against work",
            panels: [
                Chart.Panel(
                    "", note: "up and left is better", x: Chart.Axis("M multiply-accumulates below the heads"),
                    y: Chart.Axis("accuracy against hard sharing", unit: " %"),
                    series: [
                        Chart.Series("", .vermillion, .square, points: points),
                        Chart.Series(
                            "", .black, .diamond, points: shared.sorted().map { Chart.Point(Double($0) / 1e6, 0) }),
                    ],
                    lines: [Chart.ReferenceLine("hard sharing", at: 0)])
            ], panelSize: Chart.Size(width: 640, height: 360))
        return "<article><header><h1>\(runs.count) runs</h1></header>\n<section>"
            + table(header, rows) + RunReport.remarks(networks.map { ($0.name, $0.network) })
            + (points.count > 1 ? figures(chart) : "") + "</section></article>\n"
    }
}

/// A table whose first column names the rows.
func table(_ header: [String], _ rows: [[String]]) -> String {
    func cells(_ row: [String], _ kind: String) -> String {
        row.enumerated().map { place, text in
            place == 0 ? "<th scope=\"row\">\(escapedXML(text))</th>" : "<\(kind)>\(escapedXML(text))</\(kind)>"
        }.joined()
    }
    let head = header.map { "<th scope=\"col\">\(escapedXML($0))</th>" }.joined()
    return "<div class=\"wide\"><table><thead><tr>\(head)</tr></thead><tbody>"
        + rows.map { "<tr>\(cells($0, "td"))</tr>" }.joined(separator: "\n") + "</tbody></table></div>\n"
}

/// A picture that may be wider than a phone.
func figure(_ svg: String, _ caption: String = "") -> String {
    "<figure class=\"wide\">\(svg)"
        + (caption.isEmpty ? "" : "<figcaption>\(escapedXML(caption))</figcaption>") + "</figure>\n"
}

/// The panels of a chart, beside each other where there is room, below each other on a phone.
func figures(_ chart: Chart) -> String {
    let panels = chart.panels.map { panel in
        figure(Chart("", panels: [panel], columns: 1, panelSize: chart.panelSize).svg)
    }
    let about = chart.subtitle.isEmpty ? "" : "<p>\(escapedXML(chart.subtitle))</p>"
    return "<h3>\(escapedXML(chart.title))</h3>\(about)<div class=\"charts\">\(panels.joined())</div>\n"
}

func unit(_ metric: Metric) -> String { metric.unit.isEmpty ? "" : " \(metric.unit)" }
