import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import AdaShareTasks
import AdaShareTuning
import Foundation

/// Times steps under policies beside the same step with everything selected, in one process and alternately.
///
/// What a policy should cost is known from the all-selected run: the times of those of its kernels that the policy
/// still needs. How close the measured time comes to that ideal is the row's fidelity.
public struct SkipBenchmark {
    /// The network; published policies of other networks come beside it.
    public let experiment: Experiment
    /// Images per step and their size in pixels.
    public let shape: BatchShape
    /// Timed runs of each row.
    public let repeats: Int
    /// What is measured, in this order.
    public let steps: [SkipReport.Step]
    /// Which rows are measured.
    public let groups: Set<Group>
    let context: DeviceContext
    let family: KernelFamily?
    let search: AlgorithmSearchMode
    let report: (ProgressEvent) -> Void
    /// Policies of one's own, with what tables call them.
    let policies: [(name: String, policy: DiscretePolicy)]
    let profile: ProfileRecorder?

    /// Rows that belong together.
    public enum Group: String, Sendable, CaseIterable {
        /// Nested policies whose decisions are drawn for every task alone, of densities 0.9, 0.8 … 0.
        case random
        /// Policies on which all tasks agree.
        case alike
        /// Steps that mix the last blocks, the published policy of the network, or each task by itself in one pass.
        case soft, published, alone
        /// Published policies of other networks, each on its own.
        case others

        /// Whether a step has such rows.
        public func applies(to step: SkipReport.Step) -> Bool {
            let isDrawn = step == .weights || step == .logits
            return switch self {
            case .random, .alike, .alone: true
            case .soft: isDrawn
            case .published, .others: !isDrawn
            }
        }
    }

    /// A row outside is measured again: noise in its own runs lowers fidelity, noise in the all-selected ones raises
    /// it.
    static let wantedFidelity = 0.95...1.05
    static let attempts = 3
    /// Seed of the random policies and of data and weights.
    static let seed: UInt64 = 1

    /// Creates a benchmark; it measures nothing before it runs.
    ///
    /// - Parameters:
    ///   - experiment: the network.
    ///   - shape: images per step and their size in pixels.
    ///   - repeats: timed runs of each row.
    ///   - steps: what is measured, in this order.
    ///   - groups: which rows are measured.
    ///   - policies: of one's own, which fit the network.
    ///   - context: made with `profiling: true`.
    ///   - family: kernel family; nil picks the device's.
    ///   - search: how convolutions come to their algorithms.
    ///   - profile: also gets every launch of the measured runs.
    ///   - report: told what is waited for, and each row as it comes.
    /// - Precondition: `repeats` is at least 1.
    public init(
        experiment: Experiment, shape: BatchShape, repeats: Int, steps: [SkipReport.Step],
        groups: Set<Group> = Set(Group.allCases), policies: [(name: String, policy: DiscretePolicy)] = [],
        context: DeviceContext, family: KernelFamily?,
        search: AlgorithmSearchMode = .off, profile: ProfileRecorder? = nil, report: @escaping (ProgressEvent) -> Void
    ) {
        precondition(repeats >= 1)
        self.experiment = experiment
        self.shape = shape
        self.repeats = repeats
        self.steps = steps
        self.groups = groups
        self.policies = policies
        self.context = context
        self.family = family
        self.search = search
        self.profile = profile
        self.report = report
    }

    /// Measures every row.
    ///
    /// - Throws: `DeviceError`, or `InputError` where a tensor is too large for the device.
    public func run() throws -> SkipReport {
        let session = try ExperimentSession.open(experiment, on: context, family: family, report: self.report)
        var report = SkipReport(
            device: context.device.name, driver: context.device.driverVersion,
            kernelFamily: (family ?? KernelFamily(for: context.device)).rawValue,
            date: Date().formatted(.iso8601.year().month().day()), precision: session.experiment.arithmetic.rawValue,
            network: SkipReport.Network(experiment), batch: shape.count, height: shape.height,
            width: shape.width, repeats: repeats, cachedPlanUs: try measureCachedPlan(session))
        for step in steps {
            report.rows += try measure(step, on: experiment, rows: rows(step))
            guard groups.contains(.others), step == .inference || step == .retrain else { continue }
            for published in PublishedPolicies.all where !published.fits(experiment.architecture) {
                let own = try Experiment(published.configuration(like: experiment.configuration))
                let row = Subject(
                    policy: "published", density: published.policy.density,
                    kind: step.kind(published.policy, of: own))
                report.rows += try measure(step, on: own, rows: [row])
            }
        }
        return report
    }

