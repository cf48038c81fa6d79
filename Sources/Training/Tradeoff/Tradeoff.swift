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
        /// What the earlier point is called whose network this one is too, where two budgets have come to one policy;
        /// nil for a network of its own.
        public var sameAs: String?
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
        /// Whether it takes more than its budget, as planned or as measured; nil without one, and in files of earlier
        /// versions.
        public var isOverBudget: Bool?
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

        /// Whether it takes more than its budget, as far as that is known.
        ///
        /// - Parameter measure: what budgets count.
        public func isOver(_ measure: BudgetMeasure) -> Bool {
            isOverBudget ?? budgetShare.map { share(measure) > $0 } ?? false
        }

        /// By how much the measured step takes longer than was planned, relatively.
        public func planError(_ measure: BudgetMeasure) -> Double? { plannedMs.map { ms(measure) / $0 - 1 } }
    }

    /// Where the times were measured.
    public let device: String
    /// By which kernels; nil in files of earlier versions.
    public var kernelFamily: String?
    /// Images of the timed steps and their size in pixels.
    public let batch, height, width: Int
    /// What budgets count.
    public let measure: BudgetMeasure
    /// Which images the gains are of.
    public let split: String
    /// Hard sharing first.
    public let points: [Point]
    /// Whether other work on the machine disturbed the timing, so that times say little; nil where it did not, and in
    /// files of earlier versions.
    public var isDisturbed: Bool?

    /// What that means, for people.
    package static let disturbance = "Other work disturbed these times, and they may be far off."
}

extension SideRuns {
    /// Trains what is not finished yet, times everything beside hard sharing and writes `tradeoff.json` and
    /// `tradeoff.svg`; what these hold of the same networks on this device stays.
    ///
    /// The run's own network must have been let go: another one is made here.
    ///
    /// - Parameter summary: of the run.
    /// - Throws: what training throws; `DeviceError` or `InputError` if a step cannot be timed.
    /// - Returns: nil in all processes but the first, which times alone.
    public func compare(with summary: RunSummary) throws -> Tradeoff? {
        let networks = networks(try train(), beside: summary)
        let (file, ranks) = (run.tradeoff, experiment.ranks)
        let known = ranks?.isFirst ?? true ? self.known(networks, over: summary, in: file) : nil
        let isKnown = try ranks.map { try $0.first([known == nil ? 0 : 1]) == [1] } ?? (known != nil)
        guard ranks?.isFirst ?? true else {
            // Asked to stop, they stop the first one, too.
            if !isKnown { for _ in networks { try experiment.check(stop) } }
            return nil
        }
        if let known {
            try draw(known)
            return known
        }
        report(.notice("timing steps beside hard sharing"))
        let timer = try PolicyTimer(session(experiment.alone, run), experiment.alone.trainingShape)
        let timed = try networks.reduce(into: [Timed]()) { timed, network in
            try experiment.check(stop)
            if let twin = timed.first(where: { $0.network.name == network.sameAs }) {
                return timed.append(Timed(network: network, inference: twin.inference, training: twin.training))
            }
            let side = try network.narrow.map { try session($0.experiment.alone, $0.run) }
            func time(_ measure: BudgetMeasure) throws -> PolicyTimer.Times {
                try side.map { try timer.time($0, measure) } ?? timer.time(network.policy, measure)
            }
            timed.append(Timed(network: network, inference: try time(.inference), training: try time(.training)))
        }
        let isDisturbed = !timed.allSatisfy { $0.inference.isSettled && $0.training.isSettled }
        if isDisturbed { report(.notice("other work disturbed the timing")) }
        var planned = experiment
        planned.partTimes = experiment.configuration.policy.isTimed ? try run.readTimes(for: experiment) : nil
        let points = Timed.points(timed, over: summary.hardSharing, planned: planned)
        let shape = experiment.alone.trainingShape
        let result = Tradeoff(
            device: context.device.name, kernelFamily: summary.kernelFamily, batch: shape.count, height: shape.height,
            width: shape.width, measure: experiment.configuration.policy.budgetFor, split: summary.split,
            points: points, isDisturbed: isDisturbed ? true : nil)
        try AtomicFile.write(Data(try JSONText.pretty(result).utf8), to: file)
        try draw(result)
        return result
    }

    private func draw(_ tradeoff: Tradeoff) throws {
        if let chart = tradeoff.chart {
            try chart.write(to: run.tradeoffPicture)
        } else {
            report(.notice("no tradeoff.svg: its gains need training.hard_sharing_baseline"))
        }
    }

    /// What is compared, hard sharing first.
    private func networks(_ sides: [Finished], beside summary: RunSummary) -> [Compared] {
        let tasks = experiment.tasks.map(\.name)
        let macs = experiment.trainingCost.parts
        let all = DiscretePolicy.hardSharing(tasks: tasks.count, blocks: experiment.architecture.blocks.count)
        var networks = [
            Compared(
                kind: .hardSharing, name: "hard sharing", folder: ".", macsShare: 1, metrics: summary.hardSharing,
                policy: all)
        ]
        if summary.phase == .retrain, let policy = summary.policy?.discrete(tasks: tasks), policy != all {
            let budget = summary.isPolicyLearned ? experiment.configuration.policy.budget : nil
            networks.append(
                Compared(
                    kind: .policy,
                    name: budget.map { Kind.budget($0).name } ?? (summary.isPolicyLearned ? "policy" : "policy given"),
                    folder: ".", macsShare: macs.share(of: policy, .shared), metrics: summary.metrics, policy: policy,
                    budget: budget))
        }
        return networks
            + sides.map { side in
                switch side.kind {
                case .budget(let budget):
                    Compared(
                        kind: .policy, name: side.kind.name, folder: side.trained.folder,
                        sameAs: side.trained == side.kind ? nil : side.trained.name,
                        macsShare: macs.share(of: side.policy, .shared), metrics: side.metrics, policy: side.policy,
                        budget: budget)
                case .narrow:
                    Compared(
                        kind: .narrow, name: side.kind.name, folder: side.kind.folder,
                        macsShare: Double(side.experiment.trainingCost.parts.hardSharing(.shared))
                            / Double(macs.hardSharing(.shared)),
                        metrics: side.metrics, policy: side.policy, narrow: side)
                }
            }
    }

