import AdaShareSupport
import Foundation

extension Tradeoff {
    /// Gain over hard sharing against milliseconds, a panel for inference and one for training steps; nil where hard
    /// sharing was not trained, so that there is no gain.
    public var chart: Chart? {
        guard let hard = points.first(where: { $0.kind == .hardSharing }), hard.gain != nil else { return nil }
        let narrow = points.filter { $0.kind == .narrow }
        let narrows = narrow.isEmpty ? [] : ([hard] + narrow).sorted { $0.macsShare > $1.macsShare }
        /// Budgets that have come to one policy have one place.
        func names(_ point: Point) -> String {
            ([point.name] + points.filter { $0.sameAs == point.name }.map(\.name)).joined(separator: ", ")
        }
        func panel(
            _ title: String, ms: (Point) -> Double
        ) -> Chart.Panel {
            func spots(_ points: [Point], label: (Point) -> String?) -> [Chart.Point] {
                points.filter { $0.sameAs == nil }.compactMap { point in
                    point.gain.map { Chart.Point(ms(point), $0, label: label(point)) }
                }
            }
            let policies = points.filter { $0.kind == .policy }
            var series = [
                Chart.Series("policies", .vermillion, .square, points: spots(policies, label: names))
            ]
            if !narrows.isEmpty {
                series.append(
                    Chart.Series(
                        "hard sharing, narrowed", .blue, .circle, line: .solid,
                        points: spots(narrows) { $0.kind == .narrow ? $0.name : nil }))
            }
            series.append(Chart.Series("", .black, .diamond, points: [Chart.Point(ms(hard), 0)]))
            return Chart.Panel(
                title, note: "up and left is better", x: Chart.Axis("ms per step of \(batch) images"),
                y: Chart.Axis("accuracy against hard sharing", unit: " %"), series: series,
                lines: [Chart.ReferenceLine("hard sharing", at: 0)])
        }
        return Chart(
            "Accuracy against time",
            subtitle: "\(height)×\(width), split \(split), exact convention, mean over tasks and metrics, \(device)",
            panels: [
                panel("Inference") { $0.inferenceMs },
                panel("Training step") { $0.trainingMs },
            ])
    }
}
