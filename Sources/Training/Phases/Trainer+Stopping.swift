import AdaShareDeviceLayer
import AdaShareMethods
import AdaShareSupport
import Foundation

/// Runs that end early because the process is to stop, and those that go on beyond their end.
extension Trainer {
    /// Has the phase that was last go on where it is longer now than when it ended.
    ///
    /// - Throws: `InputError` if it ended with other weights than its last, or is shorter now than what is done.
    func reopenPhase() throws {
        let (phase, total) = (state.phase, iterations(of: state.phase))
        if total < state.iteration, !state.finished.contains(phase) {
            throw InputError(
                file: run.configuration.path, place: "iterations of phase \(phase.rawValue)",
                found: "\(total), with \(state.iteration) done",
                expected: "at least as many")
        }
        guard total > state.iteration, let place = state.finished.firstIndex(of: phase) else { return }
        guard state.weightsIteration == nil, phase != experiment.method.learner else {
            let weights = checkpoints.url("\(phase.rawValue).safetensors").path
            throw InputError(
                file: run.configuration.path,
                found: "\(total) iterations of phase \(phase.rawValue), which has ended "
                    + "after \(state.iteration) with "
                    + (phase == experiment.method.learner ? "a policy" : "its best weights on validation"),
                expected: "as many as then; a new run starts from its weights with "
                    + "--set model.initial_checkpoint=\(weights)")
        }
        state.finished.remove(at: place)
    }

    /// Begins a phase: what it and its scores start from.
    func enter(_ outline: PhaseOutline, _ phase: any TrainingPhase) throws {
        do {
            try phase.enter()
            // Scores are relative to the end of the first phase; a run without it is measured against where it
            // starts.
            if phase.isScoredAgainstConstants {
                try compareWithConstants()
            } else if outline.phase != outlines[0].phase, state.reference == nil {
                state.reference = try validate()?.metrics(.exact)
            }
        } catch {
            throw stopped(error, "before the first step of phase \(outline.phase.rawValue)")
        }
        try saveCheckpoint()
    }

    /// Runs the rest of a phase and ends it. Where the process is to stop, the step at hand is the last one, and a
    /// checkpoint has it.
    func complete(_ outline: PhaseOutline, _ phase: any TrainingPhase) throws {
        var isStepping = true
        do {
            try runPhase(outline, phase)
            isStepping = false
            // What ends a phase scores and chooses, which may take long: it can be done again from here.
            try saveCheckpoint()
            try checkStop()
            try finish(phase)
        } catch {
            let place = "in phase \(outline.phase.rawValue) after iteration \(state.iteration) of \(outline.iterations)"
            let end = stopped(error, place)
            if end is Stopped, isStepping { try saveCheckpoint() }
            throw end
        }
    }

    /// What an error is where it only says that the process is to stop; itself where it says anything else.
    private func stopped(_ error: any Error, _ place: String) -> any Error {
        // Of several processes another one may have been asked to stop.
        if let stopped = error as? Stopped { return Stopped(reason: stopped.reason, place: place) }
        guard (error as? DeviceError)?.isStop ?? false, let reason = stop?.reason else { return error }
        return Stopped(reason: reason, place: place)
    }

    /// Has the process stop early enough before a time limit for the step at hand and a checkpoint.
    func reserveTime(step seconds: Double) { stop?.reserve(2 * (checkpointSeconds + seconds) + Self.spareSeconds) }

    /// For what is done beside them, such as ending the process.
    private static let spareSeconds = 0.5
}
