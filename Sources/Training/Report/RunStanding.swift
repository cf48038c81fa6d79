import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareSupport
import Foundation

/// How far a run has come, as its folder has it.
package struct RunStanding: Sendable {
    /// A run that belongs to it, and is the next to be finished.
    package struct Part: Sendable, Encodable {
        /// What is done, such as `retraining at 0.6`.
        package let name: String
        /// From the run's.
        package let folder: String
        /// Its place among the runs that belong to the run, from 1, and how many these are.
        package let number, count: Int
        /// Steps that are done, and all of them.
        package let iteration, iterations: Int

        /// Such as `retraining at 0.6, 120 of 400`.
        package var text: String { "\(name), \(iteration) of \(iterations)" }
    }

    /// The phase that runs, or ran last; its place among the phases that were asked for, from 1; and how many these
    /// are.
    package let phase: String?, phaseNumber: Int?, phases: Int
    /// Steps of the phase that are done, and all of them.
    package let iteration: Int, iterations: Int?
    /// What is done once the run's own phases are over; nil before, and where nothing is left to do.
    package let part: Part?
    /// What was done last, where that was the last of the runs that belong to it.
    package let lastPart: Part?
    /// Whether all is done that was asked for, comparisons included.
    package let isFinished: Bool
    /// The runs that belong to it, there or not; of budgets that have come to one policy, one.
    package let parts: [SideRuns.Kind]
    /// Its own phases that may end with what the run comes to.
    let judged: [String]

    /// As far as the run was asked for.
    ///
    /// - Parameters:
    ///   - run: opened.
    ///   - configuration: of the run.
    /// - Throws: `InputError` if the log cannot be read, or what was asked for.
    package init(_ run: RunDirectory, _ configuration: ExperimentConfiguration) throws {
        try self.init(run, configuration, asked: run.readAsked())
    }

    /// - Parameters:
    ///   - run: opened.
    ///   - configuration: of the run.
    ///   - asked: what the run is for; nil for all that the configuration describes.
    /// - Throws: `InputError` if the log cannot be read.
    package init(
        _ run: RunDirectory, _ configuration: ExperimentConfiguration, asked: RunDirectory.Asked?
    ) throws {
        try self.init(run, configuration, asked: asked, EventLog.Lines(run.log))
    }

    init(
        _ run: RunDirectory, _ configuration: ExperimentConfiguration, asked: RunDirectory.Asked?, _ log: EventLog.Lines
    ) throws {
        let method = configuration.method.chosen
        var settings = try configuration.methodSettings()
        // Who lists runs says what is wrong with a line.
        let logged = log.lastPlace
        let kept = run.latestPlace
        func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }
        func isAsked(_ phase: Phase) -> Bool { asked?.phases.contains(phase) ?? true }
        // What others are there for is done by the run itself only under a policy that was given.
        settings.isPolicyGiven =
            asked?.policy != nil
            || method.phases(settings).filter(\.isElsewhere).contains {
                $0.phase.rawValue == logged?.phase || $0.phase.rawValue == kept?.phase || run.hasFinished($0.phase)
            }
        let outlines = method.phases(settings).filter {
            $0.iterations > 0 && !$0.isElsewhere && isAsked($0.companion ?? $0.phase)
        }
        func place(_ phase: String?) -> Int? { outlines.firstIndex { $0.phase.rawValue == phase } }
        var now = (phase: logged?.phase ?? outlines.first?.phase.rawValue, iteration: logged?.iteration ?? 0)
        // A checkpoint may be further than what was logged.
        if let kept {
            let (mine, other) = (place(kept.phase) ?? -1, place(now.phase) ?? -1)
            if mine > other || mine == other && kept.iteration > now.iteration { now = (kept.phase, kept.iteration) }
        }
        let number = place(now.phase)
        (phase, iteration, phases) = (now.phase, now.iteration, outlines.count)
        (phaseNumber, iterations) = (number.map { $0 + 1 }, number.map { outlines[$0].iterations })
        let results = method.results(settings).map(\.phase)
        judged = outlines.map(\.phase).filter(results.contains).map(\.rawValue)

        // Phases that do not build on one another may have been taken in any order, and others been asked for since.
        let areOver = !outlines.isEmpty && outlines.allSatisfy { run.hasFinished($0.phase) }
        let isAtEnd =
            number.map { ($0 == outlines.count - 1 || areOver) && outlines[$0].iterations == now.iteration }
            ?? (areOver && now.phase.map { run.hasFinished(Phase(rawValue: $0)) } ?? true)
        let isOver = isAtEnd && exists(run.summary)
        let areWanted = SideRuns.areWanted(configuration, isPart: run.isPart) && isAsked(.retrain)
        let kinds = SideRuns.kinds(configuration, isPolicyGiven: settings.isPolicyGiven)
        parts = areWanted ? run.networks(of: kinds).filter { $0.kind == $0.trained }.map(\.kind) : []
        let (steps, count) = (configuration.training.retrain.iterations, parts.count)
        let sides = isOver ? parts.enumerated().map { Side(of: run, $1, number: $0 + 1, of: count, steps: steps) } : []
        let next = sides.first { $0.isHeld || !$0.isFinished }?.part
        isFinished = isOver && next == nil && (!areWanted || exists(run.tradeoff))
        (part, lastPart) = (next, next == nil ? sides.last?.part : nil)
    }

    /// A run that belongs to another one, there or not.
    private struct Side {
        let part: Part
        let isHeld, isFinished: Bool

        /// - Parameter steps: of its only phase.
        init(of run: RunDirectory, _ kind: SideRuns.Kind, number: Int, of count: Int, steps: Int) {
            let folder = run.url.appendingPathComponent(kind.folder)
            let own = try? RunDirectory(folder, mode: .read)
            func done(_ place: (phase: String, iteration: Int)?) -> Int {
                place?.phase == Phase.retrain.rawValue ? place?.iteration ?? 0 : 0
            }
            isHeld = own != nil && RunDirectory.isHeld(folder)
            var iteration = done(own?.latestPlace)
            // Between two checkpoints its log is further.
            if let own, iteration < steps {
                iteration = max(iteration, done((try? EventLog.Lines(own.log))?.lastPlace))
            }
            let summary = RunDirectory.Entry.summary.url(in: folder).path
            isFinished = iteration >= steps && FileManager.default.fileExists(atPath: summary)
            part = Part(
                name: kind.activity, folder: kind.folder, number: number, count: count, iteration: iteration,
                iterations: steps)
        }
    }
}
