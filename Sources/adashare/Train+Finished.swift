import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareSupport
import AdaShareTraining
import Foundation

/// What a run is asked for, and what is said of one that has done all of that.
extension Train {
    /// What the options ask for, or what the run was asked for before where they say nothing; nil for all phases.
    func asked(of experiment: Experiment) throws -> RunDirectory.Asked? {
        if let phases {
            let given = try policy.map(experiment.selection)
            return phases.phases.map { RunDirectory.Asked(phases: $0, policy: given) }
        }
        guard resume, let run = try? RunDirectory(place, mode: .read), let known = try run.readAsked() else {
            return nil
        }
        guard let policy = known.policy else { return known }
        // One that does not fit would end the program where it is used.
        let checked = try SelectionPolicy.parse(
            Data(JSONText.line(policy).utf8), file: "\(RunDirectory.Entry.asked.url(in: place).path), policy",
            tasks: experiment.tasks.map(\.name), blocks: experiment.architecture.blocks.count)
        return RunDirectory.Asked(phases: known.phases, policy: checked)
    }

    /// Prints the results of a run again that has come to its end; what may change of it is taken over.
    ///
    /// - Returns: false where there is something to do.
    func showFinished(
        _ experiment: Experiment, _ asked: RunDirectory.Asked?, on console: Console
    ) throws -> Bool {
        guard let read = try? RunDirectory(place, mode: .read), try isFinished(read, experiment, asked) else {
            return false
        }
        let outlines = experiment.method.phases(experiment.methodSettings)
        do {
            let run = try RunDirectory(place, mode: .resume)
            let changes = try run.prepare(experiment.configuration)
            try run.keep(asked, of: outlines)
            if !changes.isEmpty {
                console.say(.notice, "changed since the run began: " + changes.map(\.text).joined(separator: "; "))
            }
            if let text = try run.mendLog() { console.say(.notice, text) }
        }
        // A file that is damaged is written again.
        guard let shown = try? ShownRun(place, name: place.standardizedFileURL.lastPathComponent) else { return false }
        let kept = try read.readAsked()
        let others = outlines.filter {
            $0.companion == nil && $0.iterations > 0 && !(kept?.phases.contains($0.phase) ?? true)
        }
        let rest =
            others.isEmpty || kept?.policy != nil
            ? "" : "; --phases all goes on with " + others.map(\.phase.rawValue).joined(separator: ", ")
        console.say(.notice, "the run in \(place.relativePath) is finished, nothing is left to do\(rest)")
        for error in shown.report.leftOut { console.say(.notice, "left out: \(error)") }
        try console.print(shown.text)
        console.say(.info, visible(Self.closing(of: place, shown.report.tradeoff)))
        return true
    }

    private func isFinished(
        _ run: RunDirectory, _ experiment: Experiment, _ asked: RunDirectory.Asked?
    ) throws -> Bool {
        guard let standing = try? RunStanding(run, experiment.configuration, asked: asked), standing.isFinished else {
            return false
        }
        // Whoever has another policy in mind hears of it.
        guard let given = asked?.policy else { return true }
        let known = try? SelectionPolicy.read(
            run.policy, tasks: experiment.tasks.map(\.name), blocks: experiment.architecture.blocks.count)
        return known?.tasks == given.tasks
    }

    /// Where results are, and what to do with them, in one line.
    static func closing(of folder: URL, _ tradeoff: Tradeoff?) -> String {
        let run = quoted(folder.relativePath)
        // The weights of policy learning are worth less than those that were retrained.
        let retrained = tradeoff?.points.first { $0.kind == .policy && $0.sameAs == nil && $0.folder != "." }
        let network = retrained.map { quoted("\(folder.relativePath)/\($0.folder)") } ?? run
        return "results in \(folder.relativePath); next: adashare show \(run), adashare report \(run), "
            + "adashare predict --run \(network) --output FOLDER IMAGE..."
    }
}
