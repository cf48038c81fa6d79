import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareProfiling
import AdaShareSupport
import AdaShareTraining
import Foundation

/// What the folder of a run tells about it, finished or not.
public struct RunReport {
    /// What the run is called: its folder.
    public let name: String
    let folder: URL
    package let experiment: Experiment
    /// The resolved configuration, YAML.
    let configuration: String
    let history: RunHistory
    /// How far it is.
    package let standing: RunStanding
    /// The course of each run that belongs to it and has begun, with what it is called.
    let parts: [(title: String, history: RunHistory)]
    /// nil until the run has finished.
    package let summary: RunSummary?
    /// nil where costs were not compared.
    package let tradeoff: Tradeoff?
    /// The policies that the run has come to, each with what it is called.
    package let policies: [(title: String, policy: SelectionPolicy)]
    /// Whether candidates for the policies have still to be tried.
    package let isBeforeTrials: Bool
    /// Those of them that each belong to one of several budgets.
    package let budgets: [(budget: PolicyBudget, policy: SelectionPolicy)]
    /// What a network of the run has reached.
    package struct Network {
        /// What it is called.
        package let title: String
        package let summary: RunSummary
        /// What the network is called that this one is too, where two budgets have come to one policy.
        var sameAs: String?
        /// Whether it takes more than its budget.
        var isOverBudget = false
        /// What tables call it.
        var marked: String { title + (isOverBudget ? SideRuns.overMark : "") }
    }

    /// Its own, or where policies were retrained in runs of their own, those.
    package let networks: [Network]
    /// Budgets whose policies take more than they allow.
    package let missed: Set<PolicyBudget>
    /// Runs that belong to it and of which nothing is told, and why.
    package let leftOut: [InputError]
    /// What predictions of each network, finished or not, looked like when they were last scored at the end of a
    /// phase: by task, PNG.
    let pictures: [(title: String, tasks: [(name: String, png: Data)])]
    /// What kernels have taken; nil where no process of the run was profiled.
    let profile: ProfileSummary?

    /// What its own network is called beside those of runs that belong to it.
    static let ownTitle = "this run"

    /// Reads a run's folder.
    ///
    /// - Parameters:
    ///   - url: the folder.
    ///   - name: what the run is called; nil for the folder's name.
    /// - Throws: `InputError` if it is no run's, or a file in it is damaged.
    public init(_ url: URL, name: String? = nil) throws {
        let run = try RunDirectory(url, mode: .read)
        folder = url
        self.name = name ?? url.standardizedFileURL.lastPathComponent
        var experiment = try Experiment(run.readConfiguration())
        if experiment.configuration.policy.isTimed { experiment.partTimes = try? run.readTimes(for: experiment) }
        self.experiment = experiment
        configuration = experiment.configuration.yaml()
        let tasks = experiment.tasks.map(\.name)
        func history(_ log: URL) throws -> RunHistory? {
            guard FileManager.default.fileExists(atPath: log.path) else { return nil }
            return RunHistory(try EventLog.read(log), tasks: tasks)
        }
        self.history = try history(run.log) ?? RunHistory([], tasks: tasks)
        standing = try RunStanding(run, experiment.configuration)
        var leftOut: [InputError] = []
        /// What is damaged in a run that belongs to this one is no reason to say nothing of the others.
        func read<Value>(_ body: () throws -> Value?) throws -> Value? {
            do {
                return try body()
            } catch let error as InputError {
                leftOut.append(error)
                return nil
            }
        }
        parts = try standing.parts.compactMap { kind in
            let log = RunDirectory.Entry.log.url(in: url.appendingPathComponent(kind.folder))
            return try read { try history(log).map { (title: kind.name, history: $0) } }
        }
        let (summary, tradeoff): (RunSummary?, Tradeoff?) = (
            try JSONText.readFileIfThere(run.summary), try JSONText.readFileIfThere(run.tradeoff)
        )
        (self.summary, self.tradeoff) = (summary, tradeoff)
        budgets = try Self.budgets(of: run, experiment)
        missed = experiment.missed(budgets, measured: tradeoff)
        policies =
            budgets.isEmpty
            ? try Self.policies(of: run, experiment, summary)
            : SideRuns.grouped(budgets, missed: missed).map {
                ("Policy at \($0.budgets) of hard sharing\($0.miss)", $0.policy)
            }
        isBeforeTrials =
            experiment.method.phases(experiment.methodSettings).contains { $0.phase == .trials && $0.iterations > 0 }
            && !run.hasFinished(.trials)
        profile = try JSONText.readFileIfThere(run.profile, expected: "that of a profile; without it the page has none")
        let retrainings = run.networks(of: experiment.configuration.policy.budgets.map(SideRuns.Kind.budget))
        let folders = retrainings.filter { $0.kind == $0.trained }.map { own in
            let names = retrainings.filter { $0.trained == own.kind }.map(\.kind.name)
            return (title: names.joined(separator: ", "), folder: own.kind.folder)
        }
        pictures = ([(title: Self.ownTitle, folder: ".")] + folders).compactMap { title, folder in
            guard let own = try? RunDirectory(url.appendingPathComponent(folder), mode: .read) else { return nil }
            let files = tasks.enumerated().compactMap { index, task in
                (try? Data(contentsOf: own.picture(ofTask: index + 1))).map { (name: task, png: $0) }
            }
            return files.isEmpty ? nil : (title, files)
        }
        let over = Set(missed.map { SideRuns.Kind.budget($0) })
        let retrained = try retrainings.compactMap { kind, trained -> Network? in
            let file = RunDirectory.Entry.summary.url(in: url.appendingPathComponent(trained.folder))
            let own: RunSummary? = try read { try JSONText.readFileIfThere(file) }
            return own.map {
                Network(
                    title: kind.name, summary: $0, sameAs: kind == trained ? nil : trained.name,
                    isOverBudget: over.contains(kind))
            }
        }
        let own = summary.map { summary in
            let point = tradeoff?.points.first { $0.kind == .policy && $0.folder == "." }
            return Network(
                title: Self.ownTitle, summary: summary,
                isOverBudget: point.map { $0.isOver(experiment.configuration.policy.budgetFor) }
                    ?? summary.policyCost?.isOverBudget ?? false)
        }
        networks = retrained.isEmpty ? own.map { [$0] } ?? [] : retrained
        self.leftOut = leftOut
    }

