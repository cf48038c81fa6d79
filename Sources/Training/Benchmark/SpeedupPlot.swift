import Foundation

/// Speed-up against density, one panel per step, as SVG for page and print.
public struct SpeedupPlot {
    private let report: SkipReport

    public init(_ report: SkipReport) { self.report = report }

    /// Writes the plot, whole or not at all.
    ///
    /// - Throws: `RunError` if the file cannot be written.
    public func write(to url: URL) throws { try AtomicFile.write(Data(svg.utf8), to: url) }

    private static let panelWidth = 380.0
    private static let panelHeight = 250.0
    private static let margin = (left: 52.0, top: 44.0, right: 18.0, bottom: 44.0)
    private static let titles: [SkipReport.Step: String] = [
        .inference: "Inference", .retrain: "Retraining step", .weights: "Weight step, hard_skip",
        .logits: "Logit step, hard_skip",
    ]

    /// The whole picture.
    public var svg: String {
        let steps = SkipReport.Step.allCases.filter { step in report.rows.contains { $0.step == step } }
        let columns = min(2, steps.count)
        let lines = (steps.count + 1) / 2
        let size = (width: Double(columns) * Self.panelWidth, height: Double(lines) * Self.panelHeight + 56)
        var body = text(
            12, 20, "Speed-up over one pass per task", size: 15, weight: "bold")
        let setting =
            "\(report.rows.first?.network ?? ""), \(report.network.head) heads, batch \(report.batch), "
            + "\(report.height)×\(report.width)"
        body += text(12, 38, setting + (columns > 1 ? ", \(report.device)" : ""), size: 11)
        for (position, step) in steps.enumerated() {
            let x = Double(position % 2) * Self.panelWidth
            let y = 50 + Double(position / 2) * Self.panelHeight
            body += "<g transform=\"translate(\(number(x)),\(number(y)))\">\n\(panel(step))</g>\n"
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(size.width)) \(number(size.height))" \
            width="\(number(size.width))" height="\(number(size.height))" font-family="sans-serif">
            <rect width="100%" height="100%" fill="white"/>
            \(body)</svg>

            """
    }

    private func panel(_ step: SkipReport.Step) -> String {
        let rows = report.rows.filter { $0.step == step && $0.network == report.rows.first?.network }
        let line = rows.filter { ["all_selected", "random", "hard_skip"].contains($0.policy) }
            .sorted { ($0.density ?? 0) < ($1.density ?? 0) }
        let published = rows.filter { $0.policy == "published" }
        func ideal(_ row: SkipReport.Row) -> Double { row.speedup * row.ms / row.idealMs }
        // From a policy that costs as much as one pass per task to one that skips every block: two orders of magnitude.
        let values = (line + published).flatMap { [$0.speedup, ideal($0)] }
        let ticks = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
        let bottom = ticks.last { $0 <= min(1, values.min() ?? 1) } ?? ticks[0]
        let top = ticks.first { $0 >= values.max() ?? 2 } ?? ticks[ticks.count - 1]
        let (left, upper) = (Self.margin.left, Self.margin.top)
        let width = Self.panelWidth - left - Self.margin.right
        let height = Self.panelHeight - upper - Self.margin.bottom
        func x(_ density: Double) -> Double { left + density * width }
        func y(_ speedup: Double) -> Double {
            upper + height * (1 - log(max(speedup, bottom) / bottom) / log(top / bottom))
        }

        var result = text(left, upper - 12, Self.titles[step] ?? step.rawValue, size: 13, weight: "bold")
        for value in ticks where value >= bottom && value <= top {
            result += segment(left, y(value), left + width, y(value), "#ddd", 1)
            result += text(left - 6, y(value) + 4, "\(number(value))×", size: 10, anchor: "end")
        }
        for tenths in stride(from: 0, through: 10, by: 2) {
            result += text(
                x(Double(tenths) / 10), upper + height + 15, "\(tenths * 10) %", size: 10, anchor: "middle")
        }
        result += text(
            left + width / 2, upper + height + 32, "selected (block, task) pairs", size: 11, anchor: "middle")
        result += segment(left, y(1), left + width, y(1), "#888", 1.2, dash: "2 2")
        result += path(line.map { (x($0.density ?? 0), y(ideal($0))) }, "#666", 1.6, dash: "6 4")
        result += path(line.map { (x($0.density ?? 0), y($0.speedup)) }, "#0b5fa5", 2)
        for row in line { result += circle(x(row.density ?? 0), y(row.speedup), "#0b5fa5") }
        for row in published {
            let (px, py) = (x(row.density ?? 0), y(row.speedup))
            result +=
                "<rect x=\"\(number(px - 4.5))\" y=\"\(number(py - 4.5))\" width=\"9\" height=\"9\" fill=\"#c2410c\"/>\n"
        }
        // The legend lies where curves that fall to the right leave room.
        let right = left + width - 118
        result +=
            segment(right, upper + 8, right + 24, upper + 8, "#0b5fa5", 2) + circle(right + 12, upper + 8, "#0b5fa5")
        result += text(right + 30, upper + 12, "measured", size: 10)
        result += segment(right, upper + 24, right + 24, upper + 24, "#666", 1.6, dash: "6 4")
        result += text(right + 30, upper + 28, "ideal", size: 10)
        if !published.isEmpty {
            result +=
                "<rect x=\"\(number(right + 7.5))\" y=\"\(number(upper + 35.5))\" width=\"9\" height=\"9\" fill=\"#c2410c\"/>\n"
            result += text(right + 30, upper + 44, "published policy", size: 10)
        }
        return result
    }

    private func number(_ value: Double) -> String {
        Int(exactly: value).map(String.init) ?? "\((value * 100).rounded() / 100)"
    }

    private func text(
        _ x: Double, _ y: Double, _ string: String, size: Double, anchor: String = "start", weight: String = "normal"
    ) -> String {
        let escaped = string.map { ["&": "&amp;", "<": "&lt;", ">": "&gt;"][$0] ?? String($0) }.joined()
        return "<text x=\"\(number(x))\" y=\"\(number(y))\" font-size=\"\(number(size))\" text-anchor=\"\(anchor)\" "
            + "font-weight=\"\(weight)\" fill=\"#222\">\(escaped)</text>\n"
    }

    private func segment(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String, _ width: Double, dash: String = ""
    ) -> String { path([(x1, y1), (x2, y2)], colour, width, dash: dash) }

    private func path(_ points: [(Double, Double)], _ colour: String, _ width: Double, dash: String = "") -> String {
        let list = points.map { "\(number($0.0)),\(number($0.1))" }.joined(separator: " ")
        return "<polyline points=\"\(list)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"\(number(width))\""
            + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"") + "/>\n"
    }

    private func circle(_ x: Double, _ y: Double, _ colour: String) -> String {
        "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"3.5\" fill=\"\(colour)\"/>\n"
    }
}
