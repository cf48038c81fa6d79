import Datasets
import Foundation
import Models

extension Experiment {
    /// Opens everything a run reads and checks that it fits together, so that a mistake costs no training.
    ///
    /// - Parameter phases: the phases that are to run; each must have a batch in every split it draws from.
    /// - Returns: the data set.
    /// - Throws: `DatasetError`, `FormatError` or `ConfigurationError` naming the file or key.
    public func openInputs(phases: Set<Phase>) throws -> any DenseDataset {
        let training = configuration.training
        let lengths: [(Phase, Int)] = [
            (.warmup, training.warmup.iterations), (.policy, training.policy.iterations),
            (.retrain, training.retrain.iterations),
        ]
        guard lengths.contains(where: { phases.contains($0.0) && $0.1 > 0 }) else {
            throw ConfigurationError(
                file: "configuration", path: "training",
                found: "0 iterations in "
                    + lengths.map(\.0).filter(phases.contains).map(\.rawValue).joined(separator: ", "),
                expected: "iterations in a phase that is to run")
        }
        let dataset = try makeDataset()
        func check(_ split: [Int], _ name: String, iterations: Int, _ affected: Set<Phase>) throws {
            guard iterations > 0, !phases.isDisjoint(with: affected), split.count < training.batch else { return }
            throw ConfigurationError(
                file: "configuration", path: "training.batch", found: "\(training.batch)",
                expected: "at most \(split.count), the images in split \(name) of data set \(dataset.name)")
        }
        let splits = dataset.splits
        try check(splits.train, "train", iterations: training.warmup.iterations, [.warmup])
        try check(splits.train1, "train1", iterations: training.policy.iterations, [.policy])
        try check(splits.train2, "train2", iterations: training.policy.iterations, [.policy])
        try check(splits.train, "train", iterations: training.retrain.iterations, [.retrain])
        for task in configuration.tasks { _ = try classWeights(task) }
        if let path = configuration.model.initialCheckpoint {
            _ = try catalog.values(
                in: try TensorFile.read(URL(fileURLWithPath: path)), partial: true, of: architecture)
        }
        return dataset
    }
}
