import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareFiles
import AdaShareGraph
import AdaShareLayers
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import AdaShareTuning
import Foundation

/// Runs the phases of a method on one device and writes a run directory.
///
/// Data flows one way: the phase decides what a step does, the plan cache gives its plan, a loader gives the batch, the
/// executor enqueues, and only the scalars due for logging come back.
public final class Trainer {
    /// What is trained, kept to what the device can compute.
    public let experiment: Experiment
    /// In the order of the experiment's sources.
    public let datasets: [any Dataset]
    /// The network on the device, with its weights as they are now.
    public let network: NetworkRuntime
    let run: RunDirectory
    let log: EventLog
    /// nil where the configuration wants none.
    private(set) var board: RunBoard?
    let checkpoints: CheckpointStore
    let evaluator: Evaluator
    /// Asked between steps, and within evaluations, whether the process is to stop.
    let stop: StopRequest?
    /// Since when the seconds of `state.elapsed` are still to be counted.
    private var workingSince = ContinuousClock.now
    /// What is known of how long phases take; nil before they are chosen.
    var forecast: RunForecast?
    /// When a step was last shown.
    var lastReport = ContinuousClock.now
    /// Runs as long as this one that come after it.
    var runsToCome = 0
    /// What the last checkpoint took.
    var checkpointSeconds = 0.0
    /// Whether it has been said what the initial weights are to the network.
    var hasSaidStart = false
    private let changes: [ConfigurationDifference]
    /// What the run that it belongs to calls it; nil for one of its own.
    private let part: String?
    /// Where the checkpoint on disk is.
    var saved: SavedPlace?
    let report: (ProgressEvent) -> Void
    /// Where the run stands: phase, iteration, what is finished, and the best scores.
    public var state: RunState
    /// The configuration, with the splits of the data sets.
    public private(set) var settings: MethodSettings
    /// Takes the launches of every step, where a profile is wanted.
    public var profile: ProfileRecorder?
    /// Parameters as they were last read, and which contents of their tensors that was.
    var knownValues: [String: (version: Int, values: [Float])] = [:]
    /// Whether the run has gone on from a checkpoint and taken no step since.
    public private(set) var isResumed = false
    /// The phase that runs, or ran last.
    private var current: (outline: PhaseOutline, phase: any TrainingPhase)?
    let environment: [String: String]
    /// Why images are left out: what the log has named already.
    var skipped: Set<String> = []
    /// Data set and index of what no process can read, of several.
    var knownUnreadable: Set<[Int]> = []

