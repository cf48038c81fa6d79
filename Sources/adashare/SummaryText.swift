import Models
import Training

/// The tables a run ends with.
struct SummaryText {
    private let summary: RunSummary
    private let tasks: [String]

    init(_ summary: RunSummary, tasks: [String]) {
        self.summary = summary
        self.tasks = tasks
    }

    var text: String {
        var parts: [String] = []
        if let policy = summary.policyTable(tasks: tasks) {
            let title = summary.isPolicyLearned ? "Learned policy" : "Policy: hard sharing, nothing was learned"
            parts.append("\(title) (block × task, in brackets the probability of selecting)\n\n\(policy)")
        }
        let subject = "\(summary.images) images of split \(summary.split), normals trained as \(summary.normals)"
        for convention in [MetricConvention.exact, .published] {
            let table = summary.metricsTable(tasks: tasks, convention: convention)
            parts.append("Metrics, \(convention.rawValue) convention (\(subject))\n\n\(table)")
        }
        parts.append(gains)
        if let reached = summary.policyCost {
            func percent(_ share: Double) -> String { "\(readable(100 * share, digits: 2)) %" }
            parts.append(
                "Cost of the blocks (\(reached.form), of selecting everything): "
                    + (reached.asked.map { "asked \(percent($0)), " } ?? "")
                    + "expected \(percent(reached.expected)), discrete policy \(percent(reached.discrete))")
        }
        parts.append("Cost of one image\n\n\(cost)")
        parts.append("Seconds per phase\n\n\(seconds)")
        return "\n" + parts.joined(separator: "\n\n") + "\n"
    }

    private var gains: String {
        var lines = tasks.map { task in
            let convention = MetricConvention.exact.rawValue
            guard let mine = summary.metrics[task]?[convention]?.first,
                let base = summary.constantGuess[task]?[convention]?.first(where: { $0.name == mine.name }),
                let gain = RelativeGain.ofTask([mine], over: [base])
            else { return "\(task): nothing to compare" }
            return "\(task): \(mine.name) \(readable(mine.value)), best constant guess \(readable(base.value)): "
                + "\(readable(abs(gain), digits: 2)) % \(gain < 0 ? "worse" : "better") (exact convention)"
        }
        if let gain = summary.gainOverHardSharing {
            lines.append("all tasks: \(readable(gain, digits: 2)) % against hard sharing")
        }
        return lines.joined(separator: "\n")
    }

    private var cost: String {
        var table = Table(["", "M parameters", "M MACs"])
        func row(_ name: String, _ parameters: Int?, _ macs: Int) {
            table.add([
                name, parameters.map { readable(Double($0) / 1e6) } ?? "", readable(Double(macs) / 1e6),
            ])
        }
        row("backbone, all blocks, one pass per task", summary.cost.backbone.parameters, summary.cost.backbone.macsAll)
        row("backbone, hard sharing, one pass", nil, summary.cost.backbone.macsAll / max(1, tasks.count))
        row("backbone, policy, one pass per task", nil, summary.cost.backbone.macsSelected)
        row("backbone, policy, common work once", nil, summary.cost.backbone.macsShared)
        row("heads", summary.cost.heads.parameters, summary.cost.heads.macs)
        return table.text
    }

    private var seconds: String {
        var table = Table(["phase", "seconds"])
        for phase in Phase.allCases {
            if let spent = summary.secondsPerPhase[phase.rawValue] { table.add([phase.rawValue, readable(spent)]) }
        }
        table.add(["(compiling, in all)", readable(summary.compileSeconds)])
        return table.text
    }
}
