import Datasets
import Foundation
import Graph
import Models
import Operators
import Support

extension Trainer {
    /// Runs the remaining steps of a phase.
    func runPhase(_ phase: Phase) throws {
        let total = iterations(of: phase)
        guard state.iteration < total else { return }
        let training = experiment.configuration.training
        let source = try makeSource(phase)
        try reportMemory(phase)
        var pace = Pace()
        let context = network.executor.context
        while state.iteration < total {
            let (start, compiled) = (Date(), context.compileSeconds)
            // What is compiled for one step says nothing about the next.
            func elapsed() -> Double { Date().timeIntervalSince(start) - (context.compileSeconds - compiled) }
            let step = source.step(state.iteration)
            let batch = try step.loader.next()
            var now = stepState(update: step.update, temperature: step.temperature, phase: phase)
            if let budget = step.blockBudget { now.budget = Float(budget) }
            let plan = try network.step(try drawing(step.kind, state: now), batch: batch, state: now)
            try profile?.collect()
            state.iteration += 1
            let isLast = state.iteration == total
            let isLogged = state.iteration % training.logEvery == 0 || isLast
            if isLogged {
                let losses = try plan.map(network.losses) ?? [:]
                try checkFinite()
                try logStep(step, losses, carriers: batch.labelCounts)
                pace.add(images: batch.count, seconds: elapsed())
                report(
                    .step(
                        StepReport(
                            phase: phase, iteration: state.iteration, total: total, losses: losses,
                            imagesPerSecond: pace.imagesPerSecond,
                            secondsLeft: pace.secondsPerStep * Double(total - state.iteration))))
            } else {
                pace.add(images: batch.count, seconds: elapsed())
            }
            if training.evaluateEvery > 0 && state.iteration % training.evaluateEvery == 0 && !isLast {
                state.seconds[phase.rawValue, default: 0] += pace.takeElapsed()
                _ = try validate()
            }
            if state.iteration % training.checkpointEvery == 0 && !isLast {
                state.seconds[phase.rawValue, default: 0] += pace.takeElapsed()
                try saveCheckpoint()
            }
        }
        try context.queue.finish()
        state.seconds[phase.rawValue, default: 0] += pace.takeElapsed()
        state.bytes = (state.bytes ?? [:]).merging([phase.rawValue: network.executor.byteCount]) { $1 }
    }

    /// Says what memory the phase plans for.
    private func reportMemory(_ phase: Phase) throws {
        let crop = experiment.configuration.dataset.crop
        let shape = BatchShape(
            count: experiment.configuration.training.batch, height: crop.height, width: crop.width)
        let kinds: [StepKind] =
            switch phase {
            case .warmup, .baseline: [.hardSharing]
            case .policy:
                [.weights(open: blocks), .logits(open: blocks)]
                    + (experiment.configuration.policy.discrete == .frontier ? [.retrain(hardSharing)] : [])
            case .retrain: [.retrain(try currentPolicy())]
            }
        let planned = try PlannedMemory(
            kinds.map { experiment.loweredGraph($0, shape, family: network.executor.library.family) },
            besides: Dictionary(uniqueKeysWithValues: experiment.catalog.specs.map { ($0.name, $0.storedShape) }))
        func mega(_ bytes: Int) -> String { readable(Double(bytes) / 1e6) }
        report(
            .notice(
                "\(phase.rawValue) plans at most \(mega(planned.total)) MB on the device for its training steps: "
                    + "\(mega(planned.arena)) of activations and gradients, "
                    + "\(mega(planned.tensors + planned.derived)) of parameters, optimiser state and inputs"))
    }

    /// One step: what it does and where its batch comes from.
    struct Step {
        let kind: StepKind
        let loader: BatchLoader
        /// Adam's step counter for weights and logits, from 1.
        let update: Int
        let temperature: Double
        let schedule: PolicySchedule.Step?
        /// What the branches' expected cost is steered to, as a share of selecting everything; nil leaves it free.
        var blockBudget: Double?
    }

