import Configuration
import Datasets
import Experiments
import Foundation
import Models
import Tasks

/// Metrics of every task over a split, in both conventions.
public struct EvaluationResult: Codable, Sendable, Equatable {
    public var images: Int
    /// task → convention → metrics.
    public var tasks: [String: [String: [Metric]]]
    /// Pixels a metric had to leave out, by task and reason, such as non-positive depths in a logarithm.
    public var leftOut: [String: [String: Int]] = [:]
    /// Images that carried a task's label, where some did not; a task that none did has no metrics.
    public var labelled: [String: Int]?

    /// The metrics of one convention, by task.
    public func metrics(_ convention: MetricConvention) -> [String: [Metric]] {
        tasks.compactMapValues { $0[convention.rawValue] }
    }

    /// Replaces what some tasks reached by what they reached with other weights.
    public mutating func take(_ names: [String], of other: EvaluationResult) {
        for name in names {
            tasks[name] = other.tasks[name]
            leftOut[name] = other.leftOut[name]
        }
    }

    /// Relative gain over a reference in percent: mean over tasks of the mean over metrics, exact convention.
    public func score(over reference: [String: [Metric]]) -> Double? {
        RelativeGain.overall(metrics(.exact), over: reference)
    }
}

/// Scores a network, or a constant, on whole unaugmented images, one at a time.
public struct Evaluator {
    public let experiment: Experiment
    public let dataset: any Dataset

    public init(experiment: Experiment, dataset: any Dataset) {
        self.experiment = experiment
        self.dataset = dataset
    }

    /// Scores the network under a policy.
    public func evaluate(
        _ network: NetworkRuntime, policy: DiscretePolicy, split: [Int], progress: ((Int) -> Void)? = nil
    ) throws -> EvaluationResult {
        try score(split, progress: progress) { try network.predict($0, policy: policy) }
    }

    /// Scores constant outputs, one vector per task.
    public func evaluate(constants: [String: [Float]], split: [Int]) throws -> EvaluationResult {
        let predictions = constants.mapValues { Prediction(height: 1, width: 1, channels: $0.count, values: $0) }
        return try score(split) { _ in predictions }
    }

    /// The best constant output and its loss for each task, learned from the labels of a split.
    public func constantGuess(split: [Int]) throws -> [String: any ConstantGuess] {
        var guesses: [String: any ConstantGuess] = [:]
        for task in experiment.configuration.tasks {
            guesses[task.name] = task.made.constantGuess(
                classWeights: try experiment.classWeights(task)?.map(Double.init))
        }
        for index in split {
            let batch = try Batch(whole: index, of: dataset, labels: experiment.labels)
            for task in experiment.tasks {
                if let label = batch.imageLabel(task.label) { guesses[task.name]?.add(label) }
            }
        }
        return guesses
    }

    private func score(
        _ split: [Int], progress: ((Int) -> Void)? = nil, predict: (Batch) throws -> [String: Prediction]
    ) throws -> EvaluationResult {
        var metrics = Dictionary(uniqueKeysWithValues: experiment.tasks.map { ($0.name, $0.kind.metrics()) })
        var labelled = metrics.mapValues { _ in 0 }
        for (done, index) in split.enumerated() {
            let batch = try Batch(whole: index, of: dataset, labels: experiment.labels)
            let predictions = try predict(batch)
            for task in experiment.tasks {
                guard let prediction = predictions[task.name], let label = batch.imageLabel(task.label) else {
                    continue
                }
                metrics[task.name]?.add(prediction, label)
                labelled[task.name, default: 0] += 1
            }
            progress?(done + 1)
        }
        return EvaluationResult(
            images: split.count,
            tasks: metrics.filter { labelled[$0.key] ?? 0 > 0 }.mapValues { task in
                Dictionary(uniqueKeysWithValues: task.results().map { ($0.key.rawValue, $0.value) })
            },
            leftOut: metrics.mapValues(\.leftOut).filter { $0.value.values.contains { $0 > 0 } },
            labelled: labelled.values.allSatisfy { $0 == split.count } ? nil : labelled)
    }
}

extension Batch {
    /// A label of the one image of a batch; nil where it carries none.
    ///
    /// - Precondition: one image.
    func imageLabel(_ name: String) -> ImageLabel? {
        precondition(count == 1, "\(count) images")
        guard let label = labels[name], !label.isAbsent else { return nil }
        return ImageLabel(height: height, width: width, classes: label.classes, numbers: label.numbers)
    }
}
