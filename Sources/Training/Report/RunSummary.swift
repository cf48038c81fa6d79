import AdaShareConfiguration
import AdaShareDatasets
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareSupport
import AdaShareTasks
import Foundation

/// What a run ended with, `summary.json`.
public struct RunSummary: Codable, Sendable {
    /// Name of the device that the run ended on.
    public var device: String
    /// How it was trained, `method.kind`, and what was minimised, `objective.kind`.
    public var method, objective: String
    /// `cpu` or `gpu`: which form of the kernels ran.
    public var kernelFamily: String
    /// How convolutions rounded: exact, float32, tf32 or bfloat16.
    public var arithmetic: String
    /// Which phase's weights are scored, the first one's where tasks have their own.
    public var phase: Phase
    /// Which images they are scored on: `test`, else `validation`, else `train`.
    public var split: String
    /// Number of these images, of all data sets.
    public var images: Int
    /// task → convention → metrics.
    public var metrics: [String: [String: [Metric]]]
    /// Metrics on the same images of the best constant output, found on the training images; as `metrics`.
    public var constantGuess: [String: [String: [Metric]]]
    /// Hard sharing trained for the same iterations, if asked for; as `metrics`.
    public var hardSharing: [String: [String: [Metric]]]?
    /// Mean over metrics of the relative gain over the constant guess in percent, exact convention, by task.
    public var gainOverConstant: [String: Double]
    /// Mean over tasks of the mean over metrics of the relative gain over hard sharing in percent.
    public var gainOverHardSharing: Double?
    /// How tasks were trained, where their numbers cannot be compared otherwise, by name.
    public var trainedAs: [String: String]?
    /// Images that carried a task's label, where some did not.
    public var labelled: [String: Int]?
    /// The paths that these images took, where each took its own: `cost` is then the most that one may cost.
    public var paths: ImagePaths?
    /// Decisions and probabilities by task; nil where none is recorded: every task selects every block.
    public var policy: SelectionPolicy?
    /// Whether the policy was learned; otherwise it was given, drawn at random or is hard sharing.
    public var isPolicyLearned: Bool
    /// Whether there is more work below the heads than hard sharing has in one pass.
    public var costsMoreThanHardSharing: Bool { networks > 1 || macs > cost.backbone.macsHardSharing }
    /// Multiply-accumulates below the heads of all networks; those that images have taken where each takes its own.
    public var macs: Int { networks > 1 ? cost.backbone.macsAll : paths?.macs ?? cost.macs }
    /// Trainable parameters below the heads of all networks.
    public var parameters: Int { cost.parameters * networks }
    /// What the learned policy costs beside what was asked for; nil if none was learned.
    public var policyCost: PolicyCost?
    /// Multiply-accumulates and parameters of the network under its policy.
    public var cost: CostReport
    /// Networks that the cost is of one of: more than one where tasks have their own.
    public var networks: Int
    /// Seconds spent in each phase, by phase.
    public var secondsPerPhase: [String: Double]
    /// Share of their time in which steps waited for images, once threads could make them ahead, by phase.
    public var dataWaitPerPhase: [String: Double]?
    /// Bytes held on the device at the end of each phase, by phase.
    public var bytesPerPhase: [String: Int]
    /// Seconds that the process which wrote this spent making kernels, from source or from the cache.
    public var compileSeconds: Double
}

