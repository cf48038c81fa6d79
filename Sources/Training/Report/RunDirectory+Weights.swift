import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import Foundation

extension RunDirectory {
    /// What a person should know of the weights that a run has come to: of a run that is not finished which they are,
    /// of one whose policies are retrained in runs of their own where those lie; nil where there is nothing to know.
    ///
    /// - Parameters:
    ///   - files: the weights, as `results` names them.
    ///   - experiment: of the run, or of a part of its tasks.
    public func remark(onWeights files: [TensorFile], of experiment: Experiment) -> String? {
        let folders = retrainings(of: files, experiment).map(\.folder)
        let begun = folders.contains {
            FileManager.default.fileExists(atPath: url.appendingPathComponent($0).path)
        }
        let elsewhere =
            folders.isEmpty
            ? nil : "its policies \(begun ? "are" : "will be") retrained in \(folders.joined(separator: ", "))"
        // Whoever lists runs says what is wrong with a log.
        guard let standing = try? RunStanding(self, readConfiguration()), !standing.isFinished else {
            return elsewhere.map { "these are the weights of policy learning; \($0)" }
        }
        let place =
            standing.part?.text
            ?? standing.phase.map { phase in
                "\(phase), step \(standing.iteration)" + (standing.iterations.map { " of \($0)" } ?? "")
            }
        let weights = files.map { file in
            let name = checkpoints.lastPathComponent + "/" + URL(fileURLWithPath: file.file).lastPathComponent
            return "of \(file.metadata["stage"] ?? "a phase")"
                + (file.metadata["iteration"].map { " after step \($0)" } ?? "") + " (\(name))"
        }
        return "the run is not finished" + (place.map { " (\($0))" } ?? "") + ": these are the weights "
            + weights.joined(separator: ", ") + (elsewhere.map { "; \($0)" } ?? "")
    }

    /// The runs that retrain its policies, where its own weights are those of policy learning.
    private func retrainings(of files: [TensorFile], _ experiment: Experiment) -> [SideRuns.Kind] {
        guard files.contains(where: { $0.metadata["stage"] == experiment.method.learner?.rawValue }) else { return [] }
        let kinds = experiment.configuration.policy.budgets.map(SideRuns.Kind.budget)
        return networks(of: kinds).filter { $0.kind == $0.trained }.map(\.kind)
    }
}
