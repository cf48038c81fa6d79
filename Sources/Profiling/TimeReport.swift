import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

/// What a network's steps take on a device, part by part, and a training in all.
public struct TimeReport: Sendable, Encodable {
    /// A phase of training.
    public struct PhaseTime: Sendable, Encodable {
        /// The phase's name in logs and states.
        public let phase: String
        /// Steps of a run.
        public let iterations: Int
        /// Runs that have the phase: one for each budget where there are several, else the run itself.
        public let runs: Int
        /// Mean over the steps of the phase.
        public let msPerStep: Double
        /// Seconds of the phase in all runs; evaluations and checkpoints come on top.
        public var seconds: Double { msPerStep * Double(runs * iterations) / 1e3 }

        enum CodingKeys: String, CodingKey { case phase, iterations, runs, msPerStep, seconds }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(phase, forKey: .phase)
            try container.encode(iterations, forKey: .iterations)
            try container.encode(runs, forKey: .runs)
            try container.encode(msPerStep, forKey: .msPerStep)
            try container.encode(seconds, forKey: .seconds)
        }
    }

    /// Name of the device that was measured.
    public let device: String
    /// Parts of an inference and of a training step, measured under hard sharing.
    public let inference, training: PartTimes
    /// Sums of parts, in milliseconds: hard sharing in one pass for all tasks and in one for each; the policy likewise,
    /// if there is one.
    public let sums: [Sum]
    /// The phases of the configuration's training.
    public let phases: [PhaseTime]
    /// Bytes of the largest step, as planned.
    public let bytes: Int
    /// What the estimate could not know.
    public let notes: [String]

    /// Steps under one policy.
    public struct Sum: Sendable, Encodable {
        /// What tables call it: hard sharing or the policy, and how work is shared.
        public let name: String
        /// Planned ms of an inference and of a training step.
        public let inferenceMs, trainingMs: Double
    }

    /// Seconds of all phases.
    public var seconds: Double { phases.reduce(0) { $0 + $1.seconds } }

    /// For a person.
    ///
    /// - Parameters:
    ///   - blocks: names, bottom to top.
    ///   - tasks: names, in order.
    public func text(blocks: [String], tasks: [String]) -> String {
        let size = dimensions(height: inference.height, width: inference.width)
        var parts = Table(["ms, \(inference.batch) × \(size)", "inference", "training"])
        func row(_ name: String, _ cost: (PartTimes) -> Int) {
            parts.add([name, readable(Double(cost(inference)) / 1e6), readable(Double(cost(training)) / 1e6)])
        }
        row("stem") { $0.costs.stem + $0.stemOnce }
        for (index, name) in blocks.enumerated() {
            row("\(index + 1) \(name)") { $0.costs.blocks[index].branch + $0.costs.blocks[index].branchOnce }
            let hasProjection = inference.costs.blocks[index].projection > 0
            if hasProjection {
                row("  projection") { $0.costs.blocks[index].projection + $0.costs.blocks[index].projectionOnce }
            }
        }
        for (index, task) in tasks.enumerated() { row("head \(task)") { $0.heads[index] } }
        row("rest") { $0.rest }
        for sum in sums { parts.add([sum.name, readable(sum.inferenceMs), readable(sum.trainingMs)]) }

        var table = Table(["phase", "steps", "ms per step", "in all"])
        for phase in phases {
            let isShared = phase.runs > 1
            table.add([
                phase.phase + (isShared ? ", a run for each budget" : ""),
                (isShared ? "\(phase.runs) × " : "") + "\(phase.iterations)", readable(phase.msPerStep),
                readableDuration(seconds: phase.seconds),
            ])
        }
        let (partsTitle, phasesTitle) = (
            "Parts of a step, measured kernel by kernel and added up: the least of several steps",
            "Steps of training, measured whole: the median of several, so that a phase whose step is in the table "
                + "above takes a little more here"
        )
        let total =
            "training takes about \(Self.about(seconds)) on this device and at most \(memory); evaluations and "
            + "checkpoints come on top"
        return "\(device)\n\n\(partsTitle)\n\n\(parts.text)\n\n"
            + (phases.isEmpty ? "" : "\(phasesTitle)\n\n\(table.text)\n\n\(total)\n")
            + notes.map { "\($0)\n" }.joined()
    }

    private var memory: String {
        bytes < 1_000_000_000 ? "\(readable(Double(bytes) / 1e6)) MB" : "\(readable(Double(bytes) / 1e9)) GB"
    }

    private static func about(_ seconds: Double) -> String {
        seconds >= 2 * 86_400 ? "\(Int((seconds / 86_400).rounded())) days" : readableDuration(seconds: seconds)
    }
}

