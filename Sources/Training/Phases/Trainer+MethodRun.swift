import AdaShareConfiguration
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks
import Foundation

/// What a method may ask of its run.
extension Trainer: MethodRun {
    public var place: String { run.url.path }
    public var datasetName: String { datasets.names }
    public var catalog: ParameterCatalog { experiment.catalog }
    public var budgetCosts: PartCosts { experiment.budgetCosts }
    public var macs: PartCosts { experiment.trainingCost.parts }

    public func note(_ text: String) { report(.notice(text)) }

    public func log(_ kind: String, _ members: [String: JSONValue]) throws {
        try append(event(kind).merging(members) { $1 })
    }

    public func initialise(_ name: String?, keepingLogits: Bool) throws {
        let seed = UInt64(experiment.configuration.training.seed)
        try network.initialise(seed: name.map { seed ^ Philox.nameHash($0) } ?? seed, keepingLogits: keepingLogits)
        guard let path = experiment.configuration.model.initialCheckpoint else { return }
        let kept = run.initialWeights
        let isKept = FileManager.default.fileExists(atPath: kept.path)
        let weights = try TensorFile.read(isKept ? kept : URL(fileURLWithPath: path))
        try CheckpointStore.check(weights, state.initialHash)
        if !isKept {
            try AtomicFile.write(
                try Data(contentsOf: URL(fileURLWithPath: weights.file), options: .mappedIfSafe), to: kept)
        }
        state.initialHash = weights.contentHash
        if !hasSaidStart { note("initial weights \(path): \(try network.summary(ofInitial: weights))") }
        hasSaidStart = true
        try network.load(weights, partial: true)
    }

    public var hasValidation: Bool { datasets.all(\.validation) != nil }

    public func resetOptimisers() throws { try network.beginPhase() }

    public func load(weightsOf phase: Phase) throws {
        try network.load(try TensorFile.read(checkpoints.url("\(phase.rawValue).safetensors")))
    }

    public func read(_ parameters: [String]) throws -> [[Float]] {
        let store = network.executor.store
        return try parameters.map { name in
            let version = store.version(name)
            if let known = knownValues[name], known.version == version { return known.values }
            guard let spec = catalog[name] else { preconditionFailure("no parameter \(name)") }
            let values = try network.read(spec)
            knownValues[name] = (version, values)
            return values
        }
    }

    public func write(_ policy: SelectionPolicy?, named others: [String: SelectionPolicy]) throws {
        if !others.isEmpty { try run.makePolicies() }
        for (name, policy) in others {
            // It may come out of a file.
            guard !name.contains("/") else {
                throw InputError(
                    file: run.url.path, place: "policies", found: "'\(name)'", expected: "the name of a budget")
            }
            try policy.write(to: run.policy(of: name))
        }
        try policy?.write(to: run.policy)
    }

    public func scores(of policies: [DiscretePolicy], recalibrated: Bool) throws -> [Double]? {
        guard let reference = state.reference, let splits = datasets.all(\.validation) else { return nil }
        let weights = recalibrated ? try network.checkpoint() : nil
        let scores = try policies.map { candidate in
            if ranks == nil { try stop?.check() }
            if weights != nil { try recalibrate(candidate) }
            let result = try evaluator.evaluate(network, policy: candidate, splits: splits)
            if let weights { try network.load(weights) }
            let score = result.score(over: reference) ?? -.infinity
            try same("\(score)", as: "score of a policy")
            return score
        }
        // Recalibration left optimiser state behind, and the phase is over.
        if weights != nil { try network.beginPhase() }
        return scores
    }

    /// Has batch norms forget the statistics of what was mixed or drawn for those of a policy: training steps under it
    /// that move nothing else.
    private func recalibrate(_ policy: DiscretePolicy) throws {
        let loaders = try experiment.loaders(
            datasets, split: .train, phase: "\(state.phase.rawValue)/recalibration", startStep: 0)
        var now = try currentPhase().step(state.iteration - 1).state
        now.holdWeights()
        for step in 0..<Self.recalibrationSteps {
            now.step = UInt32(step)
            try network.step(.retrain(policy), batches: try loaders.next(), state: now)
        }
    }

