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

    /// The phase that runs, or ran last; its place among the phases of the run, from 1; and how many these are.
    package let phase: String?, phaseNumber: Int?, phases: Int
    /// Steps of the phase that are done, and all of them.
    package let iteration: Int, iterations: Int?
    /// What is done once the run's own phases are over; nil before, and where nothing is left to do.
    package let part: Part?
    /// Whether all is done that its configuration asks for, comparisons included.
    package let isFinished: Bool
    /// The runs that belong to it, there or not; of budgets that have come to one policy, one.
    package let parts: [SideRuns.Kind]
    /// Its own phases, but for those that results are compared with.
    let judged: [String]

    /// - Parameters:
    ///   - run: opened.
    ///   - configuration: of the run.
    /// - Throws: `InputError` if the log cannot be read.
    package init(_ run: RunDirectory, _ configuration: ExperimentConfiguration) throws {
        try self.init(run, configuration, EventLog.Lines(run.log))
    }

    init(_ run: RunDirectory, _ configuration: ExperimentConfiguration, _ log: EventLog.Lines) throws {
        let method = configuration.method.chosen
        var settings = try configuration.methodSettings()
        // Who lists runs says what is wrong with a line.
        let logged = try? log.last()
        let kept = run.latestPlace
        func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }
        // What others are there for is done by the run itself only under a policy that was given.
        settings.isPolicyGiven = method.phases(settings).filter(\.isElsewhere).map(\.phase.rawValue).contains {
            $0 == logged?.phase || $0 == kept?.phase
                || exists(run.checkpoints.appendingPathComponent("\($0).safetensors"))
        }
        let outlines = method.phases(settings).filter { $0.iterations > 0 && !$0.isElsewhere }
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
        judged = outlines.filter { $0.phase != method.reference }.map(\.phase.rawValue)

        // Phases that do not build on one another may have been taken in any order.
        let isLast =
            number == outlines.count - 1
            || outlines.allSatisfy {
                exists(run.checkpoints.appendingPathComponent("\($0.phase.rawValue).safetensors"))
            }
        let isOver = isLast && iterations == now.iteration && exists(run.summary)
        let areWanted = SideRuns.areWanted(configuration, isPart: run.isPart)
        let kinds = SideRuns.kinds(configuration, isPolicyGiven: settings.isPolicyGiven)
        parts = areWanted ? run.networks(of: kinds).filter { $0.kind == $0.trained }.map(\.kind) : []
        let isCompared = !areWanted || exists(run.tradeoff)
        isFinished = isOver && isCompared
        part = isOver ? try Self.part(of: run, configuration, parts, isCompared: isCompared) : nil
    }

    /// The first that is worked on, or has not come to its end.
    private static func part(
        of run: RunDirectory, _ configuration: ExperimentConfiguration, _ kinds: [SideRuns.Kind], isCompared: Bool
    ) throws -> Part? {
        for (index, kind) in kinds.enumerated() {
            let folder = run.url.appendingPathComponent(kind.folder)
            let isHeld = RunDirectory.isHeld(folder)
            if isCompared, !isHeld { continue }
            let side = try? RunDirectory(folder, mode: .read)
            let standing = try side.map { try RunStanding($0, $0.readConfiguration()) }
            if let standing, standing.isFinished, !isHeld { continue }
            return Part(
                name: kind.activity, folder: kind.folder, number: index + 1, count: kinds.count,
                iteration: standing?.iteration ?? 0,
                iterations: standing?.iterations ?? configuration.training.retrain.iterations)
        }
        return nil
    }
}