    /// Mean microseconds to find a plan in the cache, with as many others in it as there are steps.
    func measureCachedPlan(_ session: ExperimentSession) throws -> Double {
        let network = try session.makeNetwork()
        let all = DiscretePolicy.hardSharing(
            tasks: experiment.tasks.count, blocks: experiment.architecture.blocks.count)
        let kinds = SkipReport.Step.allCases.map { $0.kind(all, of: experiment) }
        for kind in kinds { _ = try network.plan(kind, shape) }
        let rounds = 1000
        let time = try ContinuousClock().measure {
            for round in 0..<rounds { _ = try network.plan(kinds[round % kinds.count], shape) }
        }
        return time.milliseconds * 1e3 / Double(rounds)
    }

    /// What one row runs.
    struct Subject {
        let policy: String
        var density: Double?
        var open: Int?
        let kind: StepKind

        /// What tables call the row.
        var name: String { policy + (open.map { ", last \($0) open" } ?? "") }
    }

    /// The rows of a step on the benchmark's own network, everything selected first.
    func rows(_ step: SkipReport.Step) -> [Subject] {
        let blocks = experiment.architecture.blocks.count
        let tasks = experiment.tasks.count
        let isDrawn = step == .weights || step == .logits
        let learning = experiment.learning
        var rows = policies.map {
            Subject(policy: $0.name, density: $0.policy.density, kind: step.kind($0.policy, of: experiment))
        }
        if groups.contains(.alike) {
            for policy in DiscretePolicy.alike(tasks: tasks, blocks: blocks, seed: Self.seed) {
                rows.append(Subject(policy: "alike", density: policy.density, kind: step.kind(policy, of: experiment)))
            }
        }
        for tenths in (0...9).reversed() where groups.contains(.random) {
            let policy = DiscretePolicy.nested(
                density: Double(tenths) / 10, tasks: tasks, blocks: blocks, seed: Self.seed)
            rows.append(
                Subject(
                    policy: isDrawn ? "hard_skip" : "random", density: policy.density,
                    kind: step.kind(policy, of: experiment)))
        }
        if isDrawn {
            for open in Set([1, blocks / 4, blocks / 2, blocks]).sorted() where open > 0 && groups.contains(.soft) {
                rows.append(
                    Subject(
                        policy: "soft", open: open,
                        kind: step == .weights ? learning.weights(open: open) : learning.logits(open: open))
                )
            }
        } else if groups.contains(.published),
            let published = PublishedPolicies.all.first(where: { $0.fits(experiment.architecture) })
        {
            rows.append(
                Subject(
                    policy: "published", density: published.policy.density,
                    kind: step.kind(published.policy, of: experiment)))
        } else if groups.contains(.published) {
            report(.notice("no policy is published for this network"))
        }
        return rows
    }