    /// Opens a new run, or the one in `run` at its last checkpoint.
    ///
    /// - Parameters:
    ///   - given: what is trained, as it was before it settled on a device.
    ///   - opened: the data sets, where `Experiment.openInputs` has opened them already.
    ///   - context: the device.
    ///   - family: kernel family; nil picks the device's, or the one a resumed run recorded.
    ///   - run: the folder, which gets configuration, log, checkpoints and results.
    ///   - search: how a new run's convolutions come to their algorithms; one that has recorded them keeps those.
    ///   - changes: what `run` says has changed in the configuration since it began.
    ///   - part: what the run that it belongs to calls it; nil for one of its own.
    ///   - stop: asked whether the process is to stop, for which `train` then leaves a checkpoint and throws `Stopped`.
    ///   - report: receives progress for people; never called from another thread.
    /// - Throws: what is wrong with data set, device, checkpoint or folder.
    public init(
        experiment given: Experiment, datasets opened: [any Dataset]? = nil, context: DeviceContext,
        family: KernelFamily? = nil, run: RunDirectory, search: AlgorithmSearchMode = .off,
        changes: [ConfigurationDifference] = [], part: String? = nil, stop: StopRequest? = nil,
        report: @escaping (ProgressEvent) -> Void
    ) throws {
        (self.changes, self.part) = (changes, part)
        self.run = run
        self.stop = stop
        // Of several processes none ends where the others do not.
        let isAlone = given.ranks?.count ?? 1 == 1
        if let stop, isAlone { context.isStopped = { stop.reason != nil } }
        self.report = report
        let outlines = given.method.phases(given.methodSettings)
        checkpoints = CheckpointStore(run: run, phases: outlines.map(\.phase), facts: given.configuration.facts)
        let saved = checkpoints.hasCheckpoint ? try checkpoints.load() : nil
        if saved == nil, try run.hasTrained() {
            throw InputError(
                file: run.checkpoints.path, found: "no latest.json, in a run whose log has steps",
                expected: "the checkpoints `train` wrote, or another --output for a new run")
        }
        datasets = try opened ?? given.makeDatasets()
        try run.keepClasses(of: datasets, given)
        settings = given.methodSettings
        settings.splits = datasets.longestSplits
        for (source, dataset) in zip(given.sources, datasets) {
            for notice in dataset.splits.notices + source.labelNotices(dataset) { report(.notice(notice)) }
        }
        evaluator = Evaluator(experiment: given, datasets: datasets, stop: isAlone ? stop : nil)

        let recorded = saved.flatMap { $0.training.metadata["kernel_family"] }.flatMap(KernelFamily.init(rawValue:))
        var session = try ExperimentSession.open(
            given, on: context, family: family ?? recorded,
            algorithms: .training(run, search: search, isContinued: saved != nil), report: report)
        environment = [
            "kernel_family": session.library.family.rawValue, "device": context.device.name,
            "driver": context.device.driverVersion, "arithmetic": session.experiment.arithmetic.rawValue,
        ]
        if given.method.countsBudgets(settings), given.configuration.policy.isTimed {
            session.experiment.partTimes = try run.partTimes(session, saved?.state, search: search, report: report)
        }
        experiment = session.experiment
        network = try session.makeNetwork()
        guard let first = outlines.first?.phase else { preconditionFailure("a method without phases") }
        state = saved?.state ?? RunState(phase: first)
        log = try EventLog(run.log)
        // A checkpoint that cannot be continued from leaves the log as it is.
        if let saved {
            try restore(saved)
            checkpoints.removeOthers(than: saved)
        }
        let (seen, damage) = (saved?.state.logOffset ?? 0, try log.setDamagedAside())
        let known = log.remains(of: damage?.offset(of: seen) ?? seen, after: globalStep, isKnown: damage != nil)
        let resumes = try log.events(after: known.offset).filter { $0["event"] == "resume" }
        try log.truncate(to: known.offset)
        if given.configuration.dataset.onError == .skip {
            skipped = Set(try log.events(after: 0).filter { $0["event"] == "skip" }.compactMap { $0["reason"]?.string })
        }
        // A run killed again before its next checkpoint still shows where it had continued.
        for event in resumes { try log.append(event) }
        if saved != nil {
            tell("resuming in phase \(state.phase.rawValue) after iteration \(state.iteration)")
            try reopenPhase()
        }
        for text in [damage?.text, known.loss].compactMap({ $0 }) { report(.notice(text)) }
        if given.configuration.training.tensorboard, given.ranks?.isFirst ?? true {
            let steps = outlines.reduce(0) { $0 + $1.iterations }
            board = RunBoard(run, experiment, nextStep: globalStep + 1, of: steps)
        }
        guard !changes.isEmpty else { return }
        report(.notice("changed since the run began: " + changes.map(\.text).joined(separator: "; ")))
        try run.store(given.configuration)
    }

    /// Says what has come of the run by now, which may be the same of several runs of one command.
    func tell(_ text: String) { report(.notice((part.map { "\($0): " } ?? "") + text)) }

    /// The first data set: the only one, where tasks have none of their own.
    public var dataset: any Dataset { datasets[0] }

    /// The same with the one data set of an experiment.
    public convenience init(
        experiment: Experiment, dataset: (any Dataset)?, context: DeviceContext, family: KernelFamily? = nil,
        run: RunDirectory, search: AlgorithmSearchMode = .off, report: @escaping (ProgressEvent) -> Void
    ) throws {
        try self.init(
            experiment: experiment, datasets: dataset.map { [$0] }, context: context, family: family, run: run,
            search: search, report: report)
    }

