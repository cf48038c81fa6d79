import AdaShareConfiguration
import AdaShareDatasets
import AdaShareMethods
import AdaShareSupport
import Foundation

extension Trainer {
    /// Stores everything needed to continue from here.
    ///
    /// Nothing is written where the checkpoint on disk is of this place already.
    func saveCheckpoint() throws {
        try checkFinite()
        let (place, start) = (SavedPlace(state), ContinuousClock.now)
        guard place != saved else { return }
        try log.synchronize()
        try board?.synchronize()
        state.logOffset = log.offset
        keepElapsed()
        let phase = try currentPhase()
        var facts = phase.facts(state.iteration)
        facts["positions"] = .object(
            Dictionary(
                try positions().map {
                    (key($0.source.split.rawValue, $0.dataset), .array([.integer($0.pass), .integer($0.offset)]))
                }
            ) { first, _ in first })
        try checkpoints.save(
            network, state: state, of: iterations(of: state.phase), policy: try phase.recordedPolicy(), facts: facts,
            permutations: try permutations(), environment: environment)
        saved = place
        checkpointSeconds = (ContinuousClock.now - start) / .seconds(1)
        report(
            .detail(
                "checkpoint of \(state.phase.rawValue) \(state.iteration) written in \(readable(checkpointSeconds)) s"))
    }

    /// Writes the weights that inference takes under a name of their own, with the policy to use them with.
    ///
    /// - Parameter areFinal: whether the network has those already, not what is trained.
    func exportWeights(_ name: String, areFinal: Bool = false) throws {
        let phase = try currentPhase()
        var weights = try network.checkpoint()
        if !areFinal { weights = try phase.inferenceWeights(weights) }
        if let tasks = phase.judges { weights.metadata[EvaluationResult.tasksKey] = tasks.joined(separator: "\n") }
        try checkpoints.export(weights, state: state, policy: try phase.recordedPolicy(), name: name)
    }

    /// A name of something of a data set in checkpoints.
    private func key(_ name: String, _ dataset: Int) -> String {
        datasets.count == 1 ? name : "source\(dataset)/\(name)"
    }

    /// Where each source of the phase stands, in each data set.
    private func positions() throws -> [(source: BatchSource, dataset: Int, images: [Int], pass: Int, offset: Int)] {
        let batch = experiment.configuration.training.batch
        guard let outline = outlines.first(where: { $0.phase == state.phase }) else { return [] }
        return zip(outline.sources, try currentPhase().counts(state.iteration)).flatMap { source, steps in
            datasets.enumerated().map { index, dataset in
                let images = dataset.splits[source.split]
                let perPass = max(1, images.count / batch)
                return (source, index, images, steps / perPass, steps % perPass)
            }
        }
    }

    /// Every split as it is, and those of the phase in the order of their current pass, to notice a changed data set.
    func permutations() throws -> CheckpointStore.Permutations {
        var result: CheckpointStore.Permutations = [:]
        for (index, dataset) in datasets.enumerated() {
            for split in dataset.splits.all { result[key("split/\(split.name)", index)] = split.indices }
        }
        for (source, dataset, images, pass, _) in try positions() {
            guard experiment.configuration.dataset.shuffle else {
                result[key(source.split.rawValue, dataset)] = images
                continue
            }
            let order = BatchLoader.permutation(
                count: images.count, seed: UInt64(experiment.configuration.training.seed),
                phase: experiment.loaderName(source.name, source: dataset), pass: pass)
            result[key(source.split.rawValue, dataset)] = order.map { images[$0] }
        }
        return result
    }
}

/// Where in a run a checkpoint is.
struct SavedPlace: Equatable {
    private let phase: Phase
    private let iteration: Int
    private let isFinished: Bool

    init(_ state: RunState) {
        (phase, iteration, isFinished) = (state.phase, state.iteration, state.finished.contains(state.phase))
    }
}
