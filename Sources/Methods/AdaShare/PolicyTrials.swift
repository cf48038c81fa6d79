import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks

/// Trains the candidates for the discrete policy for a while, one after another, then the best of them for longer, and
/// keeps the best of these.
///
/// Weights of policy learning have met every block in every task: under them a policy that parts tasks is worth no more
/// than another. What it is worth shows only where weights have been trained under it. All begin alike and see the same
/// batches.
final class PolicyTrials: TrainingPhase {
    private unowned let run: any MethodRun
    private let learning: PolicyLearning
    private let iterations: Int
    private let start: (any MethodRun) throws -> Void
    /// In the order in which they are trained; each is within a budget.
    private let candidates: [DiscretePolicy]
    /// What people call each of them.
    private let names: [String]

    /// - Parameters:
    ///   - run: whose policy has been learned.
    ///   - iterations: steps of all trials.
    ///   - start: sets the weights that each begins with; must not own the run.
    /// - Throws: `InputError` where no policy is within a budget, or a state is of other trials.
    init(_ run: any MethodRun, iterations: Int, start: @escaping (any MethodRun) throws -> Void) throws {
        (self.run, self.iterations, self.start) = (run, iterations, start)
        learning = try PolicyLearning(run, iterations: run.settings.training.policy.iterations)
        let alphas = try learning.probabilities()
        let stages = run.settings.architecture.blocks.filter { $0.position == 0 }.map(\.index)
        var (candidates, names): ([DiscretePolicy], [String]) = ([], [])
        for budget in learning.budgets {
            let draw = learning.policyDraw(within: budget)
            let all =
                learning.candidates(draw, alphas).map { (name: "as learned", policy: $0) }
                + draw.parted(alphas, stages: stages).map { fork, policy in
                    (
                        fork.map { "\(run.settings.tasks[$0.task]) apart from block \($0.block + 1) on" } ?? "alike",
                        policy
                    )
                }
            for (name, policy) in all where draw.isWithinBudget(policy) && !candidates.contains(policy) {
                candidates.append(policy)
                names.append(name)
            }
        }
        (self.candidates, self.names) = (candidates, names)
        guard !candidates.isEmpty, candidates.count <= iterations / 2 else {
            throw Self.refusal(run, "\(candidates.count) policies to try", "a budget that some policies meet")
        }
        if let record { try check(record) }
    }

    // MARK: - What cannot be tried

    /// At most so many candidates.
    static func most(_ settings: MethodSettings) -> Int {
        let drawn =
            switch settings.policy.discrete {
            case .sample: settings.policy.samples
            case .frontier: PolicyDraw.mostOnFrontier
            case .argmax, .budget: 1
            }
        let forks = Set(settings.architecture.blocks.map(\.stage)).count + 1
        return max(1, settings.policy.budgets.count) * (drawn + 1 + settings.tasks.count * forks)
    }

    /// Refuses trials of which a configuration says that they cannot choose anything.
    static func validate(_ settings: MethodSettings, file: String) throws {
        let (steps, tasks) = (settings.training.trials.iterations, settings.tasks.count)
        guard steps > 0 else { return }
        func refusal(_ found: String, _ expected: String) -> InputError {
            InputError(
                file: file, place: "training.trials.iterations", found: "\(steps) with \(found)",
                expected: "0, or \(expected)")
        }
        if settings.training.policy.iterations == 0 {
            throw refusal("training.policy.iterations 0", "a policy that is learned")
        }
        if tasks == 1 { throw refusal("one task", "tasks that a policy may part") }
        if !PolicyDraw.canSearch(tasks: tasks, form: settings.policy.cost) {
            throw refusal("\(tasks) tasks", "policy.cost passes, or at most \(PartCosts.mostTasksSharing) tasks")
        }
        let most = most(settings)
        if steps < 2 * most { throw refusal("up to \(most) policies to try", "at least \(2 * most)") }
    }

    /// Refuses trials that a run cannot make.
    ///
    /// - Parameter learns: whether a policy is learned before them.
    static func check(_ run: any MethodRun, learns: Bool) throws {
        if !learns { throw refusal(run, "no policy that was learned", "--phases with policy") }
        if !run.hasValidation {
            throw refusal(run, "no validation images, by which policies are scored", "some in every data set")
        }
    }

    /// Refuses trials where no policy meets a budget.
    ///
    /// - Parameter beyond: budgets that none meets.
    static func check(_ run: any MethodRun, beyond: [PolicyBudget]) throws {
        if !beyond.isEmpty, beyond == run.settings.policy.allBudgets {
            throw refusal(run, "budgets that no policy meets", "a higher one")
        }
    }

