import AdaShareConfiguration
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks
import AdaShareTraining

/// The tables a run ends with.
struct SummaryText {
    private let summary: RunSummary
    private let tasks: [String]
    private let phases: [Phase]
    private let policies: [(budget: PolicyBudget, policy: SelectionPolicy)]
    private let missed: Set<PolicyBudget>
    private let sides: [(activity: String, summary: RunSummary)]

    /// - Parameters:
    ///   - phases: the method's, in order.
    ///   - policies: of several budgets, where each is retrained in a run of its own.
    ///   - missed: budgets whose policies take more.
    ///   - sides: what the runs that belong to the run have ended with.
    init(
        _ summary: RunSummary, tasks: [String], phases: [Phase],
        policies: [(budget: PolicyBudget, policy: SelectionPolicy)] = [], missed: Set<PolicyBudget> = [],
        sides: [(activity: String, summary: RunSummary)] = []
    ) {
        self.summary = summary
        self.tasks = tasks
        self.phases = phases
        self.policies = policies
        self.missed = missed
        self.sides = sides
    }

    private var isOverBudget: Bool { summary.policyCost?.isOverBudget ?? false }

    var text: String {
        var parts: [String] = []
        // What is scored here is the network before any retraining, which nobody compares.
        if !policies.isEmpty {
            for (budgets, miss, policy) in SideRuns.grouped(policies, missed: missed) {
                let table = policy.table(blocks: summary.cost.blocks.map(\.name), tasks: tasks)
                parts.append("Policy at \(budgets)\(miss) (\(legend(policy)))\n\n\(table)")
            }
            parts.append("Seconds per phase\n\n\(seconds)")
            return "\n" + parts.joined(separator: "\n\n") + "\n"
        }
        if let policy = summary.policy, let table = summary.policyTable(tasks: tasks) {
            let title =
                (summary.isPolicyLearned ? "Learned policy" : "Policy, not learned here")
                + (isOverBudget ? ", over its budget" : "")
            parts.append("\(title) (\(legend(policy)))\n\n\(table)")
        }
        let subject = "\(summary.images) images of split \(summary.split)" + clause(summary.trainedAs ?? [:])
        for convention in [MetricConvention.exact, .published] {
            let table = summary.metricsTable(tasks: tasks, convention: convention)
            parts.append("Metrics, \(convention.rawValue) convention (\(subject))\n\n\(table)")
        }
        parts.append(gains)
        if let reached = summary.policyCost {
            // Where the budget is milliseconds, all of it is said in them too.
            let perShare = reached.askedMilliseconds.flatMap { ms in reached.asked.map { ms / $0 } }
            func spelled(_ share: Double) -> String {
                (perShare.map { "\(readable(share * $0)) ms or " } ?? "") + percent(share)
            }
            parts.append(
                "\(what(reached)) (\(reached.form), of \(CostForm(rawValue: reached.form)?.base ?? "everything")): "
                    + (reached.asked.map { "asked \(spelled($0)), " } ?? "")
                    + "expected \(spelled(reached.expected)), discrete policy \(spelled(reached.discrete))")
        }
        parts.append("Cost of one image\n\n\(cost)\n\n\(verdict)")
        parts.append("Seconds per phase\n\n\(seconds)")
        return "\n" + parts.joined(separator: "\n\n") + "\n"
    }

    private func legend(_ policy: SelectionPolicy) -> String {
        "block × task" + (policy.probabilities.isEmpty ? "" : ", in brackets the probability of selecting")
    }

    private func what(_ cost: PolicyCost) -> String {
        guard let measure = cost.measure.flatMap(BudgetMeasure.init(rawValue:)), measure != .macs else {
            return "Cost of the backbone"
        }
        return "Time of a step of \(measure.rawValue), as planned"
    }

