import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks

/// Trains the candidates for the discrete policy for a while, one after another, and keeps the best.
///
/// Weights of policy learning have met every block in every task: under them a policy that parts tasks is worth no more
/// than another. What it is worth shows only where weights have been trained under it.
final class PolicyTrials: TrainingPhase {
    private unowned let run: any MethodRun
    private let learning: PolicyLearning
    private let iterations: Int
    private let start: (any MethodRun, Bool) throws -> Void
    /// In the order in which they are trained.
    private let candidates: [DiscretePolicy]

    /// - Parameters:
    ///   - run: whose policy has been learned.
    ///   - iterations: steps of all trials.
    ///   - start: sets the weights that each begins with; must not own the run.
    init(_ run: any MethodRun, iterations: Int, start: @escaping (any MethodRun, Bool) throws -> Void) throws {
        (self.run, self.iterations, self.start) = (run, iterations, start)
        learning = try PolicyLearning(run, iterations: run.settings.training.policy.iterations)
        let alphas = try learning.probabilities()
        let stages = run.settings.architecture.blocks.filter { $0.position == 0 }.map(\.index)
        var candidates: [DiscretePolicy] = []
        for budget in learning.budgets {
            let draw = learning.policyDraw(within: budget)
            let all = learning.candidates(draw, alphas) + draw.parted(alphas, stages: stages)
            for policy in all where !candidates.contains(policy) { candidates.append(policy) }
        }
        self.candidates = Array(candidates.prefix(iterations))
    }

    /// Refuses trials that cannot choose anything.
    ///
    /// - Parameter learns: whether a policy is learned before them.
    static func check(_ run: any MethodRun, learns: Bool) throws {
        if !learns { throw refusal(run, "no policy that was learned", "--phases with policy") }
        if run.splits.validation.isEmpty {
            throw refusal(run, "no validation images, by which trials are scored", "a data set with some")
        }
        if run.settings.training.warmup.iterations == 0 {
            throw refusal(run, "no warm-up, which scores are relative to", "training.warmup.iterations above 0")
        }
    }

    private static func refusal(_ run: any MethodRun, _ found: String, _ expected: String) -> InputError {
        InputError(
            file: run.place, place: "training.trials.iterations",
            found: "\(run.settings.training.trials.iterations) with \(found)", expected: "0, or \(expected)")
    }

    /// The candidate that step `iteration` trains, and the steps that it gets.
    private func trial(_ iteration: Int) -> (number: Int, steps: Range<Int>) {
        let count = candidates.count
        func first(_ number: Int) -> Int { number * iterations / count }
        var number = min(count - 1, iteration * count / iterations)
        while first(number + 1) <= iteration, number < count - 1 { number += 1 }
        return (number, first(number)..<first(number + 1))
    }

    func enter() throws {
        try run.state.keep([Double](), as: Key.scores)
        run.note("\(candidates.count) policies are tried for \(iterations / candidates.count) steps each")
        try start(run, false)
    }

    /// Scores a candidate that has had its steps, and has the next one begin.
    func prepare(_ iteration: Int) throws {
        let (number, steps) = trial(iteration)
        guard iteration == steps.lowerBound, number > 0 else { return }
        try score(upTo: number)
        try run.resetOptimisers()
        run.state.losses = LossHistory()
        try start(run, false)
    }

    func step(_ iteration: Int) throws -> PhaseStep {
        let (number, steps) = trial(iteration)
        // Rates fall as in a retraining, in so many steps.
        let (own, whole) = (iteration - steps.lowerBound, run.settings.training.retrain.iterations)
        var state = run.stepState(own * max(1, whole) / steps.count, phase: PhaseNumber.trials, update: own + 1)
        state.step = UInt32(iteration)
        return PhaseStep(
            .retrain(candidates[number]), state: state, facts: ["candidate": .integer(number + 1)])
    }

    /// Scores the weights of a candidate that has had its steps, unless that was done before the run was stopped.
    private func score(upTo number: Int) throws {
        var scores: [Double] = run.state.kept(Key.scores) ?? []
        guard scores.count < number else { return }
        guard let score = try run.scores(of: [candidates[number - 1]], recalibrated: false)?.first else {
            throw Self.refusal(run, "data sets without validation images", "validation images of each")
        }
        scores.append(score)
        try run.state.keep(scores, as: Key.scores)
        let draw = learning.policyDraw(within: learning.budgets[0])
        run.note(
            "policy \(number) of \(candidates.count), \(draw.text(of: candidates[number - 1])): "
                + "scores gain \(readable(score)) % over the end of warm-up")
    }

    var kinds: [StepKind] { candidates.map { .retrain($0) } }

    /// The one whose steps were taken last.
    private var current: DiscretePolicy { candidates[trial(max(0, run.state.iteration - 1)).number] }
    func policy() throws -> DiscretePolicy { current }
    func recordedPolicy() throws -> SelectionPolicy? { SelectionPolicy(current, tasks: run.settings.tasks) }
    /// Weights of one candidate say nothing of the others.
    func isJudged(_ iteration: Int) -> Bool { false }
    func facts(_ iteration: Int) -> [String: JSONValue] { ["candidate": .integer(trial(iteration).number + 1)] }

    /// Keeps for each budget the best of those within it; where none is, what policy learning has ended with stands.
    func finish() throws {
        try score(upTo: candidates.count)
        let scores: [Double] = run.state.kept(Key.scores) ?? []
        let alphas = try learning.probabilities()
        for budget in learning.budgets.reversed() {
            let draw = learning.policyDraw(within: budget)
            let within = candidates.indices.filter { draw.isWithinBudget(candidates[$0]) }
            guard !within.isEmpty else { continue }
            try learning.take(within.map { candidates[$0] }, within.map { scores[$0] }, by: draw, alphas)
        }
        try PolicyLearning.writePolicies(run)
    }

    private enum Key { static let scores = "trialScores" }
}