    private static func refusal(_ run: any MethodRun, _ found: String, _ expected: String) -> InputError {
        InputError(
            file: run.place, place: "training.trials.iterations",
            found: "\(run.settings.training.trials.iterations) with \(found)", expected: "0, or \(expected)")
    }

    // MARK: - Rounds

    /// What a run's state keeps of the trials.
    private struct Record: Codable {
        let policies: [SelectionPolicy]
        /// Steps of a retraining, whose falling rates a trial has in its own steps.
        let retraining: Int
        /// Of the trials that have had their steps, first those of all candidates, then those of the best; nil where a
        /// metric was no number.
        var scores: [Double?] = []
        /// The best of the first round, which go on to the second, by number.
        var finalists: [Int] = []
    }

    private var record: Record? { run.state.kept("trials") }
    private func keep(_ record: Record) throws { try run.state.keep(record, as: "trials") }

    /// Refuses a state that is not of these trials.
    private func check(_ record: Record) throws {
        let iteration = run.state.iteration
        guard run.state.phase == .trials, iteration > 0 else { return }
        let second = candidates.count...
        let isSecond = iteration > iterations / 2
        let finalists = isSecond || record.scores.count >= candidates.count
        var found = record.policies == candidates.map(named)
        found = found && record.finalists.allSatisfy(candidates.indices.contains)
        found =
            found && finalists == !record.finalists.isEmpty && (isSecond || !second.contains(record.scores.count - 1))
        if found {
            let now = trial(iteration, record)
            // Between two trials the first one may have its score or not.
            let scored =
                iteration == iterations
                ? now.slot...now.slot + 1 : now.slot - (iteration == now.steps.lowerBound ? 1 : 0)...now.slot
            found = scored.contains(record.scores.count)
        }
        guard found else {
            throw InputError(
                file: run.place, place: "state.trials",
                found: "\(record.scores.count) scores of \(record.policies.count) policies after step \(iteration)",
                expected: "those of the \(candidates.count) policies that this run tries")
        }
    }

    private func named(_ policy: DiscretePolicy) -> SelectionPolicy {
        SelectionPolicy(policy, tasks: run.settings.tasks)
    }

    /// The trial of step `iteration`: its place among all, the candidate, and the steps that it gets. Half of all steps
    /// go to each round.
    private func trial(_ iteration: Int, _ record: Record?) -> (slot: Int, candidate: Int, steps: Range<Int>) {
        let half = iterations / 2
        let isSecond = iteration >= half && !(record?.finalists.isEmpty ?? true)
        let (count, from, length) =
            isSecond ? (record?.finalists.count ?? 1, half, iterations - half) : (candidates.count, 0, half)
        func first(_ number: Int) -> Int { from + number * length / count }
        var number = min(count - 1, (iteration - from) * count / max(1, length))
        while number < count - 1, first(number + 1) <= iteration { number += 1 }
        let steps = first(number)..<first(number + 1)
        return isSecond
            ? (candidates.count + number, record?.finalists[number] ?? 0, steps) : (number, number, steps)
    }

    private func trial(_ iteration: Int) -> (slot: Int, candidate: Int, steps: Range<Int>) { trial(iteration, record) }

    /// Of each budget's candidates the better third.
    private func finalists(_ scores: [Double?]) -> [Int] {
        let best = learning.budgets.flatMap { budget -> ArraySlice<Int> in
            let draw = learning.policyDraw(within: budget)
            let within = candidates.indices.filter { draw.isWithinBudget(candidates[$0]) }
            let ranked = within.sorted { (scores[$0] ?? -.infinity, -$0) > (scores[$1] ?? -.infinity, -$1) }
            return ranked.prefix((ranked.count + 2) / 3)
        }
        return Set(best).sorted()
    }

    // MARK: - Steps

    func enter() throws {
        try keep(
            Record(policies: candidates.map(named), retraining: max(1, run.settings.training.retrain.iterations)))
        let each = iterations / 2 / candidates.count
        run.note(
            candidates.count == 1
                ? "one policy can be tried, so that trials decide nothing"
                : "\(candidates.count) candidates for the policy are trained for \(each) step\(each == 1 ? "" : "s") "
                    + "each, then the better third of them for longer")
        try start(run)
    }

    func isTurn(_ iteration: Int) -> Bool {
        iteration > 0 && (iteration == trial(iteration).steps.lowerBound || iteration == iterations / 2)
    }