    /// Statistics keep a tenth of the new batch in each step: after so many, 1 % is of before.
    private static let recalibrationSteps = 40

    /// Makes the best constant guess what scores are relative to, where scores choose between weights.
    func compareWithConstants() throws {
        guard state.reference == nil, experiment.configuration.training.evaluateEvery > 0,
            let splits = datasets.all(\.validation)
        else { return }
        let guesses = try evaluator.constantGuess(splits: datasets.map(\.splits.train))
        state.reference = try evaluator.evaluate(constants: guesses.mapValues { $0.prediction() }, splits: splits)
            .metrics(.exact)
    }

    /// Scores the network on the validation split and keeps the best checkpoint of the phase.
    ///
    /// - Returns: nil without a validation split of every data set.
    func validate() throws -> EvaluationResult? {
        guard let splits = datasets.all(\.validation) else { return nil }
        let images = splits.reduce(0) { $0 + $1.count }
        let phase = try currentPhase()
        let isLast = state.iteration == iterations(of: state.phase)
        let trained = phase.changesWeights ? try network.checkpoint() : nil
        if let trained { try network.load(phase.inferenceWeights(trained)) }
        let (result, start): (EvaluationResult, ContinuousClock.Instant)
        start = .now
        var pictures: EvaluationPictures?
        do {
            let policy = try phase.policy()
            if ranks?.isFirst ?? true, isLast || board?.wantsPictures(step: globalStep) ?? false {
                let isLearned = experiment.method.learner != nil && experiment.method.routing == nil
                pictures = EvaluationPictures(experiment, policy: isLearned ? policy : nil)
            }
            result = try evaluator.evaluate(
                network, policy: policy, splits: splits,
                progress: { self.report(.evaluating(phase: self.state.phase.rawValue, done: $0, total: images)) },
                observe: { pictures?.add($0, $1, $2) })
        } catch {
            // A checkpoint may follow.
            if let trained { try network.load(trained) }
            throw error
        }
        if let trained { try network.load(trained) }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        forecast?.secondsPerScoredImage = seconds / Double(max(1, images))
        report(
            .detail(
                "scored \(images) images of split validation in \(readable(seconds)) s, \(state.phase.rawValue) "
                    + "\(state.iteration)"))
        var event = event("evaluation")
        event["split"] = .string("validation")
        for (name, fact) in experiment.configuration.facts { event[name] = .string(fact) }
        if let skipped = result.skipped {
            event["skipped"] = .integer(skipped.count)
            try noteSkipped(skipped)
        }
        if let labelled = result.labelled { event["labelled"] = .object(labelled.mapValues { .integer($0) }) }
        if let paths = result.paths { event["paths"] = paths.json }
        event["metrics"] = JSONValue(result.tasks)
        let (name, training) = (state.phase.rawValue, experiment.configuration.training)
        let judges = phase.judges
        let reference = state.reference?.filter { judges?.contains($0.key) ?? true }
        let (score, leftOut) = reference.map { RelativeGain.ofFinite(result.metrics(.exact), over: $0) } ?? (nil, [])
        try same("\(score ?? .nan)", as: "score on validation")
        if let score { event["score"] = .number(score) }
        if !leftOut.isEmpty {
            event["left_out_of_score"] = .array(leftOut.map { .string($0) })
            let list = leftOut.joined(separator: ", ")
            tell("\(name) \(state.iteration): not a number, and left out of the score: \(list)")
        }
        try append(event)
        if let pictures { try board?.add(pictures, of: .object(event)) }
        // What results are compared with is not what a run comes to, nor what has been tried.
        if isLast, experiment.method.results(settings).contains(where: { $0.phase == state.phase }),
            let sheets = pictures?.sheets
        {
            try run.write(sheets, of: experiment)
        }

        let best = state.bestScore[name].map { ValidationScore(gain: $0, leftOut: state.bestLeftOut[name] ?? 0) }
        if let score, phase.isJudged(state.iteration), training.evaluateEvery > 0,
            best.map({ $0 < ValidationScore(gain: score, leftOut: leftOut.count) }) ?? true
        {
            state.bestScore[name] = score
            state.bestLeftOut[name] = leftOut.count
            state.bestIteration[name] = state.iteration
            try exportWeights("\(name)-best")
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
