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
        let skipped: [[SkippedSample]]
        let labels: LabelCounts
    }

    /// Why images of a step are left out, and how many carry each label.
    ///
    /// - Throws: ``Stopped`` if one of several processes is to end.
    func facts(of batches: [Batch]) throws -> (skipped: [String], labels: LabelCounts) {
        let own = StepFacts(
            stop: stop?.reason, skipped: batches.map(\.skipped), labels: LabelCounts(batches))
        guard let ranks else { return (own.skipped.flatMap(\.self).map(\.reason), own.labels) }
        let all = try ranks.gather(own)
        try throwFirst(all.map(\.stop))
        var labels = all[0].labels
        for other in all.dropFirst() { labels.add(other.labels) }
        // As one process reads them: all images of a data set, then the next.
        let skipped = batches.indices.map { source in all.flatMap { $0.skipped[source] } }
        for (source, samples) in skipped.enumerated() {
            let own = batches[source].skipped
            for sample in samples { try checkUnreadable(sample, own, source: source, ranks) }
        }
        return (skipped.flatMap(\.self).map(\.reason), labels)
    }

    /// Makes sure that what one process cannot read no other can: an image that is left out has to be left out whoever
    /// meets it.
    ///
    /// - Throws: `RankError` naming a process that cannot, and one that can.
    private func checkUnreadable(
        _ sample: SkippedSample, _ own: [SkippedSample], source: Int, _ ranks: RankGroup
    ) throws {
        guard knownUnreadable.insert([source, sample.index]).inserted else { return }
        // Whoever has met it may be able to read it by now, and has left it out all the same.
        let met = own.first { $0.index == sample.index }?.reason
        let reasons: [String?] = try ranks.gather(met ?? Self.whyUnreadable(sample.index, of: datasets[source]))
        guard let able = reasons.firstIndex(of: nil), let reason = reasons.compactMap(\.self).first else { return }
        let unable = reasons.firstIndex(of: reason) ?? 0
        throw RankError("rank \(unable) cannot read what rank \(able) can: \(reason)")
    }

    private static func whyUnreadable(_ index: Int, of dataset: any Dataset) -> String? {
        do {
            _ = try dataset.sample(index)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Makes sure that all processes are at one place of the run, with the same parameters.
    ///
    /// - Throws: `RankError` naming the first one that is not.
    func compareStart() throws {
        guard let ranks else { return }
        let finished = state.finished.map(\.rawValue).joined(separator: ", ")
        let policy = state.policy.map { policy in
            experiment.tasks.map { "\($0.name) \(policy.tasks[$0.name] ?? [])" }.joined(separator: "\n")
        }
        try ranks.requireSame(
            [
                ["place in the run", "\(state.phase.rawValue) \(state.iteration), finished: \(finished)"],
                ["policy", policy ?? "none"], ["family of kernels", network.executor.library.family.rawValue],
            ], expected: "one run, whose processes were started alike")
        try compareParameters()
    }

    /// Makes sure that all processes come to one decision.
    func same(_ text: String, as what: String) throws {
        try ranks?.requireSame([[what, text]], expected: "processes that decide alike")
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
