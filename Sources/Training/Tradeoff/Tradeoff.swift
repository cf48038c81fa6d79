import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import AdaShareTasks
import Foundation

/// What a run's policies, hard sharing and narrower networks cost and reach, `tradeoff.json`.
public struct Tradeoff: Codable, Sendable {
    /// One network under one policy.
    public struct Point: Codable, Sendable {
        /// How a network comes to its cost.
        public enum Kind: String, Codable, Sendable {
            /// Every task selects every block, at full width: what all points are relative to.
            case hardSharing = "hard_sharing"
            /// The network under a policy, or hard sharing with fewer channels.
            case policy, narrow
        }
        /// How the network differs from hard sharing.
        public let kind: Kind
        /// What tables call it.
        public let name: String
        /// Its run folder, from the run's; `.` for the run itself.
        public let folder: String
        /// Multiply-accumulates of the backbone, as a share of hard sharing's.
        public let macsShare: Double
        /// What an inference and a training step take as shares of what hard sharing takes, measured in turns with it.
        public let inferenceShare, trainingShare: Double
        /// These shares of what hard sharing takes, in milliseconds.
        public let inferenceMs, trainingMs: Double
        /// What the parts' times had promised for the step that the budget counts, and that as a share of hard
        /// sharing's; nil where budgets count no time.
        public var plannedMs, plannedShare: Double?
        /// The most it was to take, as a share of hard sharing's time; nil without a budget of time.
        public var budgetShare: Double?
        /// Mean over tasks of the mean over metrics of the gain over hard sharing, in percent, exact convention; nil
        /// where hard sharing was not trained.
        public let gain: Double?
        /// The same by task.
        public let gains: [String: Double]

        /// The measured share of the step that a budget counts; of inference where it counts none.
        public func share(_ measure: BudgetMeasure) -> Double {
            measure == .training ? trainingShare : inferenceShare
        }

        /// The measured milliseconds of the step that a budget counts; of inference where it counts none.
        public func ms(_ measure: BudgetMeasure) -> Double { measure == .training ? trainingMs : inferenceMs }

        /// By how much the measured step takes longer than was planned, relatively.
        public func planError(_ measure: BudgetMeasure) -> Double? { plannedMs.map { ms(measure) / $0 - 1 } }
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
        configuration.method.chosen.comparesCosts && configuration.training.retrain.iterations > 0
            && (configuration.policy.hasBudget || !configuration.training.narrowBaselines.isEmpty)
    }