extension Trainer {
    /// Scores the run's weights on the test split, beside a constant guess and hard sharing, and writes `summary.json`.
    ///
    /// - Returns: nil when no phase has finished.
    public func summarise() throws -> RunSummary? {
        let results = experiment.results(where: state.finished.contains)
        guard let phase = results.first?.phase else { return nil }
        let (name, splits, remark) = datasets.scored
        if let remark { report(.notice(remark)) }
        let images = splits.reduce(0) { $0 + $1.count }
        func evaluate(_ phase: Phase) throws -> (result: EvaluationResult, policy: DiscretePolicy) {
            let file = try TensorFile.read(checkpoints.url("\(phase.rawValue).safetensors"))
            try network.load(file)
            let policy = try experiment.policy(recordedIn: file)
            let result = try evaluator.evaluate(network, policy: policy, splits: splits) { done in
                self.report(.evaluating(phase: phase.rawValue, done: done, total: images))
            }
            return (result, policy)
        }
        var (ours, policy) = try evaluate(phase)
        if let tasks = results[0].tasks { ours = ours.of(tasks) }
        for part in results.dropFirst() { ours.take(part.tasks ?? [], of: try evaluate(part.phase).result) }
        try noteSkipped(ours.skipped ?? [])
        let guesses = try evaluator.constantGuess(splits: datasets.map(\.splits.train))
        let constant = try evaluator.evaluate(constants: guesses.mapValues { $0.prediction() }, splits: splits)
        let reference = experiment.method.reference.flatMap { state.finished.contains($0) ? $0 : nil }
        let baseline = try reference.map { try evaluate($0).result }

        // The policy that was taken in the end may be one that these weights have not been trained under.
        let taken = state.policy?.discrete(tasks: experiment.tasks.map(\.name)) == policy
        let chosen = state.policy.map { kept in
            taken
                ? kept
                : SelectionPolicy(
                    policy, tasks: experiment.tasks.map(\.name), probabilities: kept.probabilities, open: kept.open)
        }

        let exact = ours.metrics(.exact)
        let guess = constant.metrics(.exact)
        let executor = network.executor
        let summary = RunSummary(
            device: executor.context.device.name, method: experiment.configuration.method.kind,
            objective: experiment.configuration.objective.kind, kernelFamily: executor.library.family.rawValue,
            arithmetic: experiment.arithmetic.rawValue, phase: phase, split: name, images: ours.images,
            metrics: ours.tasks, constantGuess: constant.tasks,
            hardSharing: baseline?.tasks,
            gainOverConstant: exact.reduce(into: [:]) { gains, entry in
                gains[entry.key] = guess[entry.key].flatMap { RelativeGain.ofTask(entry.value, over: $0) }
            },
            // A network that is retrained elsewhere is not compared with one that is finished.
            gainOverHardSharing: !outlines.contains(where: \.isElsewhere)
                ? baseline.flatMap { ours.score(over: $0.metrics(.exact)) } : nil,
            trainedAs: experiment.configuration.facts, labelled: ours.labelled,
            paths: ours.paths, policy: chosen,
            isPolicyLearned: experiment.method.learner.map(state.finished.contains) ?? false,
            policyCost: taken ? experiment.method.policyCost(state) : nil,
            cost: experiment.trainingCost.report(policy: policy),
            networks: results.count,
            secondsPerPhase: state.seconds, dataWaitPerPhase: state.dataWaits.compactMapValues(\.share),
            bytesPerPhase: state.bytes,
            compileSeconds: executor.context.compileSeconds)
        try AtomicFile.write(Data(try JSONText.pretty(summary).utf8), to: run.summary)
        return summary
    }
}

extension RunSummary {
    /// Mean over a task's metrics of the relative gain over hard sharing in percent, exact convention; nil where there
    /// is none.
    public func gainOverHardSharing(of task: String) -> Double? {
        let convention = MetricConvention.exact.rawValue
        guard let mine = metrics[task]?[convention], let base = hardSharing?[task]?[convention] else { return nil }
        return RelativeGain.ofTask(mine, over: base)
    }

    /// The policy, block by task, with the probability of selecting.
    public func policyTable(tasks: [String]) -> String? {
        guard let policy else { return nil }
        return policy.table(blocks: cost.blocks.map(\.name), tasks: tasks)
    }

    /// A gain in percent; how far a number is above one that is nearly nothing says nothing.
    private static func gain(_ percent: Double) -> String { percent > 999 ? "> 999 %" : signed(percent) + " %" }

    /// Metrics of one convention beside the constant guess and, where that was trained, hard sharing, with the gain
    /// over the last of these.
    public func metricsTable(tasks: [String], convention: MetricConvention) -> String {
        let hasShared = hardSharing != nil
        let rivals = hasShared ? ["constant", "hard sharing"] : ["constant"]
        var table = Table(
            ["task", "metric"] + rivals + [isPolicyLearned ? "learned" : "trained", "gain over \(rivals.last ?? "")"])
        for task in tasks {
            let mine = metrics[task]?[convention.rawValue] ?? []
            for (row, metric) in mine.enumerated() {
                func find(_ results: [String: [String: [Metric]]]?) -> Metric? {
                    results?[task]?[convention.rawValue]?.first { $0.name == metric.name }
                }
                let (constant, shared) = (find(constantGuess), find(hardSharing))
                let known = hasShared ? [constant, shared] : [constant]
                let gain = (hasShared ? shared : constant).flatMap { RelativeGain.ofTask([metric], over: [$0]) }
                table.add(
                    [row == 0 ? task : "", metric.name + (metric.higherIsBetter ? " ↑" : " ↓")]
                        + known.map { $0.map { readable($0.value) } ?? Table.none }
                        + [readable(metric.value), gain.map(Self.gain) ?? Table.none])
            }
        }
        return table.text
    }
}
