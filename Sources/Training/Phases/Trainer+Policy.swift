import Foundation
import Models
import Operators
import Support
import Tasks

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

    /// The discrete policy that policy learning stands for at this moment, without samples' chance; of several budgets
    /// the first one's.
    func presentPolicy() throws -> DiscretePolicy {
        let settings = experiment.configuration.policy
        let (draw, alphas) = (try policyDraw(within: settings.budget ?? settings.budgets.first), try probabilities())
        return settings.discrete.needsBudget ? draw.mostProbable(alphas) : draw.thresholded(alphas)
    }

    /// Takes the discrete policy from the probabilities and writes `policy.json`; of several budgets one for each, in
    /// `policies`, and the first one's is the run's.
    func drawPolicies() throws {
        let settings = experiment.configuration.policy
        for budget in settings.budgets.reversed() {
            try drawPolicy(within: budget)
            state.policies = (state.policies ?? [:]).merging([budget.name: state.policy].compactMapValues { $0 }) { $1 }
        }
        if settings.budgets.isEmpty { try drawPolicy(within: settings.budget) }
        try writePolicies()
    }

    /// Writes the policies that were taken, whatever became of the files since.
    func writePolicies() throws {
        let policies = state.policies ?? [:]
        if !policies.isEmpty { try run.makePolicies() }
        for (budget, policy) in policies { try policy.write(to: run.policy(of: budget)) }
        try state.policy?.write(to: run.policy)
    }

    /// Takes a discrete policy from the probabilities.
    ///
    /// Of several the best on validation is kept, scored with the weights of policy learning; without a validation
    /// split the first one.
    private func drawPolicy(within budget: PolicyBudget?) throws {
        let alphas = try probabilities()
        let named = Dictionary(uniqueKeysWithValues: zip(taskNames, alphas))
        let settings = experiment.configuration.policy
        let draw = try policyDraw(within: budget)
        var candidates: [DiscretePolicy]
        switch settings.discrete {
        case .argmax: candidates = [draw.thresholded(alphas)]
        case .budget: candidates = [draw.mostProbable(alphas)]
        case .frontier: candidates = draw.frontier(alphas)
        case .sample:
            candidates = draw.samples(
                alphas, numbers: taskNames.indices.map(experiment.architecture.number), count: settings.samples,
                seed: UInt64(experiment.configuration.training.seed))
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
            let weights = settings.discrete == .frontier ? try network.checkpoint() : nil
            let scores = try candidates.map { candidate in
                if weights != nil { try recalibrate(candidate) }
                let result = try evaluator.evaluate(network, policy: candidate, split: dataset.splits.validation)
                if let weights { try network.load(weights) }
                return result.score(over: reference) ?? -.infinity
            }
            // Recalibration left optimiser state behind, and the phase is over.
            if weights != nil { try network.beginPhase() }
            best = scores.indices.max { (scores[$0], -$0) < (scores[$1], -$1) } ?? 0
            var event = event("policy_samples")
            if let budget, !settings.budgets.isEmpty { event["budget"] = .string(budget.name) }
            event["scores"] = .array(scores.map { .number($0) })
            event["chosen"] = .integer(best)
            try log.append(.object(event))
        }
        state.policy = state.sampledPolicies[best]
        state.policyCost = policyCost(alphas, drawn: candidates[best], by: draw)
        let subject = settings.budgets.count > 1 ? (budget.map { "policy for \($0.name): " } ?? "") : ""
        for remark in draw.remarks(on: candidates[best], from: alphas) { report(.notice(subject + remark)) }
    }

    /// Has batch norms forget the statistics of what was mixed or drawn for those of a policy: training steps under it
    /// that move nothing else.
    private func recalibrate(_ policy: DiscretePolicy) throws {
        let loader = try experiment.loader(
            dataset, split: dataset.splits.train, phase: "policy/recalibration", startStep: 0)
        var now = StepState()
        now.seed = UInt64(experiment.configuration.training.seed)
        now.phase = Phase.policy.number
        now.holdWeights()
        for step in 0..<Self.recalibrationSteps {
            now.step = UInt32(step)
            try network.step(.retrain(policy), batch: try loader.next(), state: now)
        }
    }

    /// Statistics keep a tenth of the new batch in each step: after so many, 1 % is of before.
    private static let recalibrationSteps = 40

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
        for (name, fact) in experiment.configuration.facts { event[name] = .string(fact) }
        if let labelled = result.labelled { event["labelled"] = .object(labelled.mapValues { .integer($0) }) }
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
