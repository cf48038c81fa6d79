import AdaShareSupport
import AdaShareTraining

/// What a run's policies come to beside hard sharing, as a table and a line for each policy.
struct TradeoffText {
    private let tradeoff: Tradeoff
    private let tasks: [String]

    init(_ tradeoff: Tradeoff, tasks: [String]) {
        self.tradeoff = tradeoff
        self.tasks = tasks
    }

    var text: String {
        var title =
            "Accuracy against time, ms for steps of \(tradeoff.batch) images of "
            + "\(tradeoff.height)×\(tradeoff.width) on \(tradeoff.device)"
        if hasGains { title += "\ngains over hard sharing on split \(tradeoff.split), exact convention" }
        var lines = tradeoff.points.filter { $0.kind == .policy }.map(verdict)
        if isDisturbed { lines.insert(Self.disturbed, at: 0) }
        return "\(title)\n\n\(table)\n\n\(lines.joined(separator: "\n"))\n"
    }

    private static let disturbed =
        "\(Tradeoff.disturbance) `train --resume` measures again once tradeoff.json is removed."

    private var isDisturbed: Bool { tradeoff.isDisturbed ?? false }
    private var hasGains: Bool { tradeoff.points.contains { $0.gain != nil } }

    private var table: String {
        var table = Table(
            ["", "MACs", "inference", "", "training", ""] + (hasGains ? tasks + ["all tasks"] : []))
        for point in tradeoff.points {
            let gains = hasGains ? tasks.map { signedPercent(point.gains[$0]) } + [signedPercent(point.gain)] : []
            table.add(
                [
                    point.name + (point.isOver(tradeoff.measure) ? SideRuns.overMark : ""), percent(point.macsShare),
                    readable(point.inferenceMs), percent(point.inferenceShare), readable(point.trainingMs),
                    percent(point.trainingShare),
                ] + gains)
        }
        let isMarked = tradeoff.points.contains { $0.isOver(tradeoff.measure) }
        return table.text + (isMarked ? "\n\(SideRuns.overLegend)" : "")
    }

    /// Such as "policy at 0.4: 2.4 × fewer multiply-accumulates, inference 2.1 × faster, …", and below it what became
    /// of accuracy and budget.
    private func verdict(_ point: Tradeoff.Point) -> String {
        let isOver = point.isOver(tradeoff.measure)
        if let twin = point.sameAs {
            return "\(point.name) is the \(twin), which was trained once" + (isOver ? "; over its budget" : "")
        }
        func factor(_ share: Double, _ less: String, _ more: String) -> String {
            share <= 1
                ? "\(readable(1 / share, digits: 3)) × \(less)" : "\(readable(share, digits: 3)) × \(more)"
        }
        var line =
            "\(point.name): \(factor(point.macsShare, "fewer", "more")) multiply-accumulates"
        if !isDisturbed {
            line +=
                ", inference \(factor(point.inferenceShare, "faster", "slower")), training "
                + factor(point.trainingShare, "faster", "slower")
        }
        var facts: [String] = []
        if let all = point.gain {
            let gains = tasks.compactMap { task in point.gains[task].map { "\(task) \(signedPercent($0))" } }
            facts.append("\(gains.joined(separator: ", ")); all tasks \(signedPercent(all)) against hard sharing")
        }
        if let error = point.planError(tradeoff.measure), let planned = point.plannedMs {
            facts.append(
                "planned \(readable(planned)) ms of \(tradeoff.measure.rawValue), \(signedPercent(100 * error)) off")
        }
        if let limit = point.budgetShare, point.share(tradeoff.measure) > limit {
            let over = 100 * (point.share(tradeoff.measure) / limit - 1)
            facts.append("measured \(signedPercent(over)) over its budget")
        } else if isOver {
            facts.append("planned over its budget")
        }
        return ([line] + facts).joined(separator: "\n  ")
    }
}

/// `+1.3 %`, with a sign that is as wide as the plus.
func signedPercent(_ percent: Double?) -> String {
    percent.map { signed($0) + " %" } ?? Table.none
}