    /// Trains what is not finished yet, times everything beside hard sharing and writes `tradeoff.json` and
    /// `tradeoff.svg`.
    ///
    /// The run's own network must have been let go: another one is made here.
    ///
    /// - Parameter summary: of the run.
    /// - Throws: what training throws; `DeviceError` or `InputError` if a step cannot be timed.
    public func compare(with summary: RunSummary) throws -> Tradeoff {
        let sides = try train()
        report(.notice("timing steps beside hard sharing"))
        let timer = try PolicyTimer(session(experiment, run), experiment.trainingShape)
        let times = experiment.configuration.policy.isTimed ? try run.readTimes(for: experiment) : nil
        let base = summary.hardSharing
        let macs = experiment.trainingCost.parts

        var timed: [Timed] = []
        func add(
            _ kind: Tradeoff.Point.Kind, _ name: String, folder: String, macsShare: Double,
            metrics: [String: [String: [Metric]]]?, planned: DiscretePolicy? = nil, budget: PolicyBudget? = nil,
            time: (BudgetMeasure) throws -> PolicyTimer.Times
        ) throws {
            try stop?.check()
            timed.append(
                Timed(
                    kind: kind, name: name, folder: folder, macsShare: macsShare, metrics: metrics,
                    planned: planned, budget: budget, inference: try time(.inference), training: try time(.training)))
        }
        let tasks = experiment.tasks.map(\.name)
        let all = DiscretePolicy.hardSharing(tasks: tasks.count, blocks: experiment.architecture.blocks.count)
        func addPolicy(
            _ name: String, folder: String, _ policy: DiscretePolicy, _ metrics: [String: [String: [Metric]]],
            _ budget: PolicyBudget?
        ) throws {
            try add(
                .policy, name, folder: folder, macsShare: macs.share(of: policy, .shared), metrics: metrics,
                planned: policy, budget: budget
            ) { try timer.time(policy, $0) }
        }
        try add(.hardSharing, "hard sharing", folder: ".", macsShare: 1, metrics: base) { try timer.time(all, $0) }
        if summary.phase == .retrain, let policy = summary.policy?.discrete(tasks: tasks), policy != all {
            let budget = summary.isPolicyLearned ? experiment.configuration.policy.budget : nil
            let name = budget.map { "policy at \($0.name)" } ?? (summary.isPolicyLearned ? "policy" : "policy given")
            try addPolicy(name, folder: ".", policy, summary.metrics, budget)
        }
        for side in sides {
            switch side.kind {
            case .budget(let budget):
                try addPolicy(side.kind.name, folder: side.kind.folder, side.policy, side.metrics, budget)
            case .narrow:
                let narrow = try session(side.experiment, side.run)
                let share =
                    Double(side.experiment.trainingCost.parts.hardSharing(.shared)) / Double(macs.hardSharing(.shared))
                try add(
                    .narrow, side.kind.name, folder: side.kind.folder, macsShare: share, metrics: side.metrics
                ) { try timer.time(narrow, $0) }
            }
        }
        if !timed.allSatisfy({ $0.inference.isSettled && $0.training.isSettled }) {
            report(.notice("other work disturbed the timing: shares of hard sharing's time may be some percent off"))
        }
        let points = Timed.points(
            timed, over: base, times: times?.costs, measure: experiment.configuration.policy.budgetFor)
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

    /// The experiment as a run has computed it on this device; the trainer has said what comes of that.
    private func session(_ experiment: Experiment, _ run: RunDirectory) throws -> ExperimentSession {
        try ExperimentSession.open(experiment, on: context, family: family, algorithms: .recorded(run)) { _ in }
    }
}

/// A network that was timed, before all are compared.
private struct Timed {
    let kind: Tradeoff.Point.Kind
    let name, folder: String
    let macsShare: Double
    let metrics: [String: [String: [Metric]]]?
    let planned: DiscretePolicy?
    let budget: PolicyBudget?
    let inference, training: PolicyTimer.Times

    /// Compares them with hard sharing, which was timed beside each.
    ///
    /// - Parameters:
    ///   - timed: hard sharing first.
    ///   - base: what hard sharing reaches; nil where it was not trained.
    ///   - times: of parts, where budgets count time.
    static func points(
        _ timed: [Timed], over base: [String: [String: [Metric]]]?, times: PartCosts?, measure: BudgetMeasure
    ) -> [Tradeoff.Point] {
        let inferenceMs = timed.map(\.inference.hardSharingMs).min() ?? 0
        let trainingMs = timed.map(\.training.hardSharingMs).min() ?? 0
        let hardMs = measure == .training ? trainingMs : inferenceMs
        let reference = base?.of(.exact) ?? [:]
        return timed.map { one in
            let isReference = one.kind == .hardSharing
            let (inference, training) = isReference ? (1, 1) : (one.inference.share, one.training.share)
            let own = one.metrics?.of(.exact) ?? [:]
            let limit = times == nil ? nil : one.budget
            return Tradeoff.Point(
                kind: one.kind, name: one.name, folder: one.folder, macsShare: one.macsShare,
                inferenceShare: inference, trainingShare: training, inferenceMs: inference * inferenceMs,
                trainingMs: training * trainingMs,
                plannedMs: one.planned.flatMap { times?.milliseconds(of: $0, .shared) },
                plannedShare: one.planned.flatMap { times?.share(of: $0, .shared) },
                budgetShare: limit.map { budget in
                    switch budget {
                    case .share(let share): share
                    case .milliseconds(let ms): ms / hardMs
                    }
                },
                gain: RelativeGain.overall(own, over: reference),
                gains: own.reduce(into: [:]) { gains, entry in
                    gains[entry.key] = reference[entry.key].flatMap { RelativeGain.ofTask(entry.value, over: $0) }
                })
        }
    }
}
