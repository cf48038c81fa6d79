import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators

/// One primitive on the device with random data, ready to be timed.
package final class OperatorRun {
    package let executor: Executor
    package let plan: Plan
    /// What is computed, and how.
    let item: OperatorCase
    let choices: AlgorithmChoices
    /// Runs that are timed together.
    private var repeats = 1

    /// - Parameter executor: of the same case, with its data; nil for a new one, whose memory goes with it.
    /// - Throws: `DeviceError`, or `InputError` where a tensor is too large for the device.
    package init(
        _ item: OperatorCase, choices: AlgorithmChoices, library: KernelLibrary, sharing executor: Executor? = nil
    ) throws {
        (self.item, self.choices) = (item, choices)
        let graph = item.graph(choices.arithmetic)
        if let executor {
            self.executor = executor
            plan = try executor.makePlan(graph, choices: choices)
            return
        }
        let executor = Executor(library: library)
        self.executor = executor
        for external in graph.externals where external.name != Graph.stepName {
            try Self.fill(external, executor.store)
        }
        var state = StepState()
        state.rates[RateSlot(0)] = StepState.Rate(learningRate: 0, beta1: 0.9, beta2: 0.999, t: 1)
        try executor.store.write(state)
        plan = try executor.makePlan(graph, choices: choices)
    }

    /// Values that no kernel can skip; labels, flags and taps are 0.
    private static func fill(_ external: Graph.External, _ store: TensorStore) throws {
        let shape = external.value.shape
        if ["labels", "flag", "taps"].contains(external.name) {
            return try store.write(external.name, shape, [Int32](repeating: 0, count: shape.count))
        }
        let noise = Philox.uniforms(rows: 4096, columns: 4, name: external.name, state: StepState())
        // A prime number of them: a period that divides the channels would make all pixels equal.
        let period = 16_381
        try store.write(external.name, shape, (0..<shape.count).map { noise[$0 % period] - 0.5 })
    }

    /// Fills the plan's memory with NaN, so that results are what the next run writes.
    func spoil() throws {
        guard plan.arenaBytes > 0 else { return }
        let graph = Graph()
        graph.output("nan", graph.record(Fill.poison(byteCount: plan.arenaBytes), [])[0])
        try executor.run(try executor.makePlan(graph))
    }

    /// Milliseconds of one run, from the first launch to the end of the last one. Short runs follow each other without
    /// a wait: a GPU's kernels may take less than a launch and a wait do.
    package func once() throws -> Double {
        let (time, repeats) = try Self.once(repeats: repeats) { try Self.time(plan, on: executor, repeats: $0) }
        self.repeats = repeats
        return time
    }

    /// Milliseconds of one of several runs, of which as many are timed together as take `leastMs`.
    ///
    /// - Parameters:
    ///   - repeats: a number that was found to do, or 1.
    ///   - time: milliseconds that so many runs take together.
    static func once(repeats: Int, time: (Int) throws -> Double) rethrows -> (milliseconds: Double, repeats: Int) {
        var repeats = repeats
        while true {
            let whole = try time(repeats)
            // Half of what was wished for is enough: times differ from run to run.
            if whole >= leastMs / 2 || repeats == mostRepeats { return (whole / Double(repeats), repeats) }
            let wanted = Double(repeats) * min(leastMs / max(whole, 1e-6), 16)
            repeats = min(mostRepeats, max(repeats + 1, Int(wanted.rounded(.up))))
        }
    }

    /// A clock that is read around it says little about less, and a launch with a wait takes up to 30 µs.
    private static let leastMs = 2.0
    private static let mostRepeats = 1024

    /// Milliseconds that so many runs take together.
    package static func time(_ plan: Plan, on executor: Executor, repeats: Int) throws -> Double {
        try ContinuousClock().measure {
            for _ in 0..<repeats { try executor.run(plan) }
            try executor.context.queue.finish()
        }.milliseconds
    }

    /// Runs until the device has left the slow clocks that it idles at.
    ///
    /// - Parameter milliseconds: how long.
    func warm(milliseconds: Double = 200) throws {
        let (clock, start) = (ContinuousClock(), ContinuousClock.now)
        while (clock.now - start).milliseconds < milliseconds { _ = try once() }
    }
}