extension PartTimer {
    /// Times a network part by part, and, where the steps are those of training, the phases its configuration asks for.
    ///
    /// - Parameters:
    ///   - shape: of the steps whose parts are timed.
    ///   - policy: whose sums are wanted; retraining is timed under it, else under hard sharing.
    ///   - datasets: that training would read, where they are there.
    public func report(
        _ shape: BatchShape, policy: DiscretePolicy?, datasets: [any Dataset]?
    ) throws -> TimeReport {
        let (experiment, library) = (session.experiment, session.library)
        let blocks = experiment.architecture.blocks.count
        let hard = DiscretePolicy.hardSharing(tasks: experiment.tasks.count, blocks: blocks)
        let inference = try times(shape, .inference)
        let training = try times(shape, .training)
        func sum(_ name: String, _ policy: DiscretePolicy, _ form: CostForm) -> TimeReport.Sum {
            TimeReport.Sum(
                name: name, inferenceMs: inference.costs.milliseconds(of: policy, form),
                trainingMs: training.costs.milliseconds(of: policy, form))
        }
        var sums = [sum("hard sharing, one pass for all", hard, .shared), sum("one pass per task", hard, .passes)]
        if let policy {
            sums += [
                sum("policy, common work once", policy, .shared), sum("policy, one pass per task", policy, .passes),
            ]
        }

        if experiment.method.hasOwnNetwork(experiment.methodSettings) { sums.append(try ownNetwork(shape)) }

        let own = experiment.trainingShape
        let (phases, notes) =
            shape == own
            ? try phaseTimes(policy: policy, datasets: datasets, about: sums[0].trainingMs)
            : (
                [],
                [
                    "the configuration's training is not timed: its steps have \(own.count) images of "
                        + dimensions(height: own.height, width: own.width)
                ]
            )
        let memory = try experiment.memory(shape, policy: policy, family: library.family)
        return TimeReport(
            device: library.context.device.name, inference: inference, training: training, sums: sums, phases: phases,
            bytes: memory.steps.map(\.totalBytes).max() ?? 0, notes: notes)
    }

    /// What steps of the method's own network take, measured whole.
    private func ownNetwork(_ shape: BatchShape) throws -> TimeReport.Sum {
        let (method, settings) = (session.experiment.method, session.experiment.methodSettings)
        let bench = try NetworkBench(session, shape: shape)
        let training = method.namedKinds(settings, policy: settings.allSelected).map(\.kind)
        return TimeReport.Sum(
            name: "the method's network, measured",
            inferenceMs: try bench.typicalMs(of: method.inference(settings.allSelected)),
            trainingMs: try training.map { try bench.typicalMs(of: $0) }.max() ?? 0)
    }

    /// Times the steps of the phases that the configuration asks for.
    ///
    /// - Parameter ms: what a step may take, to say how long this takes.
    private func phaseTimes(
        policy: DiscretePolicy?, datasets: [any Dataset]?, about ms: Double
    ) throws -> (phases: [TimeReport.PhaseTime], notes: [String]) {
        let experiment = session.experiment
        let bench = try NetworkBench(session, shape: experiment.trainingShape)
        var settings = experiment.methodSettings
        settings.splits = datasets?.longestSplits
        let outlines = experiment.method.phases(settings).filter { $0.iterations > 0 }
        let typical = outlines.map { experiment.method.typicalSteps(of: $0, settings, policy: policy) }
        var notes = typical.flatMap(\.notes)
        var kinds: [StepKind] = []
        for kind in typical.flatMap({ $0.steps.map(\.kind) }) where !kinds.contains(kind) { kinds.append(kind) }
        let seconds = Double(kinds.count) * max(0.8, 1e-3 * ms * Double(Self.leastRuns))
        report(
            .line(
                "timing the phases' steps, of \(kinds.count == 1 ? "one kind" : "\(kinds.count) kinds"), for about "
                    + "\(readableDuration(seconds: seconds)) once their kernels are compiled"))
        var known: [StepKind: Double] = [:]
        for (index, kind) in kinds.enumerated() {
            report(.timing("the phases' steps", done: index, total: kinds.count))
            known[kind] = try bench.typicalMs(of: kind)
        }
        report(.timing("the phases' steps", done: kinds.count, total: kinds.count))
        var phases: [TimeReport.PhaseTime] = []
        for (outline, (steps, _)) in zip(outlines, typical) {
            phases.append(
                TimeReport.PhaseTime(
                    phase: outline.phase.rawValue, iterations: outline.iterations,
                    runs: outline.isElsewhere ? settings.policy.budgets.count : 1,
                    msPerStep: steps.reduce(0) { $0 + $1.share * (known[$1.kind] ?? 0) }))
        }
        if !settings.training.narrowBaselines.isEmpty { notes.append("training.narrow_baselines are not counted") }
        return (phases, notes)
    }
}

extension NetworkBench {
    /// Milliseconds of a step in the middle of several: what a training takes is the sum of all its steps, disturbed
    /// ones included.
    fileprivate func typicalMs(of kind: StepKind) throws -> Double {
        try reserve(kind)
        let step = try prepare(kind)
        _ = try run(step)
        let rounds = try TimedRounds {
            try run(step).ms
        } times: {
            [$0]
        }.rounds
        return median(rounds)
    }
}