    /// The step with a policy drawn for it, where `hard_skip` asks for one.
    ///
    /// Logits are read back after they have changed, the host's only wait; noise is the same pure function on both
    /// sides.
    func drawing(_ kind: StepKind, state: StepState) throws -> StepKind {
        guard experiment.configuration.policy.sampling == .hardSkip else { return kind }
        func draw(_ open: Int) throws -> DiscretePolicy {
            .gumbelDraw(logits: try readLogits(), open: open, architecture: experiment.architecture, state: state)
        }
        switch kind {
        case .weights(let open, _): return .weights(open: open, drawn: try draw(open))
        case .logits(let open, _): return .logits(open: open, drawn: try draw(open))
        case .hardSharing, .retrain, .inference: return kind
        }
    }

    /// Maps iterations to steps.
    struct Source {
        let step: (Int) -> Step
    }

    private func makeSource(_ phase: Phase) throws -> Source {
        let splits = dataset.splits
        switch phase {
        case .warmup, .baseline, .retrain:
            let kind: StepKind = phase == .retrain ? .retrain(try currentPolicy()) : .hardSharing
            let loader = try experiment.loader(
                dataset, split: splits.train, phase: phase.rawValue, startStep: state.iteration)
            return Source { Step(kind: kind, loader: loader, update: $0 + 1, temperature: 1, schedule: nil) }
        case .policy:
            let schedule = try policySchedule()
            let done = schedule.counts(state.iteration)
            let weights = try experiment.loader(
                dataset, split: splits.train1, phase: "policy/weights", startStep: done.weights)
            let logits = try experiment.loader(
                dataset, split: splits.train2, phase: "policy/logits", startStep: done.logits)
            let budget = try steering()
            return Source { iteration in
                let step = schedule.step(iteration)
                let isWeights = step.kind == .weights
                return Step(
                    kind: isWeights ? .weights(open: step.open) : .logits(open: step.open),
                    loader: isWeights ? weights : logits, update: step.index + 1, temperature: step.temperature,
                    schedule: step, blockBudget: budget?(step.epoch))
            }
        }
    }

    /// Alternation and curriculum of this configuration on this data set.
    func policySchedule() throws -> PolicySchedule {
        let batch = experiment.configuration.training.batch
        for (split, name) in [(dataset.splits.train1, "train1"), (dataset.splits.train2, "train2")]
        where split.count < batch {
            throw InputError(
                file: dataset.name, place: "split \(name)", found: "\(split.count) images",
                expected: "at least training.batch = \(batch)")
        }
        guard let schedule = experiment.schedule(dataset) else {
            preconditionFailure("splits of at least a batch have a schedule")
        }
        return schedule
    }

    /// What the branches' expected cost is steered to, by policy epoch, as a share of selecting everything; nil leaves the
    /// cost free.
    func steering() throws -> ((Int) -> Double)? {
        let policy = experiment.configuration.policy
        let costs = experiment.budgetCosts
        guard let budget = policy.steered(by: costs) else { return nil }
        // More than everything is no aim: it is the most that a policy may cost.
        let share = min(1, budget.share(costs, policy.cost))
        let epochs = Double(experiment.configuration.training.policy.iterations) / Double(try policySchedule().cycle)
        return { epoch in
            let part =
                policy.budgetSchedule == .falling
                ? min(1, Double(epoch) / max(1, BudgetSchedule.fallingPart * (epochs - 1))) : 1
            return max(0, costs.blockBudget(1 - (1 - share) * part, policy.cost))
        }
    }

    /// What to say when policy learning ends before every block is open.
    func curriculumWarning() throws -> String? {
        let schedule = try policySchedule()
        let given = experiment.configuration.training.policy.iterations
        let open = schedule.openBlocks(after: given)
        guard open < blocks else { return nil }
        return
            "policy learning opens only the last \(open) of \(blocks) blocks in \(given) iterations; the others stay "
            + "selected by every task. All open needs training.policy.iterations >= \(schedule.iterationsToOpenAll) "
            + "(or a smaller policy.curriculum_speed)"
    }