    private func restore(_ saved: CheckpointStore.Saved) throws {
        // Here, since a later phase may read them only in days.
        if let hash = saved.state.initialHash {
            let given = experiment.configuration.model.initialCheckpoint.map { URL(fileURLWithPath: $0) }
            let file = [run.initialWeights, given].compactMap { $0 }.first {
                FileManager.default.fileExists(atPath: $0.path)
            }
            if let file { try CheckpointStore.check(try TensorFile.read(file), hash) }
        }
        if let policy = saved.state.policy {
            // A policy that does not fit would end the program where it is used.
            _ = try SelectionPolicy.parse(
                Data(JSONText.line(policy).utf8), file: "\(saved.training.file), metadata.state.policy",
                tasks: experiment.tasks.map(\.name), blocks: experiment.architecture.blocks.count,
                allowsOthers: experiment.architecture.isPart)
        }
        isResumed = true
        self.saved = SavedPlace(saved.state)
        guard outlines.contains(where: { $0.phase == state.phase }) else {
            throw InputError(
                file: saved.training.file, place: "state.stage", found: state.phase.rawValue,
                expected: "a phase of method \(type(of: experiment.method).kind): "
                    + outlines.map(\.phase.rawValue).joined(separator: ", "))
        }
        try checkNumbers(of: saved)
        for (key, now) in environment where saved.training.metadata[key] ?? now != now {
            report(
                .notice(
                    "\(key) was \(saved.training.metadata[key] ?? "unknown"), is \(now): the result can differ in its "
                        + "last bits"))
        }
        try network.load(saved.model)
        for entry in saved.training.ordered where entry.name.hasPrefix(OptimizerState.prefix) {
            let values = try saved.training.floats(entry.name)
            try network.restoreOptimizerState(entry.name, values, file: saved.training.file)
        }
        for (name, order) in try permutations() {
            let stored = try saved.training.integers("permutation/\(name)")
            guard stored == order.map(Int64.init) else {
                throw InputError(
                    file: run.url.path, found: "split \(name) with other images than when the run was started",
                    expected: "the same data set")
            }
        }
    }

    /// Refuses a state with numbers that no run comes to: they would end the program where they are used.
    private func checkNumbers(of saved: CheckpointStore.Saved) throws {
        func fail(_ place: String, _ found: String, _ expected: String) -> InputError {
            InputError(file: saved.training.file, place: "state.\(place)", found: found, expected: expected)
        }
        let (state, steps) = (saved.state, iterations(of: saved.state.phase))
        guard 0...steps ~= state.iteration else {
            throw fail("iteration", "\(state.iteration)", "from 0 to the \(steps) steps of \(state.phase.rawValue)")
        }
        let others = [state.weightsIteration].compactMap { $0 } + state.bestIteration.values + state.bestLeftOut.values
        if let wrong = others.first(where: { !(0...Int(Int32.max) ~= $0) }) {
            throw fail("bestIteration", "\(wrong)", "a number of steps")
        }
        let means = [state.losses.last, state.losses.before].compactMap { $0?.count }
        if let wrong = means.first(where: { $0 != experiment.tasks.count }) {
            throw fail("losses", "\(wrong) means", "\(experiment.tasks.count), one for each task")
        }
        if let wrong = state.seconds.values.first(where: { !(0...1e12 ~= $0) })
            ?? (0...1e12 ~= state.elapsed ? nil : state.elapsed)
        {
            throw fail("seconds", "\(wrong)", "seconds that have passed")
        }
    }

    // MARK: - Phases

    /// The method's phases.
    var outlines: [PhaseOutline] { experiment.method.phases(settings) }

    /// Steps of a phase; 0 for one that the method has not.
    func iterations(of phase: Phase) -> Int { outlines.first { $0.phase == phase }?.iterations ?? 0 }

    /// Has retraining use a policy that is not learned here.
    ///
    /// - Throws: `InputError` if this run has learned one, or has begun to retrain under another one.
    /// - Precondition: the policy fits the network.
    public func retrain(under given: SelectionPolicy) throws {
        try experiment.method.use(given, in: self)
        settings.isPolicyGiven = true
    }