    /// A comparison that is in its place already: of networks that differ in nothing, on this device.
    private func known(_ networks: [Compared], over summary: RunSummary, in file: URL) -> Tradeoff? {
        guard let data = try? Data(contentsOf: file), let known = try? JSONText.read(Tradeoff.self, data) else {
            return nil
        }
        let shape = experiment.alone.trainingShape
        let isOfThis =
            known.device == context.device.name && known.kernelFamily == summary.kernelFamily
            && known.split == summary.split
            && known.measure == experiment.configuration.policy.budgetFor
            && [known.batch, known.height, known.width] == [shape.count, shape.height, shape.width]
        let areSame = known.points.elementsEqual(networks) { point, network in
            let (gain, gains) = network.gains(over: summary.hardSharing)
            return point.kind == network.kind && point.name == network.name && point.folder == network.folder
                && point.sameAs == network.sameAs
                && point.macsShare == network.macsShare && point.gain == gain && point.gains == gains
        }
        return isOfThis && areSame ? known : nil
    }

    /// The experiment as a run has computed it on this device; the trainer has said what comes of that.
    private func session(_ experiment: Experiment, _ run: RunDirectory) throws -> ExperimentSession {
        try ExperimentSession.open(experiment, on: context, family: family, algorithms: .recorded(run)) { _ in }
    }
}

/// A network that is compared with hard sharing.
private struct Compared {
    let kind: Tradeoff.Point.Kind
    let name, folder: String
    var sameAs: String?
    let macsShare: Double
    /// Task → convention → metrics; nil where it was not trained.
    let metrics: [String: [String: [Metric]]]?
    let policy: DiscretePolicy
    var budget: PolicyBudget?
    /// Where its channels are fewer, it is a network of its own.
    var narrow: SideRuns.Finished?

    /// Gains over what hard sharing reaches, of all tasks and of each, in percent, exact convention.
    func gains(over base: [String: [String: [Metric]]]?) -> (all: Double?, tasks: [String: Double]) {
        let (own, reference) = (metrics?.of(.exact) ?? [:], base?.of(.exact) ?? [:])
        let tasks = own.reduce(into: [String: Double]()) { gains, entry in
            gains[entry.key] = reference[entry.key].flatMap { RelativeGain.ofTask(entry.value, over: $0) }
        }
        return (RelativeGain.overall(own, over: reference), tasks)
    }
}

/// A network that was timed, before all are compared.
private struct Timed {
    let network: Compared
    let inference, training: PolicyTimer.Times

    /// Compares them with hard sharing, which was timed beside each.
    ///
    /// - Parameters:
    ///   - timed: hard sharing first.
    ///   - base: what hard sharing reaches; nil where it was not trained.
    ///   - planned: the experiment, with the times of parts where budgets count time.
    static func points(
        _ timed: [Timed], over base: [String: [String: [Metric]]]?, planned: Experiment
    ) -> [Tradeoff.Point] {
        let (times, settings) = (planned.partTimes?.costs, planned.configuration.policy)
        let inferenceMs = timed.map(\.inference.hardSharingMs).min() ?? 0
        let trainingMs = timed.map(\.training.hardSharingMs).min() ?? 0
        let hardMs = settings.budgetFor == .training ? trainingMs : inferenceMs
        return timed.map { one in
            let network = one.network
            let isReference = network.kind == .hardSharing
            let (inference, training) = isReference ? (1, 1) : (one.inference.share, one.training.share)
            let plan = network.kind == .policy ? network.policy : nil
            let (gain, gains) = network.gains(over: base)
            var point = Tradeoff.Point(
                kind: network.kind, name: network.name, folder: network.folder, sameAs: network.sameAs,
                macsShare: network.macsShare, inferenceShare: inference, trainingShare: training,
                inferenceMs: inference * inferenceMs, trainingMs: training * trainingMs,
                plannedMs: plan.flatMap { times?.milliseconds(of: $0, .shared) },
                plannedShare: plan.flatMap { times?.share(of: $0, .shared) },
                budgetShare: network.budget.flatMap { times?.limit($0, settings.cost, hardMs: hardMs) },
                gain: gain, gains: gains)
            point.isOverBudget = network.budget.map { budget in
                planned.plans(network.policy, above: budget) || point.isOver(settings.budgetFor)
            }
            return point
        }
    }
}

extension PartCosts {
    /// The most that a budget allows, as a share of what hard sharing takes in one pass.
    fileprivate func limit(_ budget: PolicyBudget, _ form: CostForm, hardMs: Double) -> Double {
        switch budget {
        case .share(let share): share * (Double(hardSharing(form)) / Double(hardSharing(.shared)))
        case .milliseconds(let ms): ms / hardMs
        }
    }
}
