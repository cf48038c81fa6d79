import Datasets
import DeviceLayer
import Files
import Foundation
import Graph
import Models
import Operators
import Support

/// Runs the phases of the method on one device and writes a run directory.
///
/// Data flows one way: the phase decides what a step does, the plan cache gives its plan, a loader gives the batch, the
/// executor enqueues, and only the scalars due for logging come back.
public final class Trainer {
    public let experiment: Experiment
    public let dataset: any Dataset
    public let network: NetworkRuntime
    let run: RunDirectory
    let log: EventLog
    let checkpoints: CheckpointStore
    let evaluator: Evaluator
    let report: (ProgressEvent) -> Void
    var state: RunState
    /// Takes the launches of every step, where a profile is wanted.
    public var profile: ProfileRecorder?
    /// The logits as they were last read, and which contents of their tensors that was.
    var knownLogits: (versions: [Int], values: [[Float]])?
    /// Read back when a run is resumed.
    private var isResumed = false
    /// Whether retraining is under a policy that was not learned here.
    private var isPolicyGiven = false
    private let environment: [String: String]

    /// Opens a new run, or the one in `run` at its last checkpoint.
    ///
    /// - Parameters:
    ///   - dataset: the data set, where `Experiment.openInputs` has opened it already.
    ///   - family: kernel family; nil picks the device's, or the one a resumed run recorded.
    ///   - search: how a new run's convolutions come to their algorithms; one that has recorded them keeps those.
    ///   - report: receives progress for people; never called from another thread.
    /// - Throws: what is wrong with data set, device, checkpoint or folder.
    public init(
        experiment given: Experiment, dataset opened: (any Dataset)? = nil, context: DeviceContext,
        family: KernelFamily? = nil, run: RunDirectory, search: AlgorithmSearchMode = .off,
        report: @escaping (ProgressEvent) -> Void
    ) throws {
        self.run = run
        self.report = report
        checkpoints = CheckpointStore(run: run, facts: given.configuration.facts)
        let saved = checkpoints.hasCheckpoint ? try checkpoints.load() : nil
        if saved == nil, try run.hasTrained() {
            throw InputError(
                file: run.checkpoints.path, found: "no latest.json, in a run whose log has steps",
                expected: "the checkpoints `train` wrote, or another --output for a new run")
        }
        dataset = try opened ?? given.makeDataset()
        for notice in dataset.splits.notices + given.labelNotices(dataset) { report(.notice(notice)) }
        evaluator = Evaluator(experiment: given, dataset: dataset)

        let recorded = saved.flatMap { $0.training.metadata["kernel_family"] }.flatMap(KernelFamily.init(rawValue:))
        var session = try ExperimentSession.open(
            given, on: context, family: family ?? recorded,
            algorithms: .training(run, search: search, isContinued: saved != nil), report: report)
        environment = [
            "kernel_family": session.library.family.rawValue, "device": context.device.name,
            "driver": context.device.driverVersion, "arithmetic": session.experiment.arithmetic.rawValue,
        ]
        let policy = given.configuration.policy
        if policy.isTimed, policy.hasBudget, given.configuration.training.policy.iterations > 0 {
            if let recorded = try run.readTimes(for: session.experiment) {
                session.experiment.partTimes = recorded
            } else if saved?.state.finished.contains(.policy) == true {
                report(.notice("\(run.times.path) is gone: what was planned with it is not compared"))
            } else {
                // They decide what policy learning is steered to, and nothing before it.
                guard saved == nil || saved?.state.phase == .warmup else {
                    throw InputError(
                        file: run.times.path, found: "no such file",
                        expected: "the times `train` wrote, which policy learning was begun with; or a new run")
                }
                let timer = PartTimer(session, mode: search, report: report)
                let times = try timer.times(given.trainingShape, policy.budgetFor)
                try run.write(times)
                session.experiment.partTimes = times
            }
        }
        experiment = session.experiment
        network = try session.makeNetwork()
        state = saved?.state ?? RunState(phase: .warmup)
        log = try EventLog(run.log)
        // A checkpoint that cannot be continued from leaves the log as it is.
        if let saved { try restore(saved) }
        let resumes = try log.events(after: saved?.state.logOffset ?? 0).filter { $0["event"] == "resume" }
        try log.truncate(to: saved?.state.logOffset ?? 0)
        // A run killed again before its next checkpoint still shows where it had continued.
        for event in resumes { try log.append(event) }
        if saved != nil {
            report(.notice("resuming in phase \(state.phase.rawValue) after iteration \(state.iteration)"))
        }
    }

