import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import AdaShareTasks
import AdaShareTuning
import Foundation

/// The runs that belong to a run and have folders of their own in it: a retraining for each of several budgets, and
/// hard sharing at smaller widths.
///
/// Each is an ordinary run with one phase: it resumes, evaluates and predicts like any other.
public struct SideRuns {
    /// The run they belong to, which is finished up to policy learning.
    let experiment: Experiment
    let run: RunDirectory
    let datasets: [any Dataset]
    let context: DeviceContext
    let kinds: [Kind]
    let family: KernelFamily
    let search: AlgorithmSearchMode
    let profile: ProfileRecorder?
    let stop: StopRequest?
    let report: (ProgressEvent) -> Void

    /// A finished side run.
    struct Finished {
        let kind: Kind
        /// The one that has trained its network: another where two budgets have come to one policy.
        let trained: Kind
        let experiment: Experiment
        let run: RunDirectory
        let policy: DiscretePolicy
        /// task → convention → metrics.
        let metrics: [String: [String: [Metric]]]

        /// The same network, for another budget.
        func standing(for other: Kind) -> Finished {
            Finished(
                kind: other, trained: kind, experiment: experiment, run: run, policy: policy, metrics: metrics)
        }
    }

    /// - Parameters:
    ///   - experiment: as it was before it settled on a device.
    ///   - run: of the experiment; policies for budgets lie there once policy learning has finished.
    ///   - datasets: in the order of the experiment's sources.
    ///   - context: the device.
    ///   - family: the run's.
    ///   - kinds: what to train.
    ///   - search: how convolutions come to their algorithms in runs that have recorded none.
    ///   - profile: takes the launches of every step, where a profile is wanted.
    ///   - stop: asked whether the process is to stop.
    ///   - report: receives progress for people.
    public init(
        experiment: Experiment, run: RunDirectory, datasets: [any Dataset], context: DeviceContext,
        family: KernelFamily, kinds: [Kind], search: AlgorithmSearchMode, profile: ProfileRecorder? = nil,
        stop: StopRequest? = nil, report: @escaping (ProgressEvent) -> Void
    ) {
        self.experiment = experiment
        self.run = run
        self.datasets = datasets
        self.context = context
        self.family = family
        self.kinds = kinds
        self.search = search
        self.profile = profile
        self.stop = stop
        self.report = report
    }

    /// Trains what is not finished yet.
    func train() throws -> [Finished] {
        let networks = run.networks(of: kinds)
        let count = networks.count { $0.kind == $0.trained }
        var left = count
        return try networks.reduce(into: [Finished]()) { finished, next in
            if let twin = finished.first(where: { $0.kind == next.trained }) {
                report(.notice("\(next.kind.name) is the \(twin.kind.name), which is trained once"))
                link(next.kind, to: twin.kind)
                finished.append(twin.standing(for: next.kind))
            } else {
                left -= 1
                finished.append(try train(next.kind, number: count - left, of: count))
            }
        }
    }

    /// Has a budget's folder be that of another one, as far as the file system has links.
    private func link(_ kind: Kind, to other: Kind) {
        let folder = run.url.appendingPathComponent(kind.folder)
        // Both lie in one folder.
        let target = URL(fileURLWithPath: other.folder).lastPathComponent
        let files = FileManager.default
        do {
            if let place = try? files.destinationOfSymbolicLink(atPath: folder.path) {
                guard place != target else { return }
                try files.removeItem(at: folder)
            }
            try files.createSymbolicLink(atPath: folder.path, withDestinationPath: target)
        } catch {
            report(
                .notice(
                    "\(kind.folder) cannot be made a link to \(target), which holds the network of \(kind.name): "
                        + "what lies there is not of this run's policies"))
        }
    }

