import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation

/// Policy learning: weight steps and logit steps in turn, more blocks open from epoch to epoch, and in the end a
/// discrete policy.
final class PolicyLearning: TrainingPhase {
    private unowned let run: any MethodRun
    let schedule: PolicySchedule
    /// What the branches' expected cost is steered to, by policy epoch, as a share of selecting everything; nil leaves
    /// the cost free.
    let steering: ((Int) -> Double)?
    private let settings: PolicyConfiguration
    private let learning: PolicySettings
    private let architecture: NetworkArchitecture
    private let iterations: Int

    init(_ run: any MethodRun, iterations: Int) throws {
        self.run = run
        self.iterations = iterations
        settings = run.settings.policy
        learning = PolicySettings(run.settings, costs: run.budgetCosts)
        architecture = run.settings.architecture
        schedule = try PolicySchedule(run)
        steering = settings.steering(by: run.budgetCosts, epochs: Double(iterations) / Double(schedule.cycle))
    }

    private var blocks: Int { architecture.blocks.count }
    private var taskNames: [String] { run.settings.tasks }

    func enter() throws {
        guard !run.state.finished.contains(.warmup) else { return }
        run.note("no warm-up has run: policy learning starts from the initial weights")
        try run.initialise(nil, keepingLogits: false)
    }

    func step(_ iteration: Int) throws -> PhaseStep {
        let step = schedule.step(iteration)
        let isWeights = step.kind == .weights
        // In policy learning the rates stay at the configured values.
        var state = run.stepState(iteration, phase: PhaseNumber.policy, update: step.index + 1, decays: false)
        state.temperature = Float(step.temperature)
        let budget = steering?(step.epoch)
        if let budget { state.budget = Float(budget) }
        var facts: [String: JSONValue] = [
            "step": .string(isWeights ? "weights" : "logits"), "policy_epoch": .integer(step.epoch),
            "open_blocks": .integer(step.open), "temperature": .number(step.temperature),
        ]
        if let budget { facts["block_budget"] = .number(budget) }
        let drawn = try draw(step.open, state: state)
        return PhaseStep(
            isWeights
                ? learning.weights(open: step.open, drawn: drawn) : learning.logits(open: step.open, drawn: drawn),
            source: isWeights ? 0 : 1, state: state, facts: facts)
    }

    /// The policy of one step, where `hard_skip` asks for one.
    ///
    /// Logits are read back after they have changed, the host's only wait; noise is the same pure function on both
    /// sides.
    private func draw(_ open: Int, state: StepState) throws -> DiscretePolicy? {
        guard settings.sampling == .hardSkip else { return nil }
        return .gumbelDraw(logits: try logits(), open: open, architecture: architecture, state: state)
    }

    func counts(_ iterations: Int) -> [Int] {
        let counts = schedule.counts(iterations)
        return [counts.weights, counts.logits]
    }

    var kinds: [StepKind] {
        [learning.weights(open: schedule.blocks), learning.logits(open: schedule.blocks)]
            + (settings.discrete == .frontier ? [.retrain(run.settings.allSelected)] : [])
    }

    func facts(_ iteration: Int) -> [String: JSONValue] {
        let next = schedule.step(iteration)
        return [
            "policyEpoch": .integer(next.epoch), "openBlocks": .integer(next.open),
            "temperature": .number(next.temperature),
        ]
    }

    /// α to four digits, by task: how the policy forms.
    func learned() throws -> [String: JSONValue] {
        let rows = try probabilities().map { row in JSONValue.array(row.map { .number(($0 * 1e4).rounded() / 1e4) }) }
        return ["probabilities": .object(Dictionary(uniqueKeysWithValues: zip(taskNames, rows)))]
    }

    /// Only checkpoints compete whose policy is free wherever it will be.
    func isJudged(_ iteration: Int) -> Bool { schedule.openBlocks(after: iteration) == schedule.blocks }

    // MARK: - The discrete policy

    /// Logits of every task, [L · 2].
    private func logits() throws -> [[Float]] {
        try run.read(taskNames.indices.map { architecture.logitsParameter(task: $0) })
    }

    /// α of every task and block.
    func probabilities() throws -> [[Double]] {
        try logits().map { logits in
            (0..<blocks).map { block -> Double in
                let difference = Double(logits[2 * block + 1]) - Double(logits[2 * block])
                return 1 / (1 + exp(difference))
            }
        }
    }

    /// How discrete policies are taken from the probabilities now; every task selects the blocks that have
    /// no free policy.
    ///
    /// - Parameter budget: the most they may cost; nil for any.
    func policyDraw(within budget: PolicyBudget?) -> PolicyDraw {
        let steps = run.state.phase == .policy ? run.state.iteration : iterations
        return PolicyDraw(
            costs: run.budgetCosts, form: settings.cost, budget: budget,
            open: blocks - schedule.openBlocks(after: steps))
    }

