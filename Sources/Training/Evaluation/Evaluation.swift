import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareModels
import AdaShareSupport
import AdaShareTasks
import Foundation

/// Metrics of every task over a split, in both conventions.
public struct EvaluationResult: Codable, Sendable, Equatable {
    /// Of all data sets, those that were scored.
    public var images: Int
    /// task → convention → metrics.
    public var tasks: [String: [String: [Metric]]]
    /// Pixels a metric had to leave out, by task and reason, such as non-positive depths in a logarithm.
    public var leftOut: [String: [String: Int]] = [:]
    /// Images that carried a task's label, where some did not, such as those of other tasks; a task that none did has
    /// no metrics.
    public var labelled: [String: Int]?
    /// Why images were left out that could not be decoded, a line each, where any were.
    public var skipped: [String]?
    /// The paths that images took, where each took its own.
    public var paths: ImagePaths?

    /// The metrics of one convention, by task.
    public func metrics(_ convention: MetricConvention) -> [String: [Metric]] {
        tasks.of(convention)
    }

    /// Where a checkpoint says which tasks it is for, a line each, if not for all.
    static let tasksKey = "tasks"

    /// The tasks that a checkpoint is for; nil for all.
    public static func tasks(of file: TensorFile) -> [String]? {
        file.metadata[tasksKey]?.split(separator: "\n").map(String.init)
    }

    /// What some tasks reached.
    public func of(_ names: [String]) -> EvaluationResult {
        var result = self
        result.tasks = tasks.filter { names.contains($0.key) }
        result.leftOut = leftOut.filter { names.contains($0.key) }
        result.labelled = labelled?.filter { names.contains($0.key) }
        return result
    }

    /// Replaces what some tasks reached by what they reached with other weights.
    public mutating func take(_ names: [String], of other: EvaluationResult) {
        for name in names {
            tasks[name] = other.tasks[name]
            leftOut[name] = other.leftOut[name]
            labelled?[name] = other.labelled?[name]
        }
    }

    /// Relative gain over a reference in percent: mean over tasks of the mean over metrics, exact convention.
    public func score(over reference: [String: [Metric]]) -> Double? {
        RelativeGain.overall(metrics(.exact), over: reference)
    }
}

/// Scores a network, or a constant, on whole images, one at a time.
public struct Evaluator {
    /// Whose tasks are scored, with their labels and metrics.
    public let experiment: Experiment
    /// In the order of the experiment's sources: each task is scored on the images of its own.
    public let datasets: [any Dataset]
    private let stop: StopRequest?

    /// - Parameters:
    ///   - experiment: whose tasks are scored.
    ///   - datasets: in the order of the experiment's sources.
    ///   - stop: asked between images whether the process is to stop; `Stopped` is thrown then.
    /// - Precondition: a data set for each source of the experiment.
    public init(experiment: Experiment, datasets: [any Dataset], stop: StopRequest? = nil) {
        precondition(
            datasets.count == experiment.sources.count,
            "\(datasets.count) data sets for \(experiment.sources.count) sources")
        self.experiment = experiment
        self.datasets = datasets
        self.stop = stop
    }

    /// Of an experiment with one data set.
    public init(experiment: Experiment, dataset: any Dataset) {
        self.init(experiment: experiment, datasets: [dataset])
    }

    /// Scores the network under a policy.
    public func evaluate(
        _ network: NetworkRuntime, policy: DiscretePolicy, split: [Int], progress: ((Int) -> Void)? = nil
    ) throws -> EvaluationResult {
        try evaluate(network, policy: policy, splits: [split], progress: progress)
    }

    /// Scores the network under a policy, on a split of every data set.
    ///
    /// - Parameters:
    ///   - network: with the weights that are scored.
    ///   - policy: which task executes which block.
    ///   - splits: in the order of the data sets.
    ///   - forms: of each image, whose predictions are averaged.
    ///   - progress: told how many images are done, of all data sets.
    ///   - observe: told each image that is scored, the tasks that learn from it as indices, and what is predicted.
    /// - Throws: what reading images or the device throws, and `InputError` if a task's predictions cannot be mirrored
    ///   where `forms` does.
    public func evaluate(
        _ network: NetworkRuntime, policy: DiscretePolicy, splits: [[Int]], forms: TestTimeForms = .image,
        progress: ((Int) -> Void)? = nil, observe: ((Batch, [Int], [String: Prediction]) -> Void)? = nil
    ) throws -> EvaluationResult {
        try forms.check(experiment.configuration.tasks)
        let kinds = Dictionary(uniqueKeysWithValues: experiment.tasks.map { ($0.name, $0.kind) })
        _ = network.takePaths()
        func predict(_ image: Image) throws -> [String: Prediction] {
            try forms.predict(image.batch, kinds: kinds) {
                try network.predict($0, policy: policy, tasks: image.tasks)
            }
        }
        guard let ranks = experiment.ranks, ranks.count > 1 else {
            var totals = Totals(experiment, observe)
            try forEachImage(splits, progress: progress) {
                totals.add($0, try predict($0))
            } skipped: {
                totals.skip($0)
            }
            var result = totals.result
            result.paths = network.takePaths().flatMap { ImagePaths($0, experiment) }
            return result
        }
        var result = try evaluate(with: ranks, splits, progress: progress, observe: observe, predict: predict)
        if let paths = network.takePaths() {
            let all = try ranks.gather(paths).reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
            result.paths = ImagePaths(all, experiment)
        }
        return result
    }

