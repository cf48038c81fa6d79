import Datasets
import Foundation
import Models

/// Metrics of every task over a split, in both conventions.
public struct EvaluationResult: Codable, Sendable, Equatable {
    public var images: Int
    /// task → convention → metrics.
    public var tasks: [String: [String: [Metric]]]
    /// Pixels a metric had to leave out, by task and reason, such as non-positive depths in a logarithm.
    public var leftOut: [String: [String: Int]] = [:]

    /// The metrics of one convention, by task.
    public func metrics(_ convention: MetricConvention) -> [String: [Metric]] {
        tasks.compactMapValues { $0[convention.rawValue] }
    }

    /// Relative gain over a reference in percent: mean over tasks of the mean over metrics, exact convention.
    public func score(over reference: [String: [Metric]]) -> Double? {
        RelativeGain.overall(metrics(.exact), over: reference)
    }
}

/// Scores a network, or a constant, on whole unaugmented images, one at a time.
public struct Evaluator {
    public let experiment: Experiment
    public let dataset: any DenseDataset

    public init(experiment: Experiment, dataset: any DenseDataset) {
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
    public func constantGuess(split: [Int]) throws -> [String: ConstantGuess] {
        var guesses: [String: ConstantGuess] = [:]
        for task in experiment.configuration.tasks {
            guesses[task.name] = ConstantGuess(
                kind: task.kind, channels: task.channels, ignoreLabel: task.ignoreLabel,
                normals: experiment.configuration.dataset.normals,
                classWeights: try experiment.classWeights(task)?.map(Double.init))
        }
        for index in split {
            let batch = try evaluationBatch(dataset: dataset, index: index, labels: experiment.labels)
            for task in experiment.configuration.tasks {
                switch batch.label(task.kind) {
                case .classes(let label): guesses[task.name]?.add(label: label)
                case .numbers(let label): guesses[task.name]?.add(label: label)
                }
            }
        }
        return guesses
    }

    private func score(
        _ split: [Int], progress: ((Int) -> Void)? = nil, predict: (Batch) throws -> [String: Prediction]
    ) throws -> EvaluationResult {
        var metrics: [String: TaskMetrics] = [:]
        for task in experiment.configuration.tasks {
            metrics[task.name] = TaskMetrics.make(
                kind: task.kind, channels: task.channels, ignoreLabel: task.ignoreLabel,
                normals: experiment.configuration.dataset.normals)
        }
        for (done, index) in split.enumerated() {
            let batch = try evaluationBatch(dataset: dataset, index: index, labels: experiment.labels)
            let predictions = try predict(batch)
            for task in experiment.configuration.tasks {
                guard let prediction = predictions[task.name] else { continue }
                switch batch.label(task.kind) {
                case .classes(let label):
                    metrics[task.name]?.add(
                        prediction: prediction.values, height: prediction.height, width: prediction.width,
                        label: label, labelHeight: batch.height, labelWidth: batch.width)
                case .numbers(let label):
                    metrics[task.name]?.add(
                        prediction: prediction.values, height: prediction.height, width: prediction.width,
                        label: label, labelHeight: batch.height, labelWidth: batch.width)
                }
            }
            progress?(done + 1)
        }
        return EvaluationResult(
            images: split.count,
            tasks: metrics.mapValues { task in
                Dictionary(uniqueKeysWithValues: task.results().map { ($0.key.rawValue, $0.value) })
            },
            leftOut: metrics.mapValues(\.counts).filter { $0.value.values.contains { $0 > 0 } })
    }
}

/// One label map of a batch.
enum LabelValues {
    case classes([Int32])
    case numbers([Float])
}

extension Batch {
    func label(_ kind: TaskKind) -> LabelValues {
        switch kind {
        case .segmentation, .classification: .classes(segmentation)
        case .normals: .numbers(normals)
        case .depth: .numbers(depth)
        case .keypoints: .numbers(keypoints)
        case .edges: .numbers(edges)
        }
    }
}