    /// Against hard sharing, or where that was not trained, against a constant guess.
    private var gains: String {
        if let all = summary.gainOverHardSharing {
            let parts = tasks.compactMap { task in
                summary.gainOverHardSharing(of: task).map { "\(task) \(signedPercent($0))" }
            }
            return "Accuracy against hard sharing, exact convention: \(parts.joined(separator: ", ")); "
                + "all tasks \(signedPercent(all))"
        }
        return tasks.map { task in
            let convention = MetricConvention.exact.rawValue
            guard let mine = summary.metrics[task]?[convention]?.first,
                let base = summary.constantGuess[task]?[convention]?.first(where: { $0.name == mine.name }),
                let gain = RelativeGain.ofTask([mine], over: [base])
            else { return "\(task): no score and constant guess that can be compared (exact convention)" }
            return "\(task): \(mine.name) \(readable(mine.value)), best constant guess \(readable(base.value)): "
                + "\(readable(abs(gain), digits: 2)) % \(gain < 0 ? "worse" : "better") (exact convention)"
        }.joined(separator: "\n")
    }

    /// What the policy comes to, in one line.
    private var verdict: String {
        let backbone = summary.cost.backbone
        if summary.networks > 1 {
            let (mine, shared) = (Double(backbone.macsAll), Double(backbone.macsHardSharing))
            return "\(summary.networks) networks, one for each task, cost \(percent(mine / shared)) of hard sharing's "
                + "backbone, and as many times its parameters."
        }
        let (mine, shared) = (Double(summary.cost.macs), Double(backbone.macsHardSharing))
        if let paths = summary.paths { return "Below the heads: \(paths.text)." }
        if summary.cost.network != nil {
            return "This network costs \(percent(mine / shared)) of hard sharing's backbone."
        }
        return summary.costsMoreThanHardSharing
            ? "This policy costs \(percent(mine / shared)) of hard sharing's backbone: more than sharing everything."
            : "The backbone under this policy costs \(percent(mine / shared)) of hard sharing: "
                + "\(readable(shared / mine, digits: 3)) × fewer multiply-accumulates."
    }

    private var cost: String {
        var table = Table(["", "M parameters", "M MACs"])
        func row(_ name: String, _ parameters: Int?, _ macs: Int) {
            table.add([
                name, parameters.map { readable(Double($0) / 1e6) } ?? "", readable(Double(macs) / 1e6),
            ])
        }
        if summary.networks > 1 || summary.cost.network != nil {
            if let network = summary.cost.network {
                let most = network.isMost == true ? ", at most" : ""
                row("everything below the heads" + most, network.parameters, network.macs)
                if let paths = summary.paths { row("the same, mean over the images", nil, paths.macs) }
            } else {
                row(
                    "backbones, \(summary.networks) networks", summary.networks * summary.cost.backbone.parameters,
                    summary.cost.backbone.macsAll)
            }
            row(
                "backbone, hard sharing, one pass", summary.cost.backbone.parameters,
                summary.cost.backbone.macsHardSharing)
            row("heads", summary.cost.heads.parameters, summary.cost.heads.macs)
            return table.text
        }
        row("backbone, all blocks, one pass per task", summary.cost.backbone.parameters, summary.cost.backbone.macsAll)
        row("backbone, hard sharing, one pass", nil, summary.cost.backbone.macsHardSharing)
        let form = isOverBudget ? summary.policyCost.flatMap { CostForm(rawValue: $0.form) } : nil
        func mark(_ charged: CostForm) -> String { form == charged ? SideRuns.overMark : "" }
        row("backbone, policy, one pass per task\(mark(.passes))", nil, summary.cost.backbone.macsSelected)
        row("backbone, policy, common work once\(mark(.shared))", nil, summary.cost.backbone.macsShared)
        row("heads", summary.cost.heads.parameters, summary.cost.heads.macs)
        return table.text + (form == nil ? "" : "\n\(SideRuns.overLegend)")
    }

    private var seconds: String {
        var table = Table(["phase", "seconds", "waiting for data"])
        func add(_ phase: Phase, of summary: RunSummary, called name: String) {
            guard let spent = summary.secondsPerPhase[phase.rawValue] else { return }
            let wait =
                summary.dataWaitPerPhase?[phase.rawValue].map { "\(readable(100 * $0, digits: 2)) %" } ?? Table.none
            table.add([name, readable(spent), wait])
        }
        for phase in phases { add(phase, of: summary, called: phase.rawValue) }
        for side in sides { add(side.summary.phase, of: side.summary, called: side.activity) }
        table.add(["(compiling, since the last start)", readable(summary.compileSeconds), Table.none])
        return table.text
    }
}
