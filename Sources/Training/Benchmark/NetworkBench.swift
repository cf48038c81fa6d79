import DeviceLayer
import Foundation
import Graph
import Models
import Operators

/// A plan ready to be timed.
struct PreparedStep {
    let plan: Plan
    /// Planned bytes on the device.
    let bytes: Int
    /// Milliseconds to trace, plan and encode it.
    let planMs: Double
    let keys: [KernelTimes.Key]
}

/// One network on the device with random data, for timing plans against each other.
final class NetworkBench {
    private let experiment: Experiment
    private let shape: BatchShape
    private let executor: Executor
    private let profile: ProfileRecorder?

    init(
        _ experiment: Experiment, shape: BatchShape, context: DeviceContext, family: KernelFamily?,
        profile: ProfileRecorder?
    ) throws {
        self.experiment = experiment
        self.shape = shape
        self.profile = profile
        let network = try experiment.makeNetwork(context: context, family: family)
        try network.initialise(seed: SkipBenchmark.seed)
        executor = network.executor
        var state = StepState()
        state.seed = SkipBenchmark.seed
        state.temperature = 5
        // Rates of 0: hundreds of steps on the same random data leave the weights as they are.
        for slot in RateSlot.allCases {
            state.rates[slot] = StepState.Rate(learningRate: 0, beta1: 0.9, beta2: 0.999, t: 1)
        }
        try executor.store.write(state)
    }

    /// The all-selected step of a kind, and where policy learning mixes, the step that mixes everything.
    func reference(_ step: SkipReport.Step) throws -> (hardSharing: StepKind, mixed: StepKind?) {
        let blocks = experiment.architecture.blocks.count
        let hard = hardSharing(step, tasks: experiment.tasks.count)
        return switch step {
        case .inference, .retrain: (hard, nil)
        case .weights: (hard, .weights(open: blocks))
        case .logits: (hard, .logits(open: blocks))
        }
    }

    func hardSharing(_ step: SkipReport.Step, tasks: Int) -> StepKind {
        let blocks = experiment.architecture.blocks.count
        let all = DiscretePolicy.hardSharing(tasks: tasks, blocks: blocks)
        return switch step {
        case .inference: .inference(all)
        case .retrain: .retrain(all)
        case .weights: .weights(open: blocks, drawn: all)
        case .logits: .logits(open: blocks, drawn: all)
        }
    }

    /// Compiles the kernels and allocates the memory of a step, so that `prepare` finds both.
    func reserve(_ kind: StepKind, of part: Experiment? = nil) throws {
        let known = Set(executor.store.names)
        _ = try build(kind, part)
        for name in executor.store.names where name.hasPrefix("input/") && !known.contains(name) { try fill(name) }
    }

    /// Builds a plan and measures what that takes, as a policy that changes every step pays it.
    ///
    /// - Parameter part: the network with some of the tasks; nil for all.
    func prepare(_ kind: StepKind, of part: Experiment? = nil) throws -> PreparedStep {
        var built: (graph: Graph, plan: Plan)?
        let time = try ContinuousClock().measure { built = try build(kind, part) }
        guard let built else { preconditionFailure("nothing was built") }
        return PreparedStep(
            plan: built.plan, bytes: try built.graph.plannedMemory().total, planMs: time.milliseconds,
            keys: built.plan.kernelKeys)
    }

    private func build(_ kind: StepKind, _ part: Experiment?) throws -> (graph: Graph, plan: Plan) {
        let graph = Graph(family: executor.library.family)
        (part ?? experiment).stepGraphs.trace(kind, batch: shape, into: graph)
        return (graph, try executor.makePlan(graph))
    }

    /// Values that no kernel can skip: random pixels, labels in range.
    private func fill(_ name: String) throws {
        let noise = Philox.uniforms(rows: 4096, columns: 4, name: name, state: StepState())
        let shapes = StepGraphs.imageShape(shape)
        if name.hasPrefix(StepGraphs.imageName) {
            try executor.store.write(
                name, shapes, (0..<shapes.count).map { (noise[$0 % noise.count] - 0.5) * 120 })
            return
        }
        for task in experiment.tasks where name.hasPrefix(StepGraphs.labelName(task.label) + "/") {
            let extents = StepGraphs.labelShape(shape, channels: task.labelChannels)
            if task.label == TaskKind.segmentation.rawValue {
                let classes = Float(experiment.configuration.tasks.first { $0.name == task.name }?.channels ?? 2)
                try executor.store.write(
                    name, extents, (0..<extents.count).map { Int32(noise[$0 % noise.count] * classes) })
            } else {
                try executor.store.write(
                    name, extents, (0..<extents.count).map { noise[$0 % noise.count] * 2 + 0.1 })
            }
        }
    }

    /// What alternating runs gave.
    struct Times {
        let ms, referenceMs, fidelity, spread: Double
    }

    /// Runs a plan and the all-selected one in turns.
    ///
    /// - Parameter fallback: run once, for kernels that an all-selected step does not have.
    func alternate(
        _ subject: PreparedStep, with reference: PreparedStep, fallback: PreparedStep?, repeats: Int
    ) throws -> Times {
        _ = try run(subject)
        let known = Set(reference.keys)
        // Few and small kernels: timed around the row, not beside each repeat.
        let mixed = subject.keys.contains { !known.contains($0) } ? try fallback.map { try run($0).times } : nil
        var before = try measured(reference, mixed)
        var times: [Double] = []
        var references = [before.ms]
        var fidelities: [Double] = []
        for _ in 0..<repeats {
            let ms = try run(subject).ms
            let after = try measured(reference, mixed)
            times.append(ms)
            references.append(after.ms)
            fidelities.append((before.ideal(subject.keys) + after.ideal(subject.keys)) / 2 / ms)
            before = after
        }
        return Times(
            ms: median(times), referenceMs: median(references), fidelity: median(fidelities),
            spread: ((times.max() ?? 0) - (times.min() ?? 0)) / median(times))
    }

    private struct Measured {
        let ms: Double
        let times: [KernelTimes]

        /// Milliseconds of the kernels, those that no reference has not counted.
        func ideal(_ keys: [KernelTimes.Key]) -> Double {
            keys.reduce(0) { sum, key in
                sum + (times.lazy.compactMap { $0.milliseconds(key) }.first ?? 0)
            }
        }
    }

    private func measured(_ reference: PreparedStep, _ fallback: KernelTimes?) throws -> Measured {
        let main = try run(reference)
        return Measured(ms: main.ms, times: [main.times] + (fallback.map { [$0] } ?? []))
    }

    /// One step: from the first launch to the end of the last one.
    private func run(_ step: PreparedStep) throws -> (ms: Double, times: KernelTimes) {
        let queue = executor.context.queue
        try queue.finish()
        let time = try ContinuousClock().measure {
            try executor.run(step.plan)
            try queue.finish()
        }
        let entries = try queue.takeProfile()
        profile?.add(entries)
        return (time.milliseconds, KernelTimes(entries))
    }
}

extension Duration {
    var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15 }
}
