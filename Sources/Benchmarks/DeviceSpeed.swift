import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareOperators
import AdaShareTuning

/// What a device can do at most, measured.
struct DeviceSpeed {
    let library: KernelLibrary
    /// Timed runs, at least.
    let repeats: Int

    /// GFLOP/s of multiply-adds in registers: the best of a few runs.
    ///
    /// - Throws: what the device throws.
    func peak() throws -> Double {
        let executor = Executor(library: library)
        let graph = Graph()
        let probe = PeakProbe(items: library.family == .cpu ? 64 : 1 << 16, rounds: 20_000)
        graph.output("peak", graph.record(probe, [])[0])
        let least = try leastMs(try executor.makePlan(graph), on: executor)
        return 2e-6 * Double(probe.multiplyAdds(library)) / least
    }

    /// Doubles the numbers of a list longer than most caches.
    ///
    /// - Returns: GB/s, read and written together, the best of a few runs; and whether the results are right.
    /// - Throws: what the device throws.
    func copy() throws -> (gbPerSecond: Double, isRight: Bool) {
        let executor = Executor(library: library)
        let graph = Graph()
        let bytes = min(256 << 20, library.context.device.maximumAllocationBytes / 4)
        let x = graph.input("x", Shape([max(1, bytes >> 12), 1 << 10]))
        graph.output("y", graph.record(Scale(2), [x])[0])
        try executor.store.write("x", x.shape, [Float](repeating: 1, count: x.shape.count))
        let plan = try executor.makePlan(graph)
        let least = try leastMs(plan, on: executor)
        return (2e-6 * Double(x.shape.byteCount) / least, try executor.read("y", of: plan).allSatisfy { $0 == 2 })
    }

    private func leastMs(_ plan: Plan, on executor: Executor) throws -> Double {
        try Self.times(on: executor, repeats: repeats) {
            try OperatorRun.time(plan, on: executor, repeats: 1)
        }.min() ?? .infinity
    }

    // MARK: - Timing

    /// Short rows run until they have taken this long, or this often.
    private static let leastMs = 100.0
    private static let mostRuns = 40

    /// Milliseconds of each timed run, after two that are not.
    static func times(on executor: Executor, repeats: Int, _ once: () throws -> Double) throws -> [Double] {
        try executor.context.queue.finish()
        _ = try once()
        let estimate = try once()
        return try (0..<runs(of: estimate, atLeast: repeats)).map { _ in try once() }
    }

    /// How often a launch of `ms` milliseconds runs; a clock too coarse for it may say 0.
    static func runs(of ms: Double, atLeast repeats: Int) -> Int {
        let wanted = ms > 0 ? min(Double(mostRuns), leastMs / ms) : Double(mostRuns)
        return max(repeats, Int(wanted))
    }
}