    /// - Parameters:
    ///   - number: its place among the runs that are trained, from 1.
    ///   - count: of these.
    private func train(_ kind: Kind, number: Int, of count: Int) throws -> Finished {
        var side = try Experiment(configuration(kind))
        side.ranks = experiment.ranks
        let names = side.tasks.map(\.name)
        let blocks = side.architecture.blocks.count
        let policy: SelectionPolicy
        switch kind {
        case .budget(let budget): policy = try .read(run.policy(of: budget), tasks: names, blocks: blocks)
        case .narrow: policy = .allSelected(tasks: names, blocks: blocks)
        }
        let folder = run.url.appendingPathComponent(kind.folder)
        // Where it was another budget's before, as `link` has it; no other link is written through.
        if OrdinaryFile.target(ofLink: folder.path)?.contains("/") == false {
            try FileManager.default.removeItem(at: folder)
        }
        try OrdinaryFile.refuseLink(at: folder, expected: "a folder")
        let exists = FileManager.default.fileExists(atPath: folder.path)
        let own = try RunDirectory(folder, mode: exists ? .resume : .create)
        let changes = try own.prepare(side.configuration, moving: "model.initial_checkpoint")
        try own.becomePart(of: "../..", called: kind.name)
        if case .budget = kind { try adopt(own) }
        let metrics: [String: [String: [Metric]]]
        let isLonger = changes.contains { $0.path.hasSuffix(".iterations") }
        if !isLonger, let known = try own.readMetrics(tasks: names, under: policy) {
            let weights = own.checkpoints.appendingPathComponent("\(Phase.retrain.rawValue).safetensors")
            guard FileManager.default.fileExists(atPath: weights.path) else {
                throw InputError(
                    file: weights.path, found: "no such file",
                    expected: "the weights of a run that has finished; without the folder \(folder.path) it is trained "
                        + "again")
            }
            if let text = try own.mendLog() { report(.notice(text)) }
            metrics = known
        } else {
            let place = count > 1 ? ", \(number) of \(count)" : ""
            report(.notice("training \(kind.name)\(place), run folder \(folder.relativePath)"))
            let trainer = try Trainer(
                experiment: side, datasets: datasets, context: context, family: family, run: own, search: search,
                changes: changes, part: kind.name, stop: stop, report: report)
            trainer.profile = profile
            trainer.runsToCome = count - number
            try trainer.retrain(under: policy)
            try trainer.train(phases: [.retrain])
            guard let summary = try trainer.summarise() else {
                preconditionFailure("retraining has finished without a summary")
            }
            metrics = summary.metrics
        }
        return Finished(
            kind: kind, trained: kind, experiment: side, run: own, policy: policy.discrete(tasks: names),
            metrics: metrics)
    }

    /// Has a side run compute the same convolutions by the same algorithms, and count budgets in the same times.
    private func adopt(_ own: RunDirectory) throws {
        for (from, to) in [(run.algorithms, own.algorithms), (run.times, own.times)]
        where !FileManager.default.fileExists(atPath: to.path) {
            guard let data = try? Data(contentsOf: from) else { continue }
            try AtomicFile.write(data, to: to)
        }
    }

    /// The run's configuration with one phase left, retraining.
    private func configuration(_ kind: Kind) -> ExperimentConfiguration {
        var side = experiment.configuration
        side.training.warmup.iterations = 0
        side.training.policy.iterations = 0
        side.training.trials.iterations = 0
        side.training.hardSharingBaseline = false
        side.training.narrowBaselines = []
        side.policy.budgets = []
        switch kind {
        case .budget(let budget):
            side.policy.budget = budget
            if side.training.retrain.start == .learned {
                side.training.retrain.start = .fresh
                side.model.initialCheckpoint = run.checkpoints.appendingPathComponent("policy.safetensors").path
            }
        case .narrow(let factor):
            side.model.width *= factor
            // Weights of another width do not fit.
            if side.model.initialCheckpoint != nil || side.training.retrain.start == .learned {
                report(.notice("hard sharing at other widths starts from new weights"))
            }
            side.model.initialCheckpoint = nil
            side.training.retrain.start = .fresh
            side.policy.budget = nil
            side.policy.budgetFor = .macs
            side.policy.discrete = .argmax
        }
        return side
    }
}

extension RunDirectory {
    /// The part of a summary that is compared.
    private struct Scores: Decodable {
        let metrics: [String: [String: [Metric]]]
        let policy: SelectionPolicy?
    }

    /// What a finished run has reached under a policy, task → convention → metrics; nil for one that is not finished.
    ///
    /// - Throws: `InputError` if its summary is damaged, or is of other tasks or another policy.
    func readMetrics(tasks: [String], under policy: SelectionPolicy) throws -> [String: [String: [Metric]]]? {
        guard let scores: Scores = try JSONText.readFileIfThere(summary) else { return nil }
        let again = "without the folder \(url.path) it is trained again"
        let convention = MetricConvention.exact.rawValue
        for task in tasks where scores.metrics[task]?[convention]?.isEmpty ?? true {
            throw InputError(
                file: summary.path, place: "metrics.\(task).\(convention)", found: "nothing",
                expected: "what the run reached; \(again)")
        }
        guard scores.policy?.tasks == policy.tasks else {
            throw InputError(
                file: summary.path, place: "policy", found: "another policy than this run's for that budget",
                expected: "the same one; \(again)")
        }
        return scores.metrics
    }
}
