import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation

extension Trainer {
    /// Runs the remaining steps of a phase.
    func runPhase(_ outline: PhaseOutline, _ phase: any TrainingPhase) throws {
        let (name, total) = (outline.phase, outline.iterations)
        guard state.iteration < total else { return }
        let training = experiment.configuration.training
        // Before threads take memory, which cannot say that there is none.
        let limits = HostLimits()
        if let refusal = Self.refusal(
            of: experiment.trainingShape, tasks: experiment.tasks.count,
            memory: (limits.memoryLimitBytes ?? limits.memoryBytes) / experiment.hostShare)
        {
            throw refusal
        }
        try reportMemory(name, phase)
        func makeLoaders() throws -> [BatchLoaders] {
            try zip(outline.sources, phase.counts(state.iteration)).map { source, done in
                try experiment.loaders(datasets, split: source.split, phase: source.name, startStep: done)
            }
        }
        var loaders = try makeLoaders()
        var pace = Pace(cold: 4)
        defer { keepTimes(of: name, &pace) }
        let context = network.executor.context
        if state.isEvaluationDue { try evaluate() }
        while state.iteration < total {
            reserveTime(step: pace.secondsPerStep)
            if ranks == nil { try stop?.check() }
            if phase.isTurn(state.iteration) {
                let start = Date()
                try context.queue.finish()
                pace.finish(seconds: Date().timeIntervalSince(start))
                keepTimes(of: name, &pace)
                try phase.turn(state.iteration)
                loaders = try makeLoaders()
            }
            let (start, compiled) = (Date(), context.compileSeconds)
            // What is compiled for one step says nothing about the next.
            func elapsed() -> Double { Date().timeIntervalSince(start) - (context.compileSeconds - compiled) }
            let step = try phase.step(state.iteration)
            let asked = Date()
            let batches = try loaders[step.source].next()
            let waiting = Date().timeIntervalSince(asked)
            let facts = try facts(of: batches)
            try noteSkipped(facts.skipped)
            let images = batches.reduce(0) { $0 + $1.count } * (ranks?.count ?? 1)
            let history = state.losses
            let plan = try network.step(step.kind, batches: batches, state: step.state, history: history)
            try profile?.collect()
            state.iteration += 1
            if training.verifyEvery > 0, state.iteration % training.verifyEvery == 0 { try compareParameters() }
            try keepLosses(outline)
            let isLast = state.iteration == total
            let isLogged = state.iteration % training.logEvery == 0 || isLast
            if isLogged {
                let losses = try plan.map(network.losses) ?? [:]
                try checkFinite()
                pace.add(images: images, seconds: elapsed(), waiting: waiting)
                let start = Date()
                try logStep(
                    step, plan, losses, history, pace: pace, carriers: facts.labels.members(experiment.sources))
                pace.finish(seconds: Date().timeIntervalSince(start))
                report(.step(report(of: outline, losses, pace)))
            } else {
                pace.add(images: images, seconds: elapsed(), waiting: waiting)
                if ContinuousClock.now - lastReport > .milliseconds(200) {
                    report(.working(report(of: outline, [:], pace)))
                }
            }
            let isEvaluated = training.evaluateEvery > 0 && state.iteration % training.evaluateEvery == 0 && !isLast
            let isKept = state.iteration % training.checkpointEvery == 0 && !isLast
            if isEvaluated || isKept {
                // What both would wait for are steps.
                let start = Date()
                try context.queue.finish()
                pace.finish(seconds: Date().timeIntervalSince(start))
            }
            if isEvaluated {
                keepTimes(of: name, &pace)
                try evaluate()
            }
            if isKept {
                keepTimes(of: name, &pace)
                try saveCheckpoint()
            }
        }
        let start = Date()
        try context.queue.finish()
        pace.finish(seconds: Date().timeIntervalSince(start))
        keepTimes(of: name, &pace)
        state.bytes[name.rawValue] = network.executor.byteCount
    }

    private func report(of outline: PhaseOutline, _ losses: [String: Double], _ pace: Pace) -> StepReport {
        lastReport = .now
        let names = experiment.tasks.map(\.name) + [StepGraphs.totalName]
        return StepReport(
            phase: outline.phase.rawValue, iteration: state.iteration, total: outline.iterations,
            losses: names.compactMap { name in losses[name].map { (name: name, value: $0) } },
            imagesPerSecond: pace.imagesPerSecond, waitShare: pace.waitShare,
            secondsLeft: pace.secondsPerStep * Double(outline.iterations - state.iteration),
            runSecondsLeft: runSecondsLeft(pace, outline))
    }

    /// Scores the network between two steps; where the process is to stop, that is left to whoever goes on.
    private func evaluate() throws {
        state.isEvaluationDue = true
        _ = try validate()
        state.isEvaluationDue = false
    }

    private func keepTimes(of phase: Phase, _ pace: inout Pace) {
        state.seconds[phase.rawValue, default: 0] += pace.takeElapsed()
        state.dataWaits[phase.rawValue, default: DataWait()].add(pace.takeWait())
    }

    /// Why a machine's memory does not hold the batches of a step, nil where it may: one is trained on while two are
    /// made.
    ///
    /// - Parameters:
    ///   - shape: of a batch.
    ///   - tasks: with a label each, of one number for each pixel.
    ///   - most: bytes of memory.
    static func refusal(of shape: BatchShape, tasks: Int, memory most: Int) -> InputError? {
        let (pixels, held) = (shape.count * shape.height * shape.width, 3)
        let bytes = held * pixels * 4 * (3 + tasks)
        guard bytes > most else { return nil }
        func mega(_ bytes: Int) -> String { readable(Double(bytes) / 1e6) }
        let size = dimensions(height: shape.height, width: shape.width)
        return InputError(
            file: "memory of this machine",
            found: "\(held) batches at a time of \(shape.count) images of \(size) pixels, \(mega(bytes)) MB",
            expected: "at most \(mega(most)) MB: lower training.batch or dataset.crop")
    }