    /// Scores constant outputs, one vector per task.
    public func evaluate(constants: [String: [Float]], split: [Int]) throws -> EvaluationResult {
        try evaluate(constants: constants, splits: [split])
    }

    /// Scores constant outputs, one vector per task, on a split of every data set.
    public func evaluate(constants: [String: [Float]], splits: [[Int]]) throws -> EvaluationResult {
        let predictions = constants.mapValues { Prediction(height: 1, width: 1, channels: $0.count, values: $0) }
        var totals = Totals(experiment)
        try forEachImage(splits) {
            totals.add($0, predictions)
        } skipped: {
            totals.skip($0)
        }
        return totals.result
    }

    /// The best constant output and its loss for each task, learned from the labels of a split.
    public func constantGuess(split: [Int]) throws -> [String: any ConstantGuess] {
        try constantGuess(splits: [split])
    }

    /// The best constant output and its loss for each task, learned from the labels of a split of every data set.
    public func constantGuess(splits: [[Int]]) throws -> [String: any ConstantGuess] {
        var guesses: [String: any ConstantGuess] = [:]
        for task in experiment.configuration.tasks {
            guesses[task.name] = task.made.constantGuess(
                classWeights: try experiment.classWeights(task)?.map(Double.init))
        }
        try forEachImage(splits) { image in
            for task in image.tasks.map({ experiment.tasks[$0] }) {
                if let label = image.batch.imageLabel(task.label, image: 0) { guesses[task.name]?.add(label) }
            }
        }
        return guesses
    }

    /// Where an image is.
    struct Place {
        fileprivate let source, index: Int
    }

    /// A whole image with its labels.
    struct Image {
        let batch: Batch
        /// That learn from it, as indices.
        let tasks: [Int]
    }

    /// The images of a split of every data set, in their order.
    func places(_ splits: [[Int]]) -> [Place] {
        precondition(splits.count == datasets.count, "\(splits.count) splits of \(datasets.count) data sets")
        return splits.enumerated().flatMap { source, split in split.map { Place(source: source, index: $0) } }
    }

    /// Reads an image.
    ///
    /// - Returns: why it is left out, where the configuration wants bad ones skipped.
    func read(_ place: Place) throws -> Result<Image, Skipped> {
        let source = experiment.sources[place.source]
        do {
            let batch = try Batch(whole: place.index, of: datasets[place.source], labels: source.labels)
            return .success(Image(batch: batch, tasks: source.tasks))
        } catch  where experiment.configuration.dataset.onError == .skip {
            return .failure(Skipped(reason: "\(error)"))
        }
    }

    /// An image that is left out.
    struct Skipped: Error {
        let reason: String
    }

    private func forEachImage(
        _ splits: [[Int]], progress: ((Int) -> Void)? = nil, _ body: (Image) throws -> Void,
        skipped: (Skipped) -> Void = { _ in }
    ) throws {
        for (done, place) in places(splits).enumerated() {
            defer { progress?(done + 1) }
            try stop?.check()
            switch try read(place) {
            case .success(let image): try body(image)
            case .failure(let reason): skipped(reason)
            }
        }
    }

    /// What images come to, one after the other.
    struct Totals {
        private let experiment: Experiment
        private let observe: ((Batch, [Int], [String: Prediction]) -> Void)?
        private var metrics: [String: any TaskMetrics]
        private var labelled: [String: Int]
        private var images = 0
        private var skipped: [String] = []

        init(_ experiment: Experiment, _ observe: ((Batch, [Int], [String: Prediction]) -> Void)? = nil) {
            (self.experiment, self.observe) = (experiment, observe)
            metrics = Dictionary(uniqueKeysWithValues: experiment.tasks.map { ($0.name, $0.kind.metrics()) })
            labelled = metrics.mapValues { _ in 0 }
        }

        mutating func skip(_ image: Skipped) { skipped.append(image.reason) }

        mutating func add(_ image: Image, _ predictions: [String: Prediction]) {
            observe?(image.batch, image.tasks, predictions)
            for task in image.tasks.map({ experiment.tasks[$0] }) {
                guard let prediction = predictions[task.name],
                    let label = image.batch.imageLabel(task.label, image: 0)
                else { continue }
                metrics[task.name]?.add(prediction, label)
                labelled[task.name, default: 0] += 1
            }
            images += 1
        }

        var result: EvaluationResult {
            EvaluationResult(
                images: images,
                tasks: metrics.filter { labelled[$0.key] ?? 0 > 0 }.mapValues { task in
                    Dictionary(uniqueKeysWithValues: task.results().map { ($0.key.rawValue, $0.value) })
                },
                leftOut: metrics.mapValues(\.leftOut).filter { $0.value.values.contains { $0 > 0 } },
                labelled: labelled.values.allSatisfy { $0 == images } ? nil : labelled,
                skipped: skipped.isEmpty ? nil : skipped)
        }
    }
}
