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
    package let experiment: Experiment
    /// The resolved configuration, YAML.
    let configuration: String
    let history: RunHistory
    /// nil until the run has finished.
    package let summary: RunSummary?
    /// nil where costs were not compared.
    package let tradeoff: Tradeoff?
    /// The policies that the run has come to, each with what it is called.
    package let policies: [(title: String, policy: SelectionPolicy)]
    /// Those of them that each belong to one of several budgets.
    package let budgets: [(budget: PolicyBudget, policy: SelectionPolicy)]
    /// What its networks have reached: its own, or where policies were retrained in runs of their own, those.
    package let networks: [(title: String, summary: RunSummary)]
    /// What predictions of each network, finished or not, looked like when they were last scored at the end of a
    /// phase: by task, PNG.
    let pictures: [(title: String, tasks: [(name: String, png: Data)])]
    /// What kernels have taken; nil where no process of the run was profiled.
    let profile: ProfileSummary?

    /// Reads a run's folder.
    ///
    /// - Parameters:
    ///   - url: the folder.
    ///   - name: what the run is called; nil for the folder's name.
    /// - Throws: `InputError` if it is no run's, or a file in it is damaged.
    public init(_ url: URL, name: String? = nil) throws {
        let run = try RunDirectory(url, mode: .read)
        self.name = name ?? url.standardizedFileURL.lastPathComponent
        experiment = try Experiment(run.readConfiguration())
        configuration = experiment.configuration.yaml()
        let hasLog = FileManager.default.fileExists(atPath: run.log.path)
        history = RunHistory(hasLog ? try EventLog.read(run.log) : [], tasks: experiment.tasks.map(\.name))
        let (summary, tradeoff): (RunSummary?, Tradeoff?) = (
            try JSONText.readFileIfThere(run.summary),
            try JSONText.readFileIfThere(url.appendingPathComponent("tradeoff.json"))
        )
        (self.summary, self.tradeoff) = (summary, tradeoff)
        budgets = try Self.budgets(of: run, experiment)
        policies =
            budgets.isEmpty
            ? try Self.policies(of: run, experiment, summary)
            : budgets.map { ("Policy at \($0.budget.name) of hard sharing", $0.policy) }
        profile = try JSONText.readFileIfThere(run.profile, expected: "that of a profile; without it the page has none")
        let folders = experiment.configuration.policy.budgets.map { budget in
            (title: "policy at \(budget.name)", folder: SideRuns.Kind.budget(budget).folder)
        }
        let tasks = experiment.tasks.map(\.name)
        pictures = ([(title: "this run", folder: ".")] + folders).compactMap { title, folder in
            guard let own = try? RunDirectory(url.appendingPathComponent(folder), mode: .read) else { return nil }
            let files = tasks.enumerated().compactMap { index, task in
                (try? Data(contentsOf: own.picture(ofTask: index + 1))).map { (name: task, png: $0) }
            }
            return files.isEmpty ? nil : (title, files)
        }
        let retrained = try experiment.configuration.policy.budgets.compactMap { budget in
            let folder = url.appendingPathComponent(SideRuns.Kind.budget(budget).folder)
            let own: RunSummary? = try JSONText.readFileIfThere(folder.appendingPathComponent("summary.json"))
            return own.map { (title: "policy at \(budget.name)", summary: $0) }
        }
        networks = retrained.isEmpty ? summary.map { [("this run", $0)] } ?? [] : retrained
    }

    /// What each metric was on the validation split when it was last scored, exact convention.
    package var lastScores: [(name: String, value: Double)] {
        // Not those of what results are compared with.
        let reference = experiment.method.reference?.rawValue
        let end = history.spans.last { $0.phase != reference }?.last ?? 0
        return history.metrics.compactMap { curve in
            curve.points.last { $0.step <= end }.map { (curve.name, $0.value) }
        }
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

/// The course of a run out of its log: everything by steps counted over all phases.
struct RunHistory {
    /// One phase, as far as it has come.
    struct Span {
        let phase: String
        let first, last: Int
    }

    /// A number over steps.
    struct Curve {
        let name: String
        var points: [(step: Int, value: Double)] = []
    }

    /// In order.
    private(set) var spans: [Span] = []
    /// Of each task, then their weighted sum.
    private(set) var losses: [Curve]
    /// Of each task the first metric on the validation split, exact convention.
    private(set) var metrics: [Curve]
    /// Probabilities of selecting, by task and block, as learning went on.
    private(set) var probabilities: [(step: Int, tasks: [String: [Double]])] = []

    init(_ events: [JSONValue], tasks: [String]) {
        losses = (tasks + ["total"]).map { Curve(name: $0) }
        metrics = []
        var (offset, current, reached) = (0, "", 0)
        for event in events {
            guard let phase = event["phase"]?.string,
                let iteration = event["iteration"]?.double.flatMap(Int.init(exactly:)),
                (0...1 << 40).contains(iteration)
            else { continue }
            if phase != current {
                if reached > 0 { spans.append(Span(phase: current, first: offset, last: offset + reached)) }
                (offset, current, reached) = (offset + reached, phase, 0)
            }
            reached = max(reached, iteration)
            let step = offset + iteration
            switch event["event"]?.string {
            case "step":
                for index in losses.indices {
                    guard let value = event["loss"]?[losses[index].name]?.double else { continue }
                    losses[index].points.append((step, value))
                }
                if case .object(let rows)? = event["probabilities"] {
                    let values = rows.mapValues { row -> [Double] in
                        if case .array(let list) = row { list.compactMap(\.double) } else { [] }
                    }
                    probabilities.append((step, values))
                }
            case "evaluation":
                for task in tasks {
                    guard case .object(let values)? = event["metrics"]?[task]?["exact"] else { continue }
                    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                        guard let number = value.double else { continue }
                        let title = "\(task) \(name)"
                        if !metrics.contains(where: { $0.name == title }) { metrics.append(Curve(name: title)) }
                        guard let place = metrics.firstIndex(where: { $0.name == title }) else { continue }
                        metrics[place].points.append((step, number))
                    }
                }
            default: break
            }
        }
        if reached > 0 { spans.append(Span(phase: current, first: offset, last: offset + reached)) }
        losses.removeAll { $0.points.isEmpty }
    }
}

extension RunHistory.Curve {
    /// At most so many points, each the mean of its neighbours: a page need not hold every step.
    func thinned(to count: Int) -> [(step: Int, value: Double)] {
        guard points.count > count else { return points }
        let size = (points.count + count - 1) / count
        return stride(from: 0, to: points.count, by: size).map { first in
            let part = points[first..<min(first + size, points.count)]
            return (part[part.startIndex + part.count / 2].step, part.reduce(0) { $0 + $1.value } / Double(part.count))
        }
    }
}