    /// Runs the phases that are not finished yet.
    ///
    /// - Parameters:
    ///   - phases: which of the method's phases to run; nil for all.
    ///   - accepted: called before the first step, once it is known that these phases can be run.
    /// - Returns: the phases that ran or had run before.
    @discardableResult
    public func train(phases: Set<Phase>? = nil, accepted: () throws -> Void = {}) throws -> [Phase] {
        let asked = outlines.filter { outline in
            outline.iterations > 0 && phases?.contains(outline.companion ?? outline.phase) ?? true
        }.filter { outline in
            outline.companion.map { iterations(of: $0) > 0 } ?? true
        }
        let wanted = asked.filter { !$0.isElsewhere }
        try checkOrder(wanted)
        try experiment.method.prepare(asked.map(\.phase), in: self)
        try accepted()
        if isResumed {
            var event = event("resume")
            event["phases_finished"] = .array(state.finished.map { .string($0.rawValue) })
            if !changes.isEmpty {
                event["changed"] = .object(
                    Dictionary(
                        changes.map { ($0.path, .array([.string($0.before), .string($0.now)])) }
                    ) { first, _ in first })
            }
            try append(event)
        }
        if !wanted.isEmpty, wanted.allSatisfy({ state.finished.contains($0.phase) }) {
            report(.notice("every phase asked for is finished"))
        }
        if experiment.configuration.training.evaluateEvery > 0, datasets.all(\.validation) == nil {
            report(
                .notice(
                    "training.evaluate_every is without effect: there are no validation images, so each phase keeps "
                        + "its last weights"))
        }
        if wanted.contains(where: { !state.finished.contains($0.phase) }) { try checkRoom() }
        forecast = RunForecast(asked, sides: sideRuns)
        for outline in wanted where !state.finished.contains(outline.phase) {
            announce(outline)
            let isContinued = isResumed && state.phase == outline.phase
            if !isContinued {
                state.phase = outline.phase
                state.iteration = 0
                state.weightsIteration = nil
                state.losses = LossHistory()
                try network.beginPhase()
            }
            let phase = try experiment.method.begin(outline, in: self)
            current = (outline, phase)
            if !isContinued { try enter(outline, phase) }
            try compareStart()
            isResumed = false
            try complete(outline, phase)
        }
        if outlines.allSatisfy({ $0.iterations == 0 || $0.isElsewhere || state.finished.contains($0.phase) }) {
            try board?.succeed()
        }
        return state.finished
    }

    /// The phase of the state; begun without a step where it has not run in this process.
    func currentPhase() throws -> any TrainingPhase {
        if let current, current.outline.phase == state.phase { return current.phase }
        guard let outline = outlines.first(where: { $0.phase == state.phase }) else {
            preconditionFailure("no phase \(state.phase.rawValue)")
        }
        let phase = try experiment.method.begin(outline, in: self)
        current = (outline, phase)
        return phase
    }

    /// Refuses phases that would throw away work of an earlier call.
    private func checkOrder(_ wanted: [PhaseOutline]) throws {
        if isResumed, !state.finished.contains(state.phase), !wanted.contains(where: { $0.phase == state.phase }) {
            throw InputError(
                file: run.url.path,
                found: "phase \(state.phase.rawValue) unfinished at iteration \(state.iteration)",
                expected: "--phases that include it, so that it can be finished first")
        }
        func place(_ phase: Phase) -> Int { outlines.firstIndex { $0.phase == phase } ?? 0 }
        var done = state.finished.map { (place: place($0), what: "phase \($0.rawValue) finished") }
        if isResumed, !state.finished.contains(state.phase), state.iteration > 0 {
            done.append((place(state.phase), "phase \(state.phase.rawValue) begun"))
        }
        if let elsewhere = outlines.firstIndex(where: \.isElsewhere),
            let part = RunDirectory.parts(in: run.url).first(where: { part in
                (try? RunDirectory(part.url, mode: .read))?.latestPlace.map { $0.iteration > 0 } ?? false
            })
        {
            done.append((elsewhere, "\(part.name) begun"))
        }
        for phase in wanted.filter({ !$0.isIndependent }).map(\.phase) where !state.finished.contains(phase) {
            guard let later = done.first(where: { $0.place > place(phase) }) else { continue }
            throw InputError(
                file: run.url.path, found: "\(later.what), \(phase.rawValue) not run before it",
                expected: "--phases without \(phase.rawValue), or a new run")
        }
    }

