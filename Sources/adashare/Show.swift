import AdaShareExperiments
import AdaShareMethods
import AdaShareReport
import AdaShareSupport
import AdaShareTraining
import ArgumentParser
import Foundation

struct Show: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a run's policy, metrics and cost again, or compare several runs.",
        discussion: """
            From what the folders hold: neither device nor data is needed, and a run need not be finished. Of several \
            runs a table with a column for each; those of one configuration that differ only in their seeds are one, \
            with mean ± standard deviation. Δ is the mean relative gain over the run's own hard sharing.
            """)

    @Argument(help: "Run folders that `train` wrote.", completion: .file()) var runs: [String]
    @Flag(help: "Print JSON.") var json = false

    func run(on console: Console) throws {
        let shown = try zip(runs, RunReport.names(of: runs)).map { path, name in
            try ShownRun(URL(fileURLWithPath: path), name: name)
        }
        let comparison = runs.count > 1 ? try RunComparison(shown.map { ($0.listing.name, $0.url) }) : nil
        var files: Set<String> = []
        for error in shown.flatMap(\.report.leftOut) + (comparison?.leftOut ?? [])
        where files.insert(error.file).inserted {
            console.say(.notice, "left out: \(error)")
        }
        if json {
            try console.print(
                try JSONText.pretty(Answer(runs: shown.map(\.answer), comparison: comparison?.numbers)))
            return
        }
        guard let comparison else {
            try console.print(shown[0].text)
            // Of several budgets, what the run has ended with stands in the runs that belong to it.
            if shown[0].report.tradeoff != nil {
                try printTable(
                    of: RunComparison([(shown[0].listing.name, shown[0].url)]), on: console)
            }
            return
        }
        for run in shown { try console.print(run.headline) }
        if !comparison.lines.isEmpty { try console.print("") }
        try printTable(of: comparison, on: console)
    }

    private func printTable(of comparison: RunComparison, on console: Console) throws {
        guard !comparison.lines.isEmpty else { return }
        try console.print("Metrics, exact convention, and cost of one image\n\n\(comparison.text)")
    }

    private struct Answer: Encodable {
        let runs: [ShownRun.Answer]
        let comparison: [RunComparison.Numbers]?
    }
}

/// One run, as its folder has it.
struct ShownRun {
    let url: URL
    let listing: RunListing
    let report: RunReport

    init(_ url: URL, name: String) throws {
        self.url = url
        report = try RunReport(url, name: name)
        listing = try RunListing(of: url, name: name)
    }

    var headline: String {
        var parts = [listing.state.rawValue, report.experiment.configuration.method.kind]
        // What was last is no news of a run that has come to its end.
        if listing.state != .finished, let phase = listing.phase, let iteration = listing.iteration {
            let place = listing.phaseNumber.map { ", phase \($0) of \(listing.phases ?? $0)" } ?? ""
            parts.append("\(phase) step \(iteration)" + (listing.iterations.map { " of \($0)" } ?? "") + place)
        }
        if let part = listing.part { parts.append(part.text) }
        parts.append("seed \(report.experiment.configuration.training.seed)")
        if let summary = report.summary { parts.append("\(summary.images) images of split \(summary.split)") }
        return visible("\(listing.name): " + parts.joined(separator: ", "))
    }

    private var tasks: [String] { report.experiment.tasks.map(\.name) }

    var text: String {
        guard let summary = report.summary else { return headline + "\n\n" + unfinished }
        let experiment = report.experiment
        let phases = experiment.method.phases(experiment.methodSettings).map(\.phase)
        let isLearned = report.tradeoff != nil && summary.phase == experiment.method.learner
        let sides = try? report.tradeoff.map { _ in
            try RunDirectory(url, mode: .read).summaries(of: report.standing.parts)
        }
        let text = SummaryText(
            summary, tasks: tasks, phases: phases, policies: isLearned ? report.budgets : [], missed: report.missed,
            sides: sides ?? []
        ).text
        let isOver = listing.state == .finished
        return headline + (isOver ? "" : "\nnot finished: the results below are of what was done before") + "\n" + text
            + (report.tradeoff.map { "\n" + TradeoffText($0, tasks: tasks).text } ?? "")
    }

    /// What a run has come to before its end.
    private var unfinished: String {
        let experiment = report.experiment
        let blocks = experiment.architecture.blocks.map(\.name)
        let before = report.isBeforeTrials ? ", before trials" : ""
        var parts = report.policies.map { title, policy in
            "\(title)\(before)\n\n\(policy.table(blocks: blocks, tasks: tasks))"
        }
        if let policy = report.policyInTheMaking {
            parts.append(
                "Policy, while it is learned (block × task: what is more probable than not, in brackets the "
                    + "probability of selecting)\n\n\(policy.table(blocks: blocks, tasks: tasks))")
        }
        if !report.lastLosses.isEmpty {
            var table = Table(["loss", "value"])
            for (name, value) in report.lastLosses { table.add([name, readable(value)]) }
            parts.append("Last losses, phase \(listing.phase ?? "none")\n\n\(table.text)")
        }
        if !report.lastScores.isEmpty {
            var table = Table(["metric", "value"])
            for (name, value) in report.lastScores { table.add([name, readable(value)]) }
            parts.append("Last metrics on the validation split, exact convention\n\n\(table.text)")
        }
        if report.policies.isEmpty {
            let cost = experiment.trainingCost.report()
            parts.append("Cost\n\n" + cost.totals(nil, marked: "", hasPolicy: experiment.method.learner == nil))
        }
        for (title, policy) in report.policies {
            let of = report.policies.count > 1 ? ": \(title)" : ""
            let cost = experiment.trainingCost.report(policy: policy.discrete(tasks: tasks))
            parts.append("Cost\(of)\n\n\(cost.totals)")
        }
        return parts.joined(separator: "\n\n")
    }

    var answer: Answer {
        Answer(
            listing: listing, summary: report.summary, tradeoff: report.tradeoff,
            policies: report.policies.map { Answer.Policy(title: $0.title, policy: $0.policy) },
            missedBudgets: report.missed.map(\.name).sorted())
    }

    struct Answer: Encodable {
        struct Policy: Encodable {
            let title: String
            let policy: SelectionPolicy
        }

        let listing: RunListing
        let summary: RunSummary?
        let tradeoff: Tradeoff?
        let policies: [Policy]
        /// Budgets whose policies take more.
        let missedBudgets: [String]
    }
}
