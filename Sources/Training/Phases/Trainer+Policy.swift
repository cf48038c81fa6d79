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
    private func firstOpenBlock() throws -> Int {
        blocks - (try policySchedule().openBlocks(after: state.iteration))
    }

    /// Select where α ≥ ½, and wherever the curriculum has not opened the block.
    func argmaxPolicy(_ probabilities: [[Double]]) throws -> DiscretePolicy {
        let first = try firstOpenBlock()
        return DiscretePolicy(
            select: probabilities.map { row in row.indices.map { block in block < first || row[block] >= 0.5 } })
    }

    /// Draws the discrete policies, keeps the best on validation, and writes `policy.json`.
    ///
    /// Samples are scored with the weights of policy learning; without a validation split the first one is taken.
    func drawPolicy() throws {
        let alphas = try probabilities()
        let named = Dictionary(uniqueKeysWithValues: zip(taskNames, alphas))
        let settings = experiment.configuration.policy
        var candidates: [DiscretePolicy]
        switch settings.discrete {
        case .argmax:
            candidates = [try argmaxPolicy(alphas)]
        case .sample:
            let first = try firstOpenBlock()
            candidates = (0..<settings.samples).map { sample in
                draw(alphas, first: first, name: "policy/sample/\(sample)")
            }
        }
        state.sampledPolicies = candidates.map { SelectionPolicy($0, tasks: taskNames, probabilities: named) }
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
        state.policyCost = policyCost(alphas, first: try firstOpenBlock(), drawn: candidates[best])
        try state.policy?.write(to: run.policy)
    }

    /// u ~ Bernoulli(α), a pure function of the seed and the sample's name.
    private func draw(_ alphas: [[Double]], first: Int, name: String) -> DiscretePolicy {
        var seed = StepState()
        seed.seed = UInt64(experiment.configuration.training.seed)
        return DiscretePolicy(
            select: alphas.enumerated().map { task, row in
                let uniforms = Philox.uniforms(
                    rows: row.count, columns: 1, name: "\(name)/task\(experiment.architecture.number(task: task))",
                    state: seed)
                return row.indices.map { block in block < first || Double(uniforms[block]) < row[block] }
            })
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
