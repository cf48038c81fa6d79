import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareTuning
import Foundation

/// A plan ready to be timed.
package struct PreparedStep {
    package let plan: Plan
    /// Planned bytes on the device.
    package let bytes: Int
    /// Milliseconds before its first launch: to trace, lower and plan it.
    package let planMs: Double
    let keys: [KernelTimes.Key]
}

/// One network on the device with random data, for timing plans against each other.
package final class NetworkBench {
    private let session: ExperimentSession
    package var experiment: Experiment { session.experiment }
    private let shape: BatchShape
    let executor: Executor
    private let profile: ProfileRecorder?

    /// - Parameters:
    ///   - session: of the network.
    ///   - infersOnly: all steps infer, and take the memory they take without training.
    ///   - profile: also gets every launch, where the queue records them.
    /// - Throws: `DeviceError` if memory cannot be had, `InputError` where `training.shards` does not divide the batch.
    package init(
        _ session: ExperimentSession, shape: BatchShape, infersOnly: Bool = false, profile: ProfileRecorder? = nil
    ) throws {
        if !infersOnly { try session.experiment.checkShards(of: shape.count) }
        self.session = session
        self.shape = shape
        self.profile = profile
        let network = try session.makeNetwork(infersOnly: infersOnly)
        try network.initialise(seed: Self.seed)
        executor = network.executor
        var state = StepState()
        state.seed = Self.seed
        state.temperature = 5
        // Hundreds of steps on the same random data leave the weights as they are.
        state.holdWeights()
        try executor.store.write(state)
    }

    /// Of weights and noise.
    private static let seed: UInt64 = 1

    /// Compiles the kernels and allocates the memory of a step, so that `prepare` finds both.
    package func reserve(_ kind: StepKind, of part: Experiment? = nil) throws {
        let known = Set(executor.store.names)
        _ = try build(kind, graphs(of: part))
        for name in executor.store.names where name.hasPrefix("input/") && !known.contains(name) { try fill(name) }
    }

    /// Builds a plan and measures what that takes before the first launch, as a policy that changes every step pays it:
    /// with what plans that have gone have left; the median of a few.
    ///
    /// - Parameter part: the network with some of the tasks; nil for all.
    package func prepare(_ kind: StepKind, of part: Experiment? = nil) throws -> PreparedStep {
        var built: (graph: LoweredGraph, plan: Plan)?
        // Once, as a network does: they remember which algorithms they have chosen.
        let graphs = graphs(of: part)
        let times = try (0..<Self.planRepeats).map { _ in
            built = nil
            return try ContinuousClock().measure { built = try build(kind, graphs) }.milliseconds
        }
        guard let built else { preconditionFailure("nothing was built") }
        return PreparedStep(
            plan: built.plan, bytes: try PlannedMemory([built.graph]).total, planMs: median(times),
            keys: try built.plan.kernelKeys)
    }

    private static let planRepeats = 5

    private func build(_ kind: StepKind, _ graphs: StepGraphs) throws -> (graph: LoweredGraph, plan: Plan) {
        let graph = lowered(traced(kind, by: graphs), graphs)
        return (graph, try executor.makePlan(graph))
    }

    /// What records the steps of the network with some of the tasks; nil for all.
    func graphs(of part: Experiment? = nil) -> StepGraphs { session.with(part ?? experiment).experiment.stepGraphs }

    func traced(_ kind: StepKind, by graphs: StepGraphs) -> Graph {
        let graph = Graph()
        graphs.trace(kind, batch: shape, into: graph)
        return graph
    }

    func lowered(_ graph: Graph, _ graphs: StepGraphs) -> LoweredGraph {
        graph.lowered(for: executor.library.family, choices: graphs.choices)
    }

    /// Values that no kernel can skip: random pixels, labels in range.
    private func fill(_ name: String) throws {
        let noise = Philox.uniforms(rows: 4096, columns: 4, name: name, state: StepState())
        let graphs = graphs()
        let isShard = graphs.shards > 1 && name.contains("/shard")
        if isShard, name.hasPrefix(StepGraphs.labelShareName("")) {
            return try executor.store.write(name, .scalar, [Float(1) / Float(graphs.shards)])
        }
        let shape = isShard ? graphs.shardShape(shape) : shape
        let shapes = StepGraphs.imageShape(shape)
        if name.hasPrefix(StepGraphs.imageName + "/") {
            try executor.store.write(
                name, shapes, (0..<shapes.count).map { (noise[$0 % noise.count] - 0.5) * 120 })
            return
        }
        let several = experiment.sources.count > 1
        let labels = experiment.sources.enumerated().flatMap { number, source in
            source.labels.map { ($0, several ? StepGraphs.sourceSuffix(number) : "") }
        }
        for (label, suffix) in labels where name.hasPrefix(StepGraphs.labelName(label.name) + suffix + "/") {
            let extents = StepGraphs.labelShape(shape, label.format)
            switch label.format.element {
            case .classes:
                let classes = Float(label.classes ?? 2)
                try executor.store.write(
                    name, extents, (0..<extents.count).map { Int32(noise[$0 % noise.count] * classes) })
            case .numbers:
                try executor.store.write(
                    name, extents, (0..<extents.count).map { noise[$0 % noise.count] * 2 + 0.1 })
            }
        }
    }

    /// What alternating runs gave.
    package struct Times {
        package let ms, referenceMs, fidelity, spread, idleShare, launchUs: Double
    }

    /// What one step took.
    package struct Measurement {
        /// From the first launch to the end of the last one.
        let ms: Double
        /// What the host took to launch everything, in microseconds per launch.
        let launchUs: Double
        /// Of the time from the first kernel's start to the last one's end, what none ran in.
        let idleShare: Double
        /// The launches, where the queue records them.
        let entries: [ProfileEntry]

        var times: KernelTimes { KernelTimes(entries) }
    }

    /// Runs a plan and the all-selected one in turns.
    ///
    /// - Parameter fallback: run once, for kernels that an all-selected step does not have.
    package func alternate(
        _ subject: PreparedStep, with reference: PreparedStep, fallback: PreparedStep?, repeats: Int
    ) throws -> Times {
        // Once untimed: the first run of a kernel compiles or loads it.
        for step in [subject, reference] { _ = try run(step) }
        let known = Set(reference.keys)
        // Few and small kernels: timed around the row, not beside each repeat.
        let mixed = try fallback.flatMap { step in
            guard subject.keys.contains(where: { !known.contains($0) }) else { return KernelTimes?.none }
            _ = try run(step)
            return try run(step).times
        }
        var before = try run(reference)
        var own: [Measurement] = []
        var references = [before.ms]
        var fidelities: [Double] = []
        for _ in 0..<repeats {
            let one = try run(subject)
            let after = try run(reference)
            own.append(one)
            references.append(after.ms)
            let ideals = [before, after].map { $0.times.ideal(subject.keys, fallback: mixed) }
            fidelities.append((ideals[0] + ideals[1]) / 2 / one.ms)
            before = after
        }
        let times = own.map(\.ms)
        return Times(
            ms: median(times), referenceMs: median(references), fidelity: median(fidelities),
            spread: ((times.max() ?? 0) - (times.min() ?? 0)) / median(times),
            idleShare: median(own.map(\.idleShare)), launchUs: median(own.map(\.launchUs)))
    }

    /// What a step takes, in ms; waits for it.
    package func milliseconds(_ step: PreparedStep) throws -> Double { try run(step).ms }

    /// What exchanges with other processes have cost since it was last asked; nil where there are none.
    ///
    /// - Parameter isMeasured: as that of `Executor.takeExchangeCost`.
    package func takeExchangeCost(measuring isMeasured: Bool) -> ExchangeCost? {
        executor.takeExchangeCost(measuring: isMeasured)
    }

    /// Runs a step and waits for it; once more where taking times of launches would show in the step's own.
    func run(_ step: PreparedStep) throws -> Measurement {
        let queue = executor.context.queue
        let timed =
            executor.context.device.type == .cpu ? nil : try queue.withoutRecording { try time(step, on: queue) }
        let recorded = try time(step, on: queue)
        let entries = try queue.takeProfile()
        profile?.add(entries)
        let (whole, launching) = timed ?? recorded
        return Measurement(
            ms: whole.milliseconds,
            launchUs: launching.milliseconds * 1e3 / Double(max(1, step.plan.launchCount)),
            idleShare: entries.idleShare, entries: entries)
    }

    /// What a step takes, and what the host takes to launch it.
    private func time(_ step: PreparedStep, on queue: CommandQueue) throws -> (whole: Duration, launching: Duration) {
        try queue.finish()
        let clock = ContinuousClock()
        let start = clock.now
        try executor.run(step.plan)
        let launched = clock.now
        try queue.finish()
        return (clock.now - start, launched - start)
    }
}