    /// What a step reads from the device buffer.
    ///
    /// - Parameter update: Adam's step counter, from 1.
    func stepState(update: Int, temperature: Double, phase: Phase) -> StepState {
        let training = experiment.configuration.training
        let policy = experiment.configuration.policy
        var result = StepState()
        result.step = UInt32(state.iteration)
        result.seed = UInt64(training.seed)
        result.phase = phase.number
        result.temperature = Float(temperature)
        func rate(_ base: Double, decays: Bool) -> StepState.Rate {
            // In policy learning the rates stay at the configured values.
            let decay = training.learningRateDecay
            let steps = phase == .policy || !decays || decay.every == 0 ? 0 : state.iteration / decay.every
            return StepState.Rate(
                learningRate: base * pow(decay.factor, Double(steps)), beta1: training.adam.beta1,
                beta2: training.adam.beta2, t: update)
        }
        result.rates[.backbone] = rate(
            training.learningRate.backbone, decays: training.learningRateDecay.scope == .all)
        result.rates[.heads] = rate(training.learningRate.heads, decays: true)
        result.rates[.policy] = StepState.Rate(
            learningRate: policy.learningRate, beta1: policy.adam.beta1, beta2: policy.adam.beta2, t: update)
        return result
    }

    private func logStep(_ step: Step, _ losses: [String: Double], carriers: [String: JSONValue]) throws {
        var event = event("step")
        event["loss"] = .object(losses.mapValues { .number($0) })
        event.merge(carriers) { $1 }
        if let schedule = step.schedule {
            event["step"] = .string(schedule.kind == .weights ? "weights" : "logits")
            event["policy_epoch"] = .integer(schedule.epoch)
            event["open_blocks"] = .integer(schedule.open)
            event["temperature"] = .number(schedule.temperature)
            if let budget = step.blockBudget { event["block_budget"] = .number(budget) }
        }
        try log.append(.object(event))
    }

    /// Facts that follow from the iteration, for people who read a checkpoint.
    func derivedState() throws -> RunState.Derived {
        var derived = RunState.Derived()
        for (name, position) in try positions() { derived.positions[name] = [position.pass, position.offset] }
        if state.phase == .policy {
            let next = try policySchedule().step(state.iteration)
            derived.policyEpoch = next.epoch
            derived.openBlocks = next.open
            derived.temperature = next.temperature
        }
        return derived
    }

    /// Where each loader of the phase stands.
    private func positions() throws -> [(name: String, position: (split: [Int], phase: String, pass: Int, offset: Int))]
    {
        let batch = experiment.configuration.training.batch
        func position(_ split: [Int], _ phase: String, _ steps: Int) -> (
            split: [Int], phase: String, pass: Int, offset: Int
        ) {
            let perPass = max(1, split.count / batch)
            return (split, phase, steps / perPass, steps % perPass)
        }
        if state.phase == .policy {
            let done = try policySchedule().counts(state.iteration)
            return [
                ("train1", position(dataset.splits.train1, "policy/weights", done.weights)),
                ("train2", position(dataset.splits.train2, "policy/logits", done.logits)),
            ]
        }
        return [("train", position(dataset.splits.train, state.phase.rawValue, state.iteration))]
    }

    /// Every split as it is, and those of the phase in the order of their current pass.
    func permutations() throws -> CheckpointStore.Permutations {
        var result: CheckpointStore.Permutations = Dictionary(
            uniqueKeysWithValues: dataset.splits.all.map { ("split/\($0.name)", $0.indices) })
        for (name, place) in try positions() {
            guard experiment.configuration.dataset.shuffle else {
                result[name] = place.split
                continue
            }
            let order = BatchLoader.permutation(
                count: place.split.count, seed: UInt64(experiment.configuration.training.seed), phase: place.phase,
                pass: place.pass)
            result[name] = order.map { place.split[$0] }
        }
        return result
    }
}