    /// What discrete policies are wanted for.
    var budgets: [PolicyBudget?] { settings.hasBudget ? settings.allBudgets : [nil] }

    /// What policy learning stands for at this moment, without samples' chance; of several budgets the first one's.
    func policy() throws -> DiscretePolicy {
        let (draw, alphas) = (policyDraw(within: settings.allBudgets.first), try probabilities())
        return settings.discrete.needsBudget ? draw.mostProbable(alphas) : draw.thresholded(alphas)
    }

    func recordedPolicy() throws -> SelectionPolicy? {
        try run.state.policy ?? SelectionPolicy(policy(), tasks: taskNames)
    }

    /// Takes the discrete policy from the probabilities; of several budgets one for each, and the first one's is the
    /// run's.
    ///
    /// Of several candidates the best on validation is kept, scored with the weights of policy learning; without a
    /// validation split the first one.
    func finish() throws {
        let alphas = try probabilities()
        for budget in budgets.reversed() {
            let draw = policyDraw(within: budget)
            let candidates = candidates(draw, alphas)
            if settings.discrete == .sample,
                !draw.isWithinBudget(candidates[0]) || candidates == [draw.cheapest(alphas)]
            {
                run.note("no sample is within the budget: the cheapest policy is taken")
            }
            let scores =
                candidates.count > 1
                ? try run.scores(of: candidates, recalibrated: settings.discrete == .frontier) : nil
            try take(candidates, scores, by: draw, alphas)
        }
        try Self.writePolicies(run)
    }

    /// Writes the policies that were taken, whatever became of the files since.
    static func writePolicies(_ run: any MethodRun) throws {
        try run.write(run.state.policy, named: run.state.kept(Key.policies) ?? [:])
    }

    /// Keeps the best of the candidates for a budget: the first one where there are no scores.
    ///
    /// - Parameters:
    ///   - scores: one for each.
    ///   - numbers: what the log calls them; nil for their places.
    func take(
        _ candidates: [DiscretePolicy], _ scores: [Double]?, numbers: [Int]? = nil, by draw: PolicyDraw,
        _ alphas: [[Double]]
    ) throws {
        let named = Dictionary(uniqueKeysWithValues: zip(taskNames, alphas))
        let policies = candidates.map {
            SelectionPolicy($0, tasks: taskNames, probabilities: named, open: draw.open > 0 ? draw.open : nil)
        }
        try run.state.keep(policies, as: Key.samples)
        let best = scores.flatMap { scores in scores.indices.max { (scores[$0], -$0) < (scores[$1], -$1) } } ?? 0
        let name = settings.budgets.isEmpty ? nil : draw.budget?.name
        if let scores {
            var members: [String: JSONValue] = [
                "scores": .array(scores.map { .number($0) }), "chosen": .integer(best),
            ]
            if let name { members["budget"] = .string(name) }
            if let numbers { members["candidates"] = .array(numbers.map { .integer($0) }) }
            try run.log("policy_samples", members)
        }
        run.state.policy = policies[best]
        if let cost = PolicyCost(alphas, drawn: candidates[best], by: draw, measure: settings.budgetFor) {
            try run.state.keep(cost, as: Key.cost)
        }
        if let name {
            var all: [String: SelectionPolicy] = run.state.kept(Key.policies) ?? [:]
            all[name] = policies[best]
            try run.state.keep(all, as: Key.policies)
        }
        let subject = settings.budgets.count > 1 ? (name.map { "policy for \($0): " } ?? "") : ""
        for remark in draw.remarks(on: candidates[best], from: alphas) { run.note(subject + remark) }
    }

    /// The policies that `policy.discrete` chooses among.
    func candidates(_ draw: PolicyDraw, _ alphas: [[Double]]) -> [DiscretePolicy] {
        switch settings.discrete {
        case .argmax: return [draw.thresholded(alphas)]
        case .budget: return [draw.mostProbable(alphas)]
        case .frontier: return draw.frontier(alphas)
        case .sample:
            let samples = draw.samples(
                alphas, numbers: taskNames.indices.map(architecture.number), count: settings.samples,
                seed: UInt64(run.settings.training.seed))
            return samples.isEmpty ? [draw.cheapest(alphas)] : samples
        }
    }

    /// What is kept in a run's state.
    enum Key {
        static let (samples, policies, cost) = ("sampledPolicies", "policies", "policyCost")
    }
}

extension RunState {
    /// Policies that were drawn after policy learning, and scored.
    public var sampledPolicies: [SelectionPolicy] { kept(PolicyLearning.Key.samples) ?? [] }
    /// The policy that was taken for a budget, of several or of one.
    func policies(for budget: PolicyBudget?) -> SelectionPolicy? {
        let all: [String: SelectionPolicy]? = kept(PolicyLearning.Key.policies)
        return budget.flatMap { all?[$0.name] }
    }
    /// What the learned policy costs; nil if none was learned.
    public var policyCost: PolicyCost? { kept(PolicyLearning.Key.cost) }
}
