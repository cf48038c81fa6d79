import AdaShareGraph
import AdaShareMethods
import Foundation

/// What building the plans of some steps takes, in milliseconds: medians of a few.
package struct PlanTimes {
    /// All of it, and of this thread's processor.
    package let all, processor: Double
    /// Recording the graph, rewriting it for the kernels, giving it memory.
    package let tracing, lowering, planning: Double
    /// Giving the launches their memory, which happens as they are enqueued the first time: not part of `all`.
    package let binding: Double
    /// Launches of the plan.
    package let kernels: Int
}

extension NetworkBench {
    /// Builds the plans of some steps in turns, each from the kernels that the others have left, as training does that
    /// draws a policy for every step.
    ///
    /// - Parameter repeats: how often each is built, at least once, after a time that is not counted.
    /// - Returns: what each takes.
    package func planTimes(_ kinds: [StepKind], repeats: Int) throws -> [PlanTimes] {
        let graphs = graphs()
        for kind in kinds { try reserve(kind) }
        let rounds = try (0..<repeats).map { _ in try kinds.map { try planTimes($0, graphs) } }
        return kinds.indices.map { index in
            func median(_ time: KeyPath<PlanTimes, Double>) -> Double {
                AdaShareProfiling.median(rounds.map { $0[index][keyPath: time] })
            }
            return PlanTimes(
                all: median(\.all), processor: median(\.processor), tracing: median(\.tracing),
                lowering: median(\.lowering), planning: median(\.planning), binding: median(\.binding),
                kernels: rounds[0][index].kernels)
        }
    }

    /// Builds one plan.
    private func planTimes(_ kind: StepKind, _ graphs: StepGraphs) throws -> PlanTimes {
        let clock = ContinuousClock()
        let (start, processor) = (clock.now, Self.processorMs)
        let graph = traced(kind, by: graphs)
        let traced = clock.now
        let lowered = lowered(graph, graphs)
        let rewritten = clock.now
        let plan = try executor.makePlan(lowered)
        let (end, processorEnd) = (clock.now, Self.processorMs)
        try plan.bindRest()
        let bound = clock.now
        return PlanTimes(
            all: (end - start).milliseconds, processor: processorEnd - processor,
            tracing: (traced - start).milliseconds, lowering: (rewritten - traced).milliseconds,
            planning: (end - rewritten).milliseconds, binding: (bound - end).milliseconds,
            kernels: plan.launchCount)
    }

    /// What this thread has had of the processor.
    private static var processorMs: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
    }
}
