import Datasets
import DeviceLayer
import Foundation
import Models
import Operators

/// What a run's policies, hard sharing and narrower networks cost and reach, `tradeoff.json`.
public struct Tradeoff: Codable, Sendable {
    /// One network under one policy.
    public struct Point: Codable, Sendable {
        /// hard_sharing, policy or narrow.
        public enum Kind: String, Codable, Sendable {
            case hardSharing = "hard_sharing"
            case policy, narrow
        }
        public let kind: Kind
        /// What tables call it.
        public let name: String
        /// Its run folder, from the run's; `.` for the run itself.
        public let folder: String
        /// Multiply-accumulates of the backbone, as a share of hard sharing's.
        public let macsShare: Double
        /// Measured milliseconds of an inference and a training step, and as shares of hard sharing's.
        public var inferenceMs, inferenceShare, trainingMs, trainingShare: Double
        /// What the parts' times had promised for the step that the budget counts, as a share of hard sharing's; nil
        /// where budgets count no time.
        public var plannedShare: Double?
        /// Mean over tasks of the mean over metrics of the gain over hard sharing, in percent, exact convention; nil
        /// where hard sharing was not trained.
        public let gain: Double?
        /// The same by task.
        public let gains: [String: Double]

        /// The measured share of the step that a budget counts; of inference where it counts none.
        public func share(_ measure: BudgetMeasure) -> Double {
            measure == .training ? trainingShare : inferenceShare
        }

        /// By how much the measured share of the step is above what was planned, relatively.
        public func planError(_ measure: BudgetMeasure) -> Double? { plannedShare.map { share(measure) / $0 - 1 } }
    }

    /// Where the times were measured.
    public let device: String
    /// Images of the timed steps and their size in pixels.
    public let batch, height, width: Int
    /// What budgets count.
    public let measure: BudgetMeasure
    /// Which images the gains are of.
    public let split: String
    /// Hard sharing first.
    public let points: [Point]
}

extension SideRuns {
    /// Whether a run ends with a comparison of times: where its cost was asked for.
    public static func areWanted(_ configuration: ExperimentConfiguration) -> Bool {
        configuration.training.retrain.iterations > 0
            && (configuration.policy.hasBudget || !configuration.training.narrowBaselines.isEmpty)
    }

    /// Trains what is not finished yet, times everything beside hard sharing and writes `tradeoff.json` and
    /// `tradeoff.svg`.
    ///
    /// The run's own network must have been let go: another one is made here.
    ///
    /// - Parameter summary: of the run.
    /// - Throws: what training throws; `DeviceError` or `PlanError` if a step cannot be timed.
    public func compare(with summary: RunSummary) throws -> Tradeoff {
        let sides = try train()
        report(.notice("timing steps beside hard sharing"))
        let library = try KernelLibrary(context: context, family: family)
        let reference = try timed(experiment, run, library)
        let timer = try PolicyTimer(reference, experiment.trainingShape, library: library)
        let times = experiment.configuration.policy.isTimed ? try run.readTimes(for: experiment) : nil
        let base = summary.hardSharing
        let macs = experiment.trainingCost.parts

        func point(
            _ kind: Tradeoff.Point.Kind, _ name: String, folder: String, macsShare: Double,
            metrics: [String: [String: [Metric]]]?, planned: Double? = nil,
            time: (BudgetMeasure) throws -> PolicyTimer.Times
        ) throws -> Tradeoff.Point {
            let exact = metrics?.compactMapValues { $0[MetricConvention.exact.rawValue] } ?? [:]
            let reference = base?.compactMapValues { $0[MetricConvention.exact.rawValue] } ?? [:]
            let (inference, training) = (try time(.inference), try time(.training))
            return Tradeoff.Point(
                kind: kind, name: name, folder: folder, macsShare: macsShare, inferenceMs: inference.ms,
                inferenceShare: inference.share, trainingMs: training.ms, trainingShare: training.share,
                plannedShare: planned, gain: RelativeGain.overall(exact, over: reference),
                gains: exact.reduce(into: [:]) { gains, entry in
                    gains[entry.key] = reference[entry.key].flatMap { RelativeGain.ofTask(entry.value, over: $0) }
                })
        }
        let tasks = experiment.tasks.map(\.name)
        let all = DiscretePolicy.hardSharing(tasks: tasks.count, blocks: experiment.architecture.blocks.count)
        func policyPoint(
            _ name: String, folder: String, _ policy: DiscretePolicy, _ metrics: [String: [String: [Metric]]]
        ) throws -> Tradeoff.Point {
            try point(
                .policy, name, folder: folder, macsShare: macs.share(of: policy, .shared), metrics: metrics,
                planned: times?.costs.share(of: policy, .shared)
            ) { try timer.time(policy, $0) }
        }
        var points = [
            try point(.hardSharing, "hard sharing", folder: ".", macsShare: 1, metrics: base) {
                try timer.time(all, $0)
            }
        ]
        if summary.phase == .retrain, let policy = summary.policy?.discrete(tasks: tasks), policy != all {
            let budget = summary.isPolicyLearned ? experiment.configuration.policy.budget : nil
            let name = budget.map { "policy at \($0.name)" } ?? (summary.isPolicyLearned ? "policy" : "policy given")
            points.append(try policyPoint(name, folder: ".", policy, summary.metrics))
        }
        for side in sides {
            switch side.kind {
            case .budget:
                points.append(
                    try policyPoint(side.kind.name, folder: side.kind.folder, side.policy, side.metrics))
            case .narrow:
                let narrow = try timed(side.experiment, side.run, library)
                let share =
                    Double(side.experiment.trainingCost.parts.hardSharing(.shared)) / Double(macs.hardSharing(.shared))
                points.append(
                    try point(
                        .narrow, side.kind.name, folder: side.kind.folder, macsShare: share, metrics: side.metrics
                    ) { try timer.time(narrow, $0) })
            }
        }
        let shape = experiment.trainingShape
        let result = Tradeoff(
            device: context.device.name, batch: shape.count, height: shape.height, width: shape.width,
            measure: experiment.configuration.policy.budgetFor, split: summary.split, points: points)
        try AtomicFile.write(
            Data(try JSONText.pretty(result).utf8), to: run.url.appendingPathComponent("tradeoff.json"))
        if let chart = result.chart {
            try chart.write(to: run.url.appendingPathComponent("tradeoff.svg"))
        } else {
            report(.notice("no tradeoff.svg: its gains need training.hard_sharing_baseline"))
        }
        return result
    }

    /// The experiment as a run has computed it on this device.
    private func timed(_ experiment: Experiment, _ run: RunDirectory, _ library: KernelLibrary) throws -> Experiment {
        var experiment = experiment
        // The trainer has said what comes of that.
        _ = try experiment.settle(on: library)
        if let recorded = try run.readAlgorithms(for: library, arithmetic: experiment.arithmetic) {
            experiment.adopt(recorded, on: library)
        }
        return experiment
    }
}
