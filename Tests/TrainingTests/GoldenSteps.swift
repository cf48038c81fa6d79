import AdaShareGraph
import AdaShareModels
import AdaShareOperators
import Synchronization
import TestSupport
import Testing

@testable import AdaShareTraining

/// Steps of a golden case on one kernel family, run once for all that look at them.
struct GoldenSteps: Sendable {
    /// With the golden file.
    var agreement: GoldenAgreement
    /// Of each step: the tasks', then the total.
    let losses: [[Double]]
    /// Weights and statistics after the last step, in disk order.
    let final: [String: [Float]]
    /// Whether a loss was not finite.
    let hasFailed: Bool

    private struct Key: Hashable {
        let name: String
        let family: KernelFamily
    }
    private static let known = Mutex<[Key: GoldenSteps]>([:])

    /// The steps that `run` takes, unless they are known by that name.
    static func named(_ name: String, _ family: KernelFamily, run: () throws -> GoldenSteps) throws -> GoldenSteps {
        let key = Key(name: name, family: family)
        if let steps = known.withLock({ $0[key] }) { return steps }
        let steps = try run()
        known.withLock { $0[key] = steps }
        return steps
    }

    /// A case's own steps, compared with its file.
    static func of(_ golden: GoldenCase, _ family: KernelFamily) throws -> GoldenSteps {
        try named(golden.file, family) {
            let network = try GoldenNetwork(golden, family)
            var losses: [[Double]] = []
            for step in 0..<golden.steps {
                let plan = try network.run(golden.kind, step: step, learningRate: golden.learningRate)
                losses.append(try network.losses(plan))
                try network.agreement.compareLosses(step == 0 ? "loss" : "losses", "losses", row: step, losses[step])
                guard step == 0 else { continue }
                try network.compareOutputs(plan)
                try network.compareGradients(plan)
                try network.compareStatistics("statistics", prefix: "bn")
            }
            if golden.steps > 1 {
                try network.compareWeights()
                if golden.hasEnd {
                    try network.compareStatistics("statistics at the end", prefix: "bn_final")
                }
            }
            var steps = try GoldenSteps(network, losses)
            if golden.hasLogitGradients {
                try compareLogitGradients(network)
                steps.agreement = network.agreement
            }
            return steps
        }
    }

    /// What a network has come to.
    init(_ network: GoldenNetwork, _ losses: [[Double]]) throws {
        agreement = network.agreement
        self.losses = losses
        final = Dictionary(
            uniqueKeysWithValues: try network.catalog.specs.map { ($0.name, try network.runtime.read($0)) })
        hasFailed = try network.runtime.failure() != nil
    }

    /// The logits are frozen in a weight step, so their gradients come from a logit step with the same samples.
    private static func compareLogitGradients(_ network: GoldenNetwork) throws {
        try network.reset()
        let plan = try network.run(GoldenCase.hard.logits(open: GoldenNetwork.blocks), step: 0, learningRate: 0)
        for task in 1...GoldenNetwork.tasks.count {
            let name = "task\(task)_logits"
            try network.agreement.compare(
                "logit gradients", "grad", name, try network.runtime.executor.read("gradient/\(name)", of: plan))
        }
    }
}
