import Configuration
import Datasets
import Foundation
import Methods
import Support

extension Trainer {
    /// Stores everything needed to continue from here.
    func saveCheckpoint() throws {
        try checkFinite()
        try log.synchronize()
        state.logOffset = log.offset
        let phase = try currentPhase()
        var facts = phase.facts(state.iteration)
        facts["positions"] = .object(
            Dictionary(
                try positions().map { ($0.source.split.rawValue, .array([.integer($0.pass), .integer($0.offset)])) }
            ) { first, _ in first })
        try checkpoints.save(
            network, state: state, policy: try phase.recordedPolicy(), facts: facts,
            permutations: try permutations(), environment: environment)
    }

    /// Writes the weights that inference takes under a name of their own, with the policy to use them with.
    ///
    /// - Parameter areFinal: whether the network has those already, not what is trained.
    func exportWeights(_ name: String, areFinal: Bool = false) throws {
        let (phase, weights) = (try currentPhase(), try network.checkpoint())
        try checkpoints.export(
            areFinal ? weights : try phase.inferenceWeights(weights), state: state, policy: try phase.recordedPolicy(),
            name: name)
    }

    /// Where each source of the phase stands.
    private func positions() throws -> [(source: BatchSource, images: [Int], pass: Int, offset: Int)] {
        let batch = experiment.configuration.training.batch
        guard let outline = outlines.first(where: { $0.phase == state.phase }) else { return [] }
        return zip(outline.sources, try currentPhase().counts(state.iteration)).map { source, steps in
            let images = dataset.splits[source.split]
            let perPass = max(1, images.count / batch)
            return (source, images, steps / perPass, steps % perPass)
        }
    }

    /// Every split as it is, and those of the phase in the order of their current pass, to notice a changed data set.
    func permutations() throws -> CheckpointStore.Permutations {
        var result: CheckpointStore.Permutations = Dictionary(
            uniqueKeysWithValues: dataset.splits.all.map { ("split/\($0.name)", $0.indices) })
        for (source, images, pass, _) in try positions() {
            guard experiment.configuration.dataset.shuffle else {
                result[source.split.rawValue] = images
                continue
            }
            let order = BatchLoader.permutation(
                count: images.count, seed: UInt64(experiment.configuration.training.seed), phase: source.name,
                pass: pass)
            result[source.split.rawValue] = order.map { images[$0] }
        }
        return result
    }
}