    private func restore(_ saved: CheckpointStore.Saved) throws {
        isResumed = true
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

    /// Runs the phases that are not finished yet.
    ///
    /// - Parameter phases: which of warm-up, policy and retrain to run.
    /// - Returns: the phases that ran or had run before.
    @discardableResult
    public func train(phases: Set<Phase>) throws -> [Phase] {
        var wanted = Phase.allCases.filter { phases.contains($0) && iterations(of: $0) > 0 }
        if experiment.configuration.training.hardSharingBaseline && wanted.contains(.retrain) {
            wanted.append(.baseline)
        }
        // Several budgets are retrained in runs of their own, unless one policy was given.
        if !experiment.configuration.policy.budgets.isEmpty, !isPolicyGiven, wanted.contains(.retrain) {
            wanted.removeAll { $0 == .retrain }
            guard wanted.contains(.policy) || state.finished.contains(.policy) else {
                throw InputError(
                    file: run.url.path, found: "policy.budgets, and no policy that was learned",
                    expected: "--phases with policy (and training.policy.iterations above 0), or --policy for a "
                        + "retraining")
            }
        }
        try checkOrder(wanted)
        if wanted.contains(.policy), let warning = try curriculumWarning() { report(.notice(warning)) }
        if isResumed {
            var event = event("resume")
            event["phases_finished"] = .array(state.finished.map { .string($0.rawValue) })
            try log.append(.object(event))
        }
        if state.finished.contains(.policy) { try writePolicies() }
        if !wanted.isEmpty, wanted.allSatisfy(state.finished.contains) {
            report(.notice("every phase asked for is finished"))
        }
        for phase in wanted where !state.finished.contains(phase) {
            let isContinued = isResumed && state.phase == phase
            if !isContinued {
                state.phase = phase
                state.iteration = 0
                state.weightsIteration = nil
                try enter(phase)
                try saveCheckpoint()
            }
            isResumed = false
            try runPhase(phase)
            try finish(phase)
        }
        return state.finished
    }

    /// Has retraining use a policy that is not learned here.
    ///
    /// - Throws: `InputError` if this run has learned one, or has begun to retrain under another one.
    /// - Precondition: the policy fits the network.
    public func retrain(under given: SelectionPolicy) throws {
        if state.finished.contains(.policy) {
            throw InputError(
                file: run.url.path, found: "a policy that was learned in this run",
                expected: "a new run for another one")
        }
        if isResumed, let known = state.policy, known.tasks != given.tasks {
            throw InputError(
                file: run.url.path, found: "a retraining under another policy",
                expected: "the policy it was begun with, or a new run")
        }
        isPolicyGiven = true
        state.policy = given
        try given.write(to: run.policy)
        if let warning = experiment.trainingCost.parts.warning(about: given.discrete(tasks: taskNames)) {
            report(.notice(warning))
        }
    }

    /// Refuses phases that would throw away work of an earlier call.
    private func checkOrder(_ wanted: [Phase]) throws {
        if isResumed, !state.finished.contains(state.phase), !wanted.contains(state.phase) {
            throw InputError(
                file: run.url.path,
                found: "phase \(state.phase.rawValue) unfinished at iteration \(state.iteration)",
                expected: "--phases that include it, so that it can be finished first")
        }
        let order = Phase.allCases
        for phase in wanted where !state.finished.contains(phase) {
            if let later = state.finished.first(where: {
                order.firstIndex(of: $0) ?? 0 > order.firstIndex(of: phase) ?? 0
            }) {
                throw InputError(
                    file: run.url.path, found: "phase \(later.rawValue) finished, \(phase.rawValue) not run before it",
                    expected: "--phases without \(phase.rawValue), or a new run")
            }
        }
    }

    /// Steps of a phase.
    func iterations(of phase: Phase) -> Int {
        let training = experiment.configuration.training
        return switch phase {
        case .warmup: training.warmup.iterations
        case .policy: training.policy.iterations
        case .retrain, .baseline: training.retrain.iterations
        }
    }

    var taskNames: [String] { experiment.tasks.map(\.name) }
    var blocks: Int { experiment.architecture.blocks.count }
    var hardSharing: DiscretePolicy { .hardSharing(tasks: taskNames.count, blocks: blocks) }

    /// Prepares the network for a phase: weights, fresh optimisers.
    private func enter(_ phase: Phase) throws {
        let seed = UInt64(experiment.configuration.training.seed)
        try network.beginPhase()
        switch phase {
        case .warmup:
            try network.initialise(seed: seed)
            try loadInitialCheckpoint()
        case .policy:
            if !state.finished.contains(.warmup) {
                report(.notice("no warm-up has run: policy learning starts from the initial weights"))
                try network.initialise(seed: seed)
                try loadInitialCheckpoint()
            }
        case .retrain, .baseline:
            if phase == .retrain && state.policy == nil {
                report(.notice("no policy has been learned: retraining under hard sharing"))
                state.policy = SelectionPolicy.allSelected(tasks: taskNames, blocks: blocks)
            }
            // Retraining and its baseline start from the same weights; the learned logits stay.
            let learned = [Phase.policy, .warmup].first(where: state.finished.contains)
            if experiment.configuration.training.retrain.start == .learned, let learned {
                try network.load(try TensorFile.read(checkpoints.url("\(learned.rawValue).safetensors")))
            } else {
                if phase == .retrain, experiment.configuration.training.retrain.start == .learned {
                    report(.notice("no phase has learned weights: retraining starts from the initial ones"))
                }
                let isLearned = state.finished.contains(.policy)
                try network.initialise(seed: seed ^ Philox.nameHash("retrain"), keepingLogits: isLearned)
                try loadInitialCheckpoint()
            }
        }
        // Scores are relative to the end of warm-up; a run without one is measured against where it starts.
        if phase != .warmup, state.reference == nil { state.reference = try validate()?.metrics(.exact) }
    }

    private func loadInitialCheckpoint() throws {
        guard let path = experiment.configuration.model.initialCheckpoint else { return }
        try network.load(try TensorFile.read(URL(fileURLWithPath: path)), partial: true)
    }

    /// Ends a phase: its weights under a name of their own, its validation metrics, what the next phase needs.
    private func finish(_ phase: Phase) throws {
        try checkFinite()
        let result = try validate()
        if phase == .warmup { state.reference = result?.metrics(.exact) }
        try restoreBest(phase)
        if phase == .policy { try drawPolicies() }
        try exportWeights(phase.rawValue)
        state.finished.append(phase)
        state.iteration = iterations(of: phase)
        try saveCheckpoint()
    }

    /// Continues from the best checkpoint of a phase, if validation chose one.
    private func restoreBest(_ phase: Phase) throws {
        guard let iteration = state.bestIteration[phase.rawValue], iteration != state.iteration else { return }
        try network.load(try TensorFile.read(checkpoints.url("\(phase.rawValue)-best.safetensors")))
        state.weightsIteration = iteration
        report(.notice("best \(phase.rawValue) checkpoint on validation: iteration \(iteration)"))
    }

    /// The policy to validate a phase with.
    func currentPolicy() throws -> DiscretePolicy {
        switch state.phase {
        case .warmup, .baseline: hardSharing
        case .policy: try presentPolicy()
        case .retrain: state.policy?.discrete(tasks: taskNames) ?? hardSharing
        }
    }

    /// Stores everything needed to continue from here.
    func saveCheckpoint() throws {
        try checkFinite()
        try log.synchronize()
        state.logOffset = log.offset
        try checkpoints.save(
            network, state: state, policy: try recordedPolicy(), derived: try derivedState(),
            permutations: try permutations(), environment: environment)
    }

    /// Writes the weights under a name of their own, with the policy to use them with.
    func exportWeights(_ name: String) throws {
        try checkpoints.export(network, state: state, policy: try recordedPolicy(), name: name)
    }

    /// The policy a checkpoint of this moment is to be evaluated with; nil for every block.
    private func recordedPolicy() throws -> SelectionPolicy? {
        switch state.phase {
        case .warmup, .baseline: nil
        case .policy: try state.policy ?? SelectionPolicy(currentPolicy(), tasks: taskNames)
        case .retrain: state.policy
        }
    }

    /// - Throws: `NonFiniteLoss`; the last checkpoint is untouched.
    func checkFinite() throws {
        if let failure = try network.failure() {
            throw NonFiniteLoss(phase: state.phase, iteration: failure.step + 1, task: failure.task)
        }
    }

    func event(_ kind: String) -> [String: JSONValue] {
        ["event": .string(kind), "phase": .string(state.phase.rawValue), "iteration": .integer(state.iteration)]
    }
}

/// A loss that became infinite or not a number.
public struct NonFiniteLoss: Error, CustomStringConvertible, Sendable {
    public let phase: Phase
    /// Counted from 1.
    public let iteration: Int
    public let task: String

    public var description: String {
        "\(phase.rawValue) step \(iteration): the loss of task \(task) is not finite; nothing was updated since. "
            + "The last checkpoint is kept; try a lower learning rate (training.learning_rate)"
    }
}
