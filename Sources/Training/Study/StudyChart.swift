import AdaShareConfiguration
import AdaShareSupport

extension StudyResults {
    /// Δ over the reference against milliseconds, or multiply-accumulates where not every line has been timed; nil
    /// where nothing is compared.
    public var chart: Chart? {
        let gained = lines.filter { !gains($0).isEmpty }
        guard gained.contains(where: { $0.name != study.reference }) else { return nil }
        let isTimed = gained.allSatisfy { $0.entries.values.allSatisfy { $0.milliseconds != nil } }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }
        let rows = Set(gained.filter { $0.kind != nil }.map(\.row))
        func point(_ line: Line) -> Chart.Point {
            let costs = line.entries.values.map { isTimed ? $0.milliseconds ?? 0 : Double($0.macs) / 1e9 }
            // Within the only row that has several networks, the row says nothing.
            let label = line.part.isEmpty || rows.count > 1 ? line.name : line.part
            return Chart.Point(mean(costs.sorted()), mean(gains(line)), label: label)
        }
        func points(_ wanted: (Line) -> Bool) -> [Chart.Point] { gained.filter(wanted).map(point) }
        let widths = study.rows.map(\.name).map { row in
            points {
                $0.row == row && ($0.kind == .hardSharing || $0.kind == .narrow) && $0.name != study.reference
            }.sorted { $0.x > $1.x }
        }
        let series =
            [
                Chart.Series(
                    "policies", .vermillion, .square,
                    points: points { $0.kind == .policy && $0.name != study.reference })
            ]
            + widths.map { Chart.Series("hard sharing at several widths", .blue, .circle, line: .thin, points: $0) }
            + [
                Chart.Series(
                    "other methods", .purple, .triangle,
                    points: points { $0.kind == nil && $0.name != study.reference }),
                Chart.Series(
                    "what is compared with", .black, .diamond, points: points { $0.name == study.reference }),
            ]
        return Chart(
            "Accuracy against \(isTimed ? "time" : "work")",
            subtitle: "mean over seeds, tasks and metrics, exact convention",
            panels: [
                Chart.Panel(
                    "", note: "up and left is better",
                    x: Chart.Axis(isTimed ? "ms an image" : "G multiply-accumulates per image"),
                    y: Chart.Axis("accuracy against \(study.reference ?? "")", unit: " %"),
                    series: series.filter { !$0.points.isEmpty }, lines: [Chart.ReferenceLine("", at: 0)])
            ], panelSize: Chart.Size(width: 760, height: 440))
    }
}
