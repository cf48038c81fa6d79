import Foundation
import Models
import Operators

extension Trainer {
    /// Logits of every task, [L · 2]; waits for the device where they have changed since they were last read.
    func readLogits() throws -> [[Float]] {
        let store = network.executor.store
        let names = taskNames.indices.map { experiment.architecture.logitsParameter(task: $0) }
        let versions = names.map(store.version)
        if let known = knownLogits, known.versions == versions { return known.values }
        let values = try names.map(store.read)
        knownLogits = (versions, values)
        return values
    }

    /// α of every task and block from the logits on the device.
    func probabilities() throws -> [[Double]] {
        try readLogits().map { logits in
            (0..<blocks).map { block -> Double in
                let difference = Double(logits[2 * block + 1]) - Double(logits[2 * block])
                return 1 / (1 + exp(difference))
            }
        }
    }

    /// The first block the curriculum has opened; earlier ones are selected in every discrete policy.
    func firstOpenBlock() throws -> Int {
        blocks - (try policySchedule().openBlocks(after: state.iteration))
    }

    /// The discrete policy that policy learning stands for at this moment, without samples' chance.
    func presentPolicy() throws -> DiscretePolicy {
        let (draw, alphas) = (try policyDraw(), try probabilities())
        return experiment.configuration.policy.discrete == .budget
            ? draw.mostProbable(alphas) : draw.thresholded(alphas)
    }

    /// Takes the discrete policy from the probabilities and writes `policy.json`.
    ///
    /// Of samples the best on validation is kept, scored with the weights of policy learning; without a validation
    /// split the first one.
    func drawPolicy() throws {
        let alphas = try probabilities()
        let named = Dictionary(uniqueKeysWithValues: zip(taskNames, alphas))
        let settings = experiment.configuration.policy
        let draw = try policyDraw()
        var candidates: [DiscretePolicy]
        switch settings.discrete {
        case .argmax, .budget: candidates = [try presentPolicy()]
        case .sample:
            candidates = draw.samples(
                alphas, count: settings.samples, seed: UInt64(experiment.configuration.training.seed))
            if candidates.isEmpty {
                report(.notice("no sample is within the budget: the cheapest policy is taken"))
                candidates = [draw.cheapest(alphas)]
            }
        }
        state.sampledPolicies = candidates.map {
            SelectionPolicy($0, tasks: taskNames, probabilities: named, open: draw.open > 0 ? draw.open : nil)
        }
        var best = 0
        if candidates.count > 1, let reference = state.reference, !dataset.splits.validation.isEmpty {
            let scores = try candidates.map { candidate in
                try evaluator.evaluate(network, policy: candidate, split: dataset.splits.validation)
                    .score(over: reference) ?? -.infinity
            }
            best = scores.indices.max { (scores[$0], -$0) < (scores[$1], -$1) } ?? 0
            var event = event("policy_samples")
            event["scores"] = .array(scores.map { .number($0) })
            event["chosen"] = .integer(best)
            try log.append(.object(event))
        }
        state.policy = state.sampledPolicies[best]
        state.policyCost = policyCost(alphas, drawn: candidates[best], by: draw)
        for remark in draw.remarks(on: candidates[best], from: alphas) { report(.notice(remark)) }
        try state.policy?.write(to: run.policy)
    }

    /// Scores the network on the validation split and keeps the best checkpoint of the phase.
    ///
    /// In policy learning only checkpoints with every block open compete.
    ///
    /// - Returns: nil without a validation split.
    func validate() throws -> EvaluationResult? {
        let split = dataset.splits.validation
        guard !split.isEmpty else { return nil }
        let result = try evaluator.evaluate(network, policy: try currentPolicy(), split: split) { done in
            self.report(.evaluating(phase: self.state.phase, done: done, total: split.count))
        }
        var event = event("evaluation")
        event["split"] = .string("validation")
        event["normals"] = .string(experiment.configuration.dataset.normals.rawValue)
        event["metrics"] = JSONValue(result.tasks)
        let score = state.reference.flatMap { result.score(over: $0) }
        if let score { event["score"] = .number(score) }
        try log.append(.object(event))

        let phase = state.phase.rawValue
        let isOpen = try state.phase != .policy || policySchedule().openBlocks(after: state.iteration) == blocks
        if let score, isOpen, experiment.configuration.training.evaluateEvery > 0,
            score > state.bestScore[phase] ?? -.infinity
        {
            state.bestScore[phase] = score
            state.bestIteration[phase] = state.iteration
            try exportWeights("\(phase)-best")
        }
        return result
    }
}

extension JSONValue {
    init(_ tasks: [String: [String: [Metric]]]) {
        self = .object(
            tasks.mapValues { conventions in
                .object(
                    conventions.mapValues { metrics in
                        .object(
                            Dictionary(metrics.map { ($0.name, .number($0.value)) }) { first, _ in first })
                    })
            })
    }
}