    /// Ends a phase: its weights under a name of their own, its validation metrics, what the next phase needs.
    func finish(_ phase: any TrainingPhase) throws {
        try checkFinite()
        let result = try validate()
        if state.phase == outlines[0].phase, !phase.isScoredAgainstConstants {
            state.reference = result?.metrics(.exact)
        }
        let isBest = try restoreBest(state.phase)
        try phase.finish()
        try exportWeights(state.phase.rawValue, areFinal: isBest)
        state.finished.append(state.phase)
        state.iteration = iterations(of: state.phase)
        try saveCheckpoint()
    }

    /// Continues from the best weights of a phase, as they were scored, if validation chose others than the last.
    private func restoreBest(_ phase: Phase) throws -> Bool {
        guard let iteration = state.bestIteration[phase.rawValue], iteration != state.iteration else { return false }
        try network.load(try TensorFile.read(checkpoints.url("\(phase.rawValue)-best.safetensors")))
        state.weightsIteration = iteration
        tell("best \(phase.rawValue) checkpoint on validation: iteration \(iteration)")
        return true
    }

    /// - Throws: `NonFiniteLoss`; the last checkpoint is untouched.
    public func checkFinite() throws {
        if let failure = try network.failure() {
            throw NonFiniteLoss(
                phase: state.phase, iteration: failure.step + 1, task: failure.task,
                objectiveLearns: settings.objective.learningRate > 0)
        }
    }

    /// Appends an event to the log, and to what TensorBoard shows.
    func append(_ event: [String: JSONValue]) throws {
        try log.append(.object(event))
        try board?.add(.object(event))
    }

    /// What every line of the log has: what it is about, where the run stands, and when that was.
    func event(_ kind: String) -> [String: JSONValue] {
        [
            "event": .string(kind), "phase": .string(state.phase.rawValue), "iteration": .integer(state.iteration),
            "global_step": .integer(globalStep),
            EventLog.time: .milliseconds(Date().timeIntervalSince1970), EventLog.seconds: .milliseconds(elapsed),
        ]
    }

    /// Steps of all phases that the run has taken.
    var globalStep: Int {
        state.finished.filter { $0 != state.phase }.reduce(state.iteration) { $0 + iterations(of: $1) }
    }

    /// Seconds that the run has been worked on, in this process and those before.
    var elapsed: Double { state.elapsed + (ContinuousClock.now - workingSince) / .seconds(1) }

    /// Takes up the seconds since it was last called, for a checkpoint.
    func keepElapsed() {
        let now = elapsed
        (state.elapsed, workingSince) = (now, .now)
    }
}

extension JSONValue {
    /// Seconds, as far as clocks are worth reading.
    static func milliseconds(_ seconds: Double) -> JSONValue { .number((seconds * 1e3).rounded() / 1e3) }
}

/// A loss that became infinite or not a number.
public struct NonFiniteLoss: Error, CustomStringConvertible, Sendable {
    /// The phase of the step.
    public let phase: Phase
    /// Counted from 1.
    public let iteration: Int
    /// The first task whose loss it was, or `total` where all of them are finite and what is made of them is not.
    public let task: String
    /// Whether the weighting of the losses learns at a rate of its own.
    public let objectiveLearns: Bool

    public var description: String {
        let isTotal = task == StepGraphs.totalName
        return "\(phase.rawValue) step \(iteration): "
            + (isTotal ? "the tasks' losses are finite, but what is minimised" : "the loss of task \(task)")
            + " is not finite; nothing was updated since. The last checkpoint is kept; try a lower learning rate "
            + "(training.learning_rate"
            + (isTotal && objectiveLearns ? ", objective.learning_rate)" : ")")
    }
}