    /// Says what memory the phase plans for.
    private func reportMemory(_ name: Phase, _ phase: any TrainingPhase) throws {
        let planned = try PlannedMemory(
            phase.kinds.map {
                experiment.loweredGraph($0, experiment.trainingShape, family: network.executor.library.family)
            },
            besides: Dictionary(uniqueKeysWithValues: experiment.catalog.specs.map { ($0.name, $0.storedShape) }))
        func mega(_ bytes: Int) -> String { readable(Double(bytes) / 1e6) }
        report(
            .notice(
                "\(name.rawValue) plans at most \(mega(planned.total)) MB on the device for its training steps: "
                    + "\(mega(planned.arena)) of activations and gradients, "
                    + "\(mega(planned.tensors + planned.derived)) of parameters, optimiser state and inputs"))
        let device = network.executor.context.device
        guard planned.total > device.globalMemoryBytes else { return }
        report(
            .notice(
                "\(mega(planned.total)) MB are more than the \(mega(device.globalMemoryBytes)) MB of \(device.name): "
                    + "where it runs out, lower training.batch, dataset.crop or model.width, or set "
                    + "training.recompute"))
    }

    // MARK: - The objective

    /// Takes up the mean losses of an epoch that has ended, where the objective looks at them: one pass over the
    /// largest of the phase's splits.
    private func keepLosses(_ outline: PhaseOutline) throws {
        guard settings.objective.readsHistory else { return }
        let images = outline.sources.map { datasets.longestSplits[$0.split].count }.max() ?? 0
        let epoch = max(1, images / experiment.configuration.training.batch)
        guard state.iteration % epoch == 0 else { return }
        state.losses.add(try network.takeMeanLosses())
    }

    /// Of the objective, the weights that the step's losses had from the host, by task, and by name what it has learned
    /// with the step; nil without either.
    private func objectiveValues(
        _ step: PhaseStep, _ losses: [String: Double], _ history: LossHistory
    ) throws -> JSONValue? {
        let tasks = experiment.tasks.map(\.name)
        guard tasks.contains(where: { losses[$0] != nil }) else { return nil }
        var values: [String: JSONValue] = [:]
        if let given = hostWeights(step, losses, history) {
            let present = zip(tasks, given).filter { losses[$0.0] != nil }
            values["weights"] = .object(Dictionary(uniqueKeysWithValues: present.map { ($0, .number($1)) }))
        }
        let learned = catalog.specs.filter { $0.group == .objective }.map(\.name)
        if !learned.isEmpty {
            let lists = try read(learned).map { JSONValue.array($0.map { .number(Double($0)) }) }
            values["learned"] = .object(Dictionary(uniqueKeysWithValues: zip(learned, lists)))
        }
        return values.isEmpty ? nil : .object(values)
    }

    /// The weights that the host has given all tasks for a step, if any.
    private func hostWeights(
        _ step: PhaseStep, _ losses: [String: Double], _ history: LossHistory
    ) -> [Double]? {
        let tasks = experiment.tasks.map(\.name)
        let present = tasks.indices.filter { losses[tasks[$0]] != nil }
        return settings.objective.weights(present, of: tasks.count, state: step.state, history: history)
    }

    // MARK: - The log

    /// Names images that are left out because they cannot be decoded, each once in a run.
    func noteSkipped(_ reasons: [String]) throws {
        for reason in reasons where skipped.insert(reason).inserted {
            var event = event("skip")
            event["reason"] = .string(reason)
            event["skipped"] = .integer(skipped.count)
            try append(event)
            report(.notice("left out, \(skipped.count) by now: \(reason)"))
        }
    }

    private func logStep(
        _ step: PhaseStep, _ plan: Plan?, _ losses: [String: Double], _ history: LossHistory, pace: Pace,
        carriers: [String: JSONValue]
    ) throws {
        var event = event("step")
        func numbers(_ values: [String: Double]) -> JSONValue { .object(values.mapValues { .number($0) }) }
        event["loss"] = numbers(losses)
        if let plan {
            let (terms, regularisers) = try network.parts(
                of: plan, losses: losses, weights: hostWeights(step, losses, history))
            if !terms.isEmpty { event["weighted_loss"] = numbers(terms) }
            if !regularisers.isEmpty { event["regularisers"] = numbers(regularisers) }
            event["learning_rate"] = numbers(rates(step, plan))
        }
        if let values = try objectiveValues(step, losses, history) { event["objective"] = values }
        event[EventLog.imagesPerSecond] = .number((pace.imagesPerSecond * 100).rounded() / 100)
        if let share = pace.waitShare { event[EventLog.dataWait] = .number((share * 1e4).rounded() / 1e4) }
        event.merge(carriers) { $1 }
        event.merge(step.facts) { $1 }
        event.merge(try currentPhase().learned()) { $1 }
        try append(event)
    }

    /// Rates of the groups that a step moves, by group.
    private func rates(_ step: PhaseStep, _ plan: Plan) -> [String: Double] {
        network.groups(movedBy: plan).reduce(into: [:]) { rates, group in
            // As a person would write the device's float.
            rates[group.rawValue] = Double("\(step.state.rates[catalog.slot(of: group)]?.learningRate ?? 0)")
        }
    }
}
