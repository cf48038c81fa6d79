import AdaShareConfiguration
import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks
import AdaShareTraining
import ArgumentParser
import Foundation

struct Evaluate: LoggingCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score a run's weights on a split, in both metric conventions.",
        discussion: "Without --checkpoint: the weights of the last phase that finished.")

    @Option(name: .customLong("run"), help: "Run folder that `train` wrote.", completion: .file()) var path: String
    @Option(help: "Checkpoint to score instead.", completion: .file()) var checkpoint: String?
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Change a key that changes no result, such as dataset.root=PATH where the data has moved; repeatable.",
            discussion: "The run stays as it is.", valueName: "path=value"))
    var overrides: [String] = []
    @Option(help: "Split: train, train1, train2, validation or test. Default: test; where there is none, as in train.")
    var split: String?
    @Option(help: "Policy: \(PolicySource.expectation). Default: what the checkpoint records.", completion: .file())
    var policy: PolicySource?
    @Flag(
        help: ArgumentHelp(
            "Average with the predictions of each image mirrored, and mirrored back.",
            discussion: "Averaged are the probabilities of classes, the directions of normals, and other numbers as "
                + "they are; metrics are those of the average. Not for normals that were trained in the published "
                + "convention: a colour's direction has no mirror image."))
    var flip = false
    @Option(
        help: "Average the predictions of each image at these scales, comma-separated, each once, from 0.25 to 4.")
    var scales = ScaleList(scales: [1])
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var logging: LogOptions

    struct ScaleList: ExpressibleByArgument {
        let scales: [Double]
        init(scales: [Double]) { self.scales = scales }
        init?(argument: String) {
            let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
            scales = parts.compactMap { $0 }.filter { (0.25...4).contains($0) }
            guard scales.count == parts.count, Set(scales).count == scales.count else { return nil }
        }
        var defaultValueDescription: String { "1" }
    }

    func run(on console: Console) throws {
        let folder = try RunDirectory(URL(fileURLWithPath: path), mode: .read)
        let given = try Experiment(part.select(readConfiguration(of: folder, overrides)))
        let forms = TestTimeForms(scales: scales.scales, flips: flip)
        try forms.check(given.configuration.tasks)
        try checkData(of: given.configuration)
        let datasets = try given.makeDatasets(reading: split.map { [$0] })
        try folder.keepClasses(of: datasets, given)
        let scored = datasets.scored
        let splits = try self.split.map { name in try datasets.map { try $0.splits[name] } } ?? scored.images
        let split = self.split ?? scored.split
        let results =
            try checkpoint.map { [(weights: URL(fileURLWithPath: $0), tasks: nil)] } ?? folder.results(of: given)
        let files = try results.map { try TensorFile.read($0.weights) }
        let file = files[0]
        let progress = ProgressPrinter(console)
        let session = try ExperimentSession.open(
            given, on: device.makeContext(progress: progress), family: device.kernelFamily,
            algorithms: .recorded(folder), report: progress.report)
        if self.split == nil, let remark = scored.remark { progress.report(.notice(remark)) }
        let experiment = session.experiment
        if checkpoint == nil, let remark = folder.remark(onWeights: files, of: experiment) {
            progress.report(.notice(remark))
        }
        let network = try session.makeNetwork(infersOnly: true)
        try network.load(file)
        guard policy == nil || results.count == 1 else {
            throw ValidationError(
                "--policy: found a run of \(results.count) networks, one for each task; expected one.")
        }
        let policy = try policy.map(experiment.policy) ?? experiment.policy(recordedIn: file)
        if self.policy != nil, let remark = experiment.remark(onGiven: policy, for: file) {
            progress.report(.notice(remark))
        }
        let evaluator = Evaluator(experiment: experiment, datasets: datasets)
        func evaluate() throws -> EvaluationResult {
            try evaluator.evaluate(network, policy: policy, splits: splits, forms: forms)
        }
        var result = try evaluate()
        if let tasks = results[0].tasks ?? EvaluationResult.tasks(of: file) { result = result.of(tasks) }
        for (part, file) in zip(results, files).dropFirst() {
            try network.load(file)
            result.take(part.tasks ?? [], of: try evaluate())
        }
        let weights = results.map { $0.weights.path }.joined(separator: ", ")
        let isUnderPolicy =
            results.count == 1 && result.paths == nil && !experiment.method.hasOwnNetwork(experiment.methodSettings)
        if json {
            let answer = Scored(
                split: split, checkpoint: weights, trainedAs: experiment.configuration.facts,
                images: result.images, labelled: result.labelled,
                forms: forms == .image ? nil : Scored.Forms(flip: forms.flips, scales: forms.scales),
                tasks: result.tasks, leftOut: result.leftOut, skipped: result.skipped, paths: result.paths,
                policy: isUnderPolicy ? SelectionPolicy(policy, tasks: experiment.tasks.map(\.name)) : nil,
                shareOfHardSharing: isUnderPolicy ? experiment.trainingCost.parts.share(of: policy, .shared) : nil)
            try console.print(try JSONText.pretty(answer))
            return
        }
        try console.print(weights)
        if forms != .image {
            let list = forms.scales.map { readable($0) }.joined(separator: ", ")
            try console.print(
                "\npredictions averaged over \(forms.scales.count > 1 ? "scales \(list)" : "scale \(list)")"
                    + (forms.flips ? ", each also mirrored" : ""))
        }
        for convention in MetricConvention.allCases {
            try console.print(
                "\n\(convention.rawValue) convention, \(result.images) images of split \(split)"
                    + clause(experiment.configuration.facts) + "\n")
            var table = Table(["task", "metric", "value"])
            for task in experiment.tasks {
                for metric in result.tasks[task.name]?[convention.rawValue] ?? [] {
                    let unit = metric.unit.isEmpty ? "" : " \(metric.unit)"
                    table.add([
                        task.name, metric.name + unit + (metric.higherIsBetter ? " ↑" : " ↓"), readable(metric.value),
                    ])
                }
            }
            try console.print(table.text)
        }
        for task in experiment.tasks {
            guard let count = result.labelled?[task.name], count < result.images else { continue }
            // Of the images of several data sets, only its own could.
            let all = datasets.count > 1 ? "" : " of \(result.images)"
            try console.print("\n\(task.name): scored on the \(count)\(all) images that carry its label")
        }
        if let skipped = result.skipped {
            try console.print("\nleft out, since they cannot be decoded: \(skipped.count), the first is \(skipped[0])")
        }
        if results.count > 1 {
            try console.print("\n\(results.count) networks, one for each task: a pass through every one")
        } else if let paths = result.paths {
            try console.print("\nbelow the heads: \(paths.text)")
        } else if experiment.method.hasOwnNetwork(experiment.methodSettings) {
            let report = experiment.trainingCost.report()
            let share = Double(report.macs) / Double(report.backbone.macsHardSharing)
            try console.print("\nbelow the heads: \(percent(share)) of hard sharing's multiply-accumulates")
        } else {
            let cost = experiment.trainingCost.parts
            let share = cost.share(of: policy, .shared)
            try console.print("\nbackbone: \(percent(share)) of hard sharing's multiply-accumulates")
            if let warning = cost.warning(about: policy) { try console.print(warning) }
        }
        for (task, counts) in result.leftOut.sorted(by: { $0.key < $1.key }) {
            for (reason, count) in counts.sorted(by: { $0.key < $1.key }) {
                try console.print("\n\(task): \(count) pixels \(reason.split(separator: "_").joined(separator: " "))")
            }
        }
    }

    /// The JSON answer: the result, and what was scored on what.
    private struct Scored: Encodable {
        let split, checkpoint: String
        let trainedAs: [String: String]
        let images: Int
        /// Images that carried a task's label, where some did not.
        let labelled: [String: Int]?
        /// Of each image, where they are not the image itself alone.
        let forms: Forms?
        let tasks: [String: [String: [Metric]]]
        let leftOut: [String: [String: Int]]
        /// Why images were left out.
        let skipped: [String]?
        /// The paths that images took, where each took its own.
        let paths: ImagePaths?
        /// What every image was computed under; nil where there is no one policy.
        let policy: SelectionPolicy?
        /// The backbone's multiply-accumulates under it.
        let shareOfHardSharing: Double?

        struct Forms: Encodable {
            let flip: Bool
            let scales: [Double]
        }
    }
}