    /// What runs are called beside one another: by their folders' names, or where two of these are one, as those of a
    /// study are all called after their seeds, by their paths.
    public static func names(of runs: [String]) -> [String] {
        let names = runs.map { URL(fileURLWithPath: $0).standardizedFileURL.lastPathComponent }
        return Set(names).count < names.count ? runs : names
    }

    /// What each metric was on the validation split when it was last scored, exact convention.
    package var lastScores: [(name: String, value: Double)] {
        // Not those of what results are compared with, or of what was tried.
        let results = Set(experiment.method.results(experiment.methodSettings).map(\.phase.rawValue))
        let end = history.spans.last { results.contains($0.phase) }?.last ?? 0
        return history.metrics.compactMap { curve in
            curve.points.last { $0.step <= end }.map { (curve.name, $0.value) }
        }
    }

    /// What the losses of each task, and their weighted sum, were when they were last logged.
    package var lastLosses: [(name: String, value: Double)] {
        history.losses.compactMap { curve in curve.points.last.map { (curve.name, $0.value) } }
    }

    /// How probably each task selects each block, where a policy is being learned and none has been taken yet.
    package var policyInTheMaking: SelectionPolicy? {
        guard policies.isEmpty, let last = history.probabilities.last else { return nil }
        let closed = last.open.map { max(0, experiment.architecture.blocks.count - $0) } ?? 0
        return SelectionPolicy(
            tasks: last.tasks.mapValues { row in row.enumerated().map { $0 < closed || $1 >= 0.5 ? 1 : 0 } },
            probabilities: last.tasks, open: closed > 0 ? closed : nil)
    }

    private static func budgets(
        of run: RunDirectory, _ experiment: Experiment
    ) throws -> [(budget: PolicyBudget, policy: SelectionPolicy)] {
        try experiment.configuration.policy.budgets.compactMap { budget in
            try read(run.policy(of: budget), experiment).map { (budget, $0) }
        }
    }

    /// The one that the weights are used under.
    private static func policies(
        of run: RunDirectory, _ experiment: Experiment, _ summary: RunSummary?
    ) throws -> [(title: String, policy: SelectionPolicy)] {
        guard !experiment.method.hasOwnNetwork(experiment.methodSettings) else { return [] }
        return try (summary?.policy ?? read(run.policy, experiment)).map { [("Policy", $0)] } ?? []
    }

    private static func read(_ url: URL, _ experiment: Experiment) throws -> SelectionPolicy? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        return try SelectionPolicy.read(
            url, tasks: experiment.tasks.map(\.name), blocks: experiment.architecture.blocks.count)
    }
}
