import AdaShareExperiments
import AdaShareMethods
import AdaShareOperators
import AdaShareSupport

/// What the phases of a run take beside one another, and what has been measured of it.
struct RunForecast {
    /// The phases that are asked for, in order.
    let outlines: [PhaseOutline]
    /// Runs that belong to the run and follow it.
    let sides: [SideRuns.Kind]
    /// Multiply-accumulates of a typical step of each phase; nil until they are counted.
    var work: [Phase: Double]?
    /// Seconds for each of them, in the phase that runs or ran last; nil before the first step.
    var secondsPerWork: Double?
    /// Seconds to score an image; nil before the first evaluation.
    var secondsPerScoredImage: Double?

    /// - Parameter asked: also those that stand for runs of their own.
    init(_ asked: [PhaseOutline], sides: [SideRuns.Kind]) {
        outlines = asked.filter { !$0.isElsewhere }
        self.sides = asked.contains { $0.phase == .retrain } ? sides : []
    }
}

extension Trainer {
    /// Says what phase begins or goes on.
    func announce(_ outline: PhaseOutline) {
        let place = (forecast?.outlines.firstIndex { $0.phase == outline.phase } ?? 0) + 1
        report(
            .phase(
                PhaseReport(
                    name: outline.phase.rawValue, number: place, count: forecast?.outlines.count ?? 1,
                    total: outline.iterations, meaning: outline.meaning)))
    }

    /// The runs that belong to the one with this configuration.
    var sideRuns: [SideRuns.Kind] {
        SideRuns.areWanted(experiment.configuration, isPart: run.isPart)
            ? SideRuns.kinds(experiment.configuration, isPolicyGiven: settings.isPolicyGiven) : []
    }

    /// Counts what steps of the phases to come are made of. Kinds that are unlike differ in how long they take for it;
    /// it is a guess until they run.
    private func countWork(_ forecast: RunForecast) -> [Phase: Double] {
        // Of one phase nothing is compared.
        guard forecast.outlines.count > 1 || !forecast.sides.isEmpty else { return [:] }
        var known: [StepKind: Double] = [:]
        func work(_ kind: StepKind) -> Double {
            if let known = known[kind] { return known }
            let count = Double(experiment.graph(kind, experiment.trainingShape).multiplyAccumulates)
            known[kind] = count
            return count
        }
        let policy = state.policy?.discrete(tasks: experiment.tasks.map(\.name))
        return outlines.filter { $0.iterations > 0 && !state.finished.contains($0.phase) }.reduce(into: [:]) {
            let (steps, _) = experiment.method.typicalSteps(of: $1, settings, policy: policy)
            $0[$1.phase] = steps.reduce(0) { $0 + $1.share * work($1.kind) }
        }
    }

    /// Seconds that the rest of the run may take, out of what its steps take now: phases, evaluations and checkpoints,
    /// and runs that belong to it. nil before there is a step to go by, and while the run is so young that it may be
    /// over before that is counted.
    func runSecondsLeft(_ pace: Pace, _ current: PhaseOutline) -> Double? {
        guard var forecast, pace.secondsPerStep > 0 else { return nil }
        if forecast.work == nil {
            guard elapsed > Self.shortestForecast else { return nil }
            forecast.work = countWork(forecast)
        }
        let work = forecast.work ?? [:]
        if let own = work[current.phase], own > 0 { forecast.secondsPerWork = pace.secondsPerStep / own }
        self.forecast = forecast
        let training = experiment.configuration.training
        func steps(_ phase: Phase) -> Double {
            guard phase != current.phase else { return pace.secondsPerStep }
            return (work[phase] ?? 0) * (forecast.secondsPerWork ?? 0)
        }
        let validation = Double((datasets.all(\.validation) ?? []).reduce(0) { $0 + $1.count })
        // A pass forward is a third of a step.
        let perImage = forecast.secondsPerScoredImage ?? pace.secondsPerStep / Double(3 * training.batch)
        func phase(_ outline: PhaseOutline, done: Int) -> Double {
            let left = Double(outline.iterations - done)
            func times(_ every: Int) -> Double {
                every > 0 ? Double(max(0, (outline.iterations - 1) / every - done / every)) : 0
            }
            return left * steps(outline.phase)
                + (times(training.evaluateEvery) + 1) * validation * perImage
                + (times(training.checkpointEvery) + 2) * checkpointSeconds
        }
        let later = forecast.outlines.drop { $0.phase != current.phase }.dropFirst()
        var seconds = phase(current, done: state.iteration)
        for outline in later where !state.finished.contains(outline.phase) { seconds += phase(outline, done: 0) }
        // In the end the results are scored, and what they are compared with.
        let scored = Double(datasets.scored.images.reduce(0) { $0 + $1.count })
        let reference = experiment.method.reference
        seconds += scored * perImage * (forecast.outlines.contains { $0.phase == reference } ? 2 : 1)
        let retraining = PhaseOutline(.retrain, iterations: training.retrain.iterations)
        for kind in forecast.sides { seconds += phase(retraining, done: 0) * kind.workShare + scored * perImage }
        return seconds + Double(runsToCome) * (elapsed + seconds)
    }

    /// Seconds.
    private static let shortestForecast = 2.0
}

extension SideRuns.Kind {
    /// What a step computes, as a share of the run's own.
    fileprivate var workShare: Double {
        switch self {
        case .budget: 1
        case .narrow(let factor): factor * factor
        }
    }
}
