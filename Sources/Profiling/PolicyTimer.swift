import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareTuning
import Foundation

/// Times steps of networks under policies beside hard sharing of one of them, in turns: a machine that slows down for a
/// while does so for both.
package final class PolicyTimer {
    private let shape: BatchShape
    private let reference: NetworkBench
    private let all: DiscretePolicy

    /// What a step takes undisturbed, in milliseconds, and hard sharing beside it.
    package struct Times {
        package let ms, hardSharingMs: Double
        /// Whether the smallest of repeated times agree.
        package let isSettled: Bool

        package var share: Double { ms / hardSharingMs }
    }

    /// - Parameter session: of the network whose hard sharing is the reference.
    package init(_ session: ExperimentSession, _ shape: BatchShape) throws {
        self.shape = shape
        all = .hardSharing(tasks: session.experiment.tasks.count, blocks: session.experiment.architecture.blocks.count)
        reference = try NetworkBench(session, shape: shape)
    }

    /// A policy on the reference's network.
    package func time(_ policy: DiscretePolicy, _ step: BudgetMeasure) throws -> Times {
        try time(policy, step, on: reference)
    }

    /// Hard sharing of another network with the same tasks.
    package func time(_ session: ExperimentSession, _ step: BudgetMeasure) throws -> Times {
        try time(all, step, on: try NetworkBench(session, shape: shape))
    }

    private func time(_ policy: DiscretePolicy, _ step: BudgetMeasure, on bench: NetworkBench) throws -> Times {
        let hard = StepKind.timed(step, all)
        let subject = StepKind.timed(step, policy)
        try reference.reserve(hard)
        try bench.reserve(subject)
        let steps = (try reference.prepare(hard), try bench.prepare(subject))
        func run() throws -> (Double, Double) { (try reference.run(steps.0).ms, try bench.run(steps.1).ms) }
        _ = try run()
        let times = try TimedRounds(run) { [$0.0, $0.1] }
        return Times(
            ms: times.smallest(\.1), hardSharingMs: times.smallest(\.0), isSettled: times.isSettled)
    }
}
