import Datasets
import Files
import Foundation
import Models
import Support

extension Experiment {
    /// Opens everything a run reads and checks that it fits together, so that a mistake costs no training.
    ///
    /// - Parameter phases: the phases that are to run; each must have a batch in every split it draws from.
    /// - Returns: the data set.
    /// - Throws: `InputError` naming the file or key.
    public func openInputs(phases: Set<Phase>) throws -> any Dataset {
        let training = configuration.training
        let lengths: [(Phase, Int)] = [
            (.warmup, training.warmup.iterations), (.policy, training.policy.iterations),
            (.retrain, training.retrain.iterations),
        ]
        guard lengths.contains(where: { phases.contains($0.0) && $0.1 > 0 }) else {
            throw InputError(
                file: "configuration", place: "training",
                found: "0 iterations in "
                    + lengths.map(\.0).filter(phases.contains).map(\.rawValue).joined(separator: ", "),
                expected: "iterations in a phase that is to run")
        }
        let dataset = try makeDataset()
        func check(_ split: [Int], _ name: String, iterations: Int, _ affected: Set<Phase>) throws {
            guard iterations > 0, !phases.isDisjoint(with: affected), split.count < training.batch else { return }
            throw InputError(
                file: "configuration", place: "training.batch", found: "\(training.batch)",
                expected: "at most \(split.count), the images in split \(name) of data set \(dataset.name)")
        }
        let splits = dataset.splits
        try check(splits.train, "train", iterations: training.warmup.iterations, [.warmup])
        try check(splits.train1, "train1", iterations: training.policy.iterations, [.policy])
        try check(splits.train2, "train2", iterations: training.policy.iterations, [.policy])
        try check(splits.train, "train", iterations: training.retrain.iterations, [.retrain])
        let learns = phases.contains(.policy) && training.policy.iterations > 0
        let drawn = [("train", splits.train)] + (learns ? [("train1", splits.train1), ("train2", splits.train2)] : [])
        for (name, split) in drawn {
            for label in labels where dataset.carriers(of: label.name, among: split) == 0 {
                throw InputError(
                    file: dataset.name, place: "split \(name)", found: "no image with label \(label.name)",
                    expected: "at least one: \(label.place) learns it")
            }
        }
        for task in configuration.tasks { _ = try classWeights(task) }
        if let path = configuration.model.initialCheckpoint {
            _ = try catalog.values(
                in: try TensorFile.read(URL(fileURLWithPath: path)), partial: true, of: architecture)
        }
        return dataset
    }
}
