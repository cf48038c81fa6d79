import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareRanks
import AdaShareSupport
import Foundation

/// What the processes that train together have to agree on: each takes every step of the run, with its part of the
/// images, and decides the same.
extension Trainer {
    /// The processes; nil where there is one.
    var ranks: RankGroup? { experiment.ranks.flatMap { $0.count > 1 ? $0 : nil } }

    /// - Throws: ``Stopped`` if the process is to end, or another one is.
    func checkStop() throws { try experiment.check(stop) }

    /// What each process knows of a step before it is taken.
    private struct StepFacts: Codable {
        let stop: StopRequest.Reason?
        /// By data set.
        let skipped: [[String]]
        let labels: LabelCounts
    }

    /// Why images of a step are left out, and how many carry each label.
    ///
    /// - Throws: ``Stopped`` if one of several processes is to end.
    func facts(of batches: [Batch]) throws -> (skipped: [String], labels: LabelCounts) {
        let own = StepFacts(
            stop: stop?.reason, skipped: batches.map { $0.skipped.map(\.reason) }, labels: LabelCounts(batches))
        guard let ranks else { return (own.skipped.flatMap(\.self), own.labels) }
        let all = try ranks.gather(own)
        try throwFirst(all.map(\.stop))
        var labels = all[0].labels
        for other in all.dropFirst() { labels.add(other.labels) }
        // As one process reads them: all images of a data set, then the next.
        return (batches.indices.flatMap { source in all.flatMap { $0.skipped[source] } }, labels)
    }

    /// Makes sure that all processes are at one place of the run, with the same parameters.
    ///
    /// - Throws: `RankError` naming the first one that is not.
    func compareStart() throws {
        guard let ranks else { return }
        let finished = state.finished.map(\.rawValue).joined(separator: ", ")
        try same("\(state.phase.rawValue) \(state.iteration), finished: \(finished)", as: "place in the run", ranks)
        try compareParameters()
    }

    /// Makes sure that all processes come to one decision.
    func same(_ text: String, as what: String) throws {
        if let ranks { try same(text, as: what, ranks) }
    }

    private func same(_ text: String, as what: String, _ ranks: RankGroup) throws {
        let all = try ranks.gather(text)
        guard let other = all.firstIndex(where: { $0 != all[0] }) else { return }
        throw RankError("rank \(other) has another \(what) than rank 0: \(all[other]), not \(all[0])")
    }

    /// Compares the parameters of all processes.
    ///
    /// - Throws: `RankError` naming the first one whose parameters are others.
    func compareParameters() throws {
        guard let ranks else { return }
        let hashes = try ranks.gather(ContentHash.text(try network.checkpoint().chunks()))
        guard let other = hashes.firstIndex(where: { $0 != hashes[0] }) else { return }
        throw RankError(
            "\(state.phase.rawValue) step \(state.iteration): the parameters of rank \(other) are not those of rank 0: "
                + "a device or its memory is faulty, or the processes are not alike. The last checkpoint may have been "
                + "written since they parted")
    }
}

extension Experiment {
    /// - Throws: ``Stopped`` if this process is to end, or one of those that train with it.
    func check(_ stop: StopRequest?) throws {
        let own = stop?.reason
        try throwFirst(ranks.map { try $0.gather(own) } ?? [own])
    }
}

private func throwFirst(_ reasons: [StopRequest.Reason?]) throws {
    if let reason = reasons.compactMap({ $0 }).first { throw Stopped(reason: reason) }
}