    /// Measures subjects on one network, after hard sharing and each task alone.
    private func measure(
        _ step: SkipReport.Step, on experiment: Experiment, rows: [Subject]
    ) throws -> [SkipReport.Row] {
        let session = try ExperimentSession.open(
            experiment, on: context, family: family, algorithms: .searched(search, shape)
        ) { event in
            // `run` has said what comes of the precision.
            if case .notice = event { return }
            report(event)
        }
        let bench = try NetworkBench(session, shape: shape, infersOnly: step == .inference, profile: profile)
        let name = "\(experiment.architecture.backbone.rawValue), \(experiment.tasks.count) tasks"
        let reference = bench.reference(step)
        let singles = try experiment.configuration.tasks.map {
            ($0.name, try Experiment(experiment.configuration.selecting([$0.name])))
        }
        for kind in [reference.mixed, reference.hardSharing].compactMap({ $0 }) + rows.map(\.kind) {
            try bench.reserve(kind)
        }
        for (_, single) in singles { try bench.reserve(bench.hardSharing(step, tasks: 1), of: single) }
        let hard = try bench.prepare(reference.hardSharing)
        let fallback = try reference.mixed.map { try bench.prepare($0) }
        var result: [SkipReport.Row] = []

        func row(
            _ subject: Subject, _ prepared: PreparedStep, passes: Double, repeats: Int
        ) throws -> SkipReport.Row {
            var best: SkipReport.Row?
            for attempt in 1...(MeasuringTime.isLeast ? 1 : Self.attempts) {
                let times = try bench.alternate(prepared, with: hard, fallback: fallback, repeats: repeats)
                var row = SkipReport.Row(
                    step: step, network: name, policy: subject.policy, density: subject.density, open: subject.open,
                    ms: times.ms, idealMs: times.ms * times.fidelity, fidelity: times.fidelity, spread: times.spread,
                    idleShare: times.idleShare, launchUs: times.launchUs, kernels: prepared.plan.launchCount,
                    macs: prepared.plan.multiplyAccumulates,
                    bytes: prepared.bytes, planMs: prepared.planMs, referenceMs: times.referenceMs, passes: passes,
                    attempts: attempt, speedup: passes * times.referenceMs / times.ms,
                    speedupHardSharing: times.referenceMs / times.ms)
                if let best, abs(best.fidelity - 1) <= abs(row.fidelity - 1) {
                    row = best
                    row.attempts = attempt
                }
                best = row
                if Self.wantedFidelity.contains(row.fidelity) { break }
            }
            guard let best else { preconditionFailure("no attempt") }
            report(
                .line(
                    "\(step.rawValue)  \(name)  \(subject.name)  "
                        + (subject.density.map { "\(readable(100 * $0, digits: 2)) %  " } ?? "")
                        + "\(readable(best.ms)) ms, fidelity \(readable(best.fidelity)), "
                        + "plan built in \(readable(best.planMs)) ms"))
            return best
        }

        // One pass per task costs what the tasks cost alone, in units of hard sharing.
        var alone: [SkipReport.Row] = []
        for (task, single) in singles {
            let kind = bench.hardSharing(step, tasks: 1)
            let subject = Subject(policy: "only_\(task)", density: 1 / Double(singles.count), kind: kind)
            // Where their rows are not asked for, they only scale the speed-up.
            let enough = groups.contains(.alone) ? repeats : min(repeats, 3)
            alone.append(try row(subject, try bench.prepare(kind, of: single), passes: 1, repeats: enough))
        }
        let passes = alone.reduce(0) { $0 + 1 / $1.speedupHardSharing }
        result.append(
            try row(
                Subject(policy: "all_selected", density: 1, kind: reference.hardSharing), hard, passes: passes,
                repeats: repeats))
        for subject in rows {
            let prepared = try bench.prepare(subject.kind)
            result.append(try row(subject, prepared, passes: passes, repeats: repeats))
        }
        guard groups.contains(.alone) else { return result }
        return result
            + alone.map { row in
                var row = row
                (row.passes, row.speedup) = (passes, passes * row.speedupHardSharing)
                return row
            }
    }
}

extension Experiment {
    /// What the steps of policy learning compute.
    fileprivate var learning: PolicySettings { PolicySettings(methodSettings, costs: budgetCosts) }
}

extension NetworkBench {
    /// The all-selected step of a kind, and where policy learning mixes, the step that mixes everything.
    func reference(_ step: SkipReport.Step) -> (hardSharing: StepKind, mixed: StepKind?) {
        let blocks = experiment.architecture.blocks.count
        let hard = hardSharing(step, tasks: experiment.tasks.count)
        return switch step {
        case .inference, .retrain: (hard, nil)
        case .weights: (hard, experiment.learning.weights(open: blocks))
        case .logits: (hard, experiment.learning.logits(open: blocks))
        }
    }

    func hardSharing(_ step: SkipReport.Step, tasks: Int) -> StepKind {
        step.kind(.hardSharing(tasks: tasks, blocks: experiment.architecture.blocks.count), of: experiment)
    }
}

extension SkipReport.Step {
    /// The step under a policy; in policy learning a drawn one, with every block open.
    func kind(_ policy: DiscretePolicy, of experiment: Experiment) -> StepKind {
        let blocks = policy.select[0].count
        return switch self {
        case .inference: .inference(policy)
        case .retrain: .retrain(policy)
        case .weights: experiment.learning.weights(open: blocks, drawn: policy)
        case .logits: experiment.learning.logits(open: blocks, drawn: policy)
        }
    }
}

extension DiscretePolicy {
    /// Selected (block, task) pairs ÷ all.
    package var density: Double {
        let all = select.joined()
        return Double(all.count { $0 }) / Double(all.count)
    }
}

extension PublishedPolicy {
    /// The policy's network, in everything else like another configuration.
    func configuration(like other: ExperimentConfiguration) -> ExperimentConfiguration {
        var result = other
        result.model.backbone = backbone
        result.tasks = tasks.map { task in
            guard let kind = TaskKinds.standard[task.name] else { preconditionFailure("no kind \(task.name)") }
            return TaskConfiguration(name: task.name, kind: kind, channels: task.channels)
        }
        return result
    }
}