    /// Scores the candidate that has had its steps, and has the next one begin.
    func turn(_ iteration: Int) throws {
        try score(at: iteration)
        try run.resetOptimisers()
        run.state.losses = LossHistory()
        try start(run)
    }

    func step(_ iteration: Int) throws -> PhaseStep {
        let record = record
        let (_, candidate, steps) = trial(iteration, record)
        let (own, whole) = (iteration - steps.lowerBound, record?.retraining ?? 1)
        var state = run.stepState(own * whole / steps.count, phase: PhaseNumber.trials, update: own + 1)
        state.step = UInt32(own)
        return PhaseStep(
            .retrain(candidates[candidate]), state: state, facts: ["candidate": .integer(candidate + 1)])
    }

    func counts(_ iterations: Int) -> [Int] { [iterations - trial(iterations).steps.lowerBound] }

    /// Scores the trial whose last step was the one before, unless that was done before the run was stopped.
    private func score(at iteration: Int) throws {
        guard var record else { return }
        let (slot, number, _) = trial(iteration - 1, record)
        guard record.scores.count == slot else { return }
        try run.checkFinite()
        let policy = candidates[number]
        guard let score = try run.scores(of: [policy], recalibrated: false)?.first else {
            throw Self.refusal(run, "no validation images, by which policies are scored", "some in every data set")
        }
        record.scores.append(score.isFinite ? score : nil)
        if record.scores.count == candidates.count { record.finalists = finalists(record.scores) }
        try keep(record)
        let draw = learning.policyDraw(within: learning.budgets[0])
        try run.log(
            "trial",
            [
                "candidate": .integer(number + 1), "name": .string(names[number]),
                "round": .integer(slot < candidates.count ? 1 : 2),
                "score": .number(score), "cost": .number(draw.costs.share(of: policy, draw.form)),
                "policy": .object(named(policy).tasks.mapValues { row in .array(row.map { .integer($0) }) }),
            ])
        run.note(
            "candidate \(number + 1) of \(candidates.count) (\(names[number])), \(draw.text(of: policy))"
                + (draw.isInTime ? "" : " of \(draw.form.base)") + (slot < candidates.count ? "" : ", for longer")
                + ": score "
                + (score.isFinite ? "\(readable(score)) %" : "none, since a metric is no number"))
    }

    var kinds: [StepKind] { candidates.map { .retrain($0) } }

    /// The one whose steps were taken last.
    private var last: Int { trial(max(0, run.state.iteration - 1)).candidate }
    func policy() throws -> DiscretePolicy { candidates[last] }
    func recordedPolicy() throws -> SelectionPolicy? { named(candidates[last]) }
    /// Weights of one candidate say nothing of the others.
    func isJudged(_ iteration: Int) -> Bool { false }
    func facts(_ iteration: Int) -> [String: JSONValue] {
        ["candidate": .integer(trial(max(0, iteration - 1)).candidate + 1)]
    }

    // MARK: - The choice

    /// Keeps for each budget the one within it that has the best mean of its two scores; where none is, what policy
    /// learning has ended with.
    func finish() throws {
        try score(at: iterations)
        guard let record else { return }
        // One training differs from another by chance: both count.
        let results = zip(record.finalists, record.scores.dropFirst(candidates.count)).map { number, second in
            let both = [record.scores[number], second].compactMap(\.self)
            return (number: number, score: both.count == 2 ? (both[0] + both[1]) / 2 : -.infinity)
        }
        let alphas = try learning.probabilities()
        let learned = run.state.policy
        for budget in learning.budgets.reversed() {
            let draw = learning.policyDraw(within: budget)
            let within = results.filter { draw.isWithinBudget(candidates[$0.number]) }
            if within.isEmpty {
                let before = run.state.policies(for: budget) ?? learned
                let policy = before?.discrete(tasks: run.settings.tasks) ?? draw.cheapest(alphas)
                try learning.take([policy], nil, by: draw, alphas)
            } else {
                try learning.take(
                    within.map { candidates[$0.number] }, within.map(\.score), numbers: within.map { $0.number + 1 },
                    by: draw, alphas)
                if let number = candidates.firstIndex(where: { named($0).tasks == run.state.policy?.tasks }) {
                    let subject = budget.map { "policy at \($0.name)" } ?? "policy"
                    run.note("\(subject): candidate \(number + 1) (\(names[number]))")
                }
            }
        }
        try PolicyLearning.writePolicies(run)
    }
}
