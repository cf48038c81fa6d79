import ArgumentParser
import Foundation
import Models
import Operators
import Training

struct Evaluate: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score a run's weights on a split, in both metric conventions.",
        discussion: "Without --checkpoint: the weights of the last phase that finished.")

    @Option(name: .customLong("run"), help: "Run folder that `train` wrote.") var path: String
    @Option(help: "Checkpoint to score instead.") var checkpoint: String?
    @Option(help: "Split: train, train1, train2, validation or test.") var split = "test"
    @Option(help: "Policy: \(PolicySource.expectation). Default: what the checkpoint records.")
    var policy: PolicySource?
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions

    func run(on console: Console) throws {
        let folder = try RunDirectory(URL(fileURLWithPath: path), mode: .read)
        var experiment = try Experiment(part.select(folder.readConfiguration()))
        let dataset = try experiment.makeDataset()
        let indices = try dataset.splits[split]
        let file = try TensorFile.read(try checkpoint.map { URL(fileURLWithPath: $0) } ?? latest(folder))
        let progress = ProgressPrinter(console)
        let library = try KernelLibrary(
            context: try device.makeContext(progress: progress), family: device.kernelFamily)
        if let notice = try experiment.settle(on: library) { progress.report(.notice(notice)) }
        let recorded = try folder.readAlgorithms(for: library, arithmetic: experiment.arithmetic)
        let notice =
            recorded.map { $0.notice(on: library) } ?? "no algorithms.json in \(path): algorithms are chosen by shape"
        if let notice { progress.report(.notice(notice)) }
        if let recorded { experiment.adopt(recorded, on: library) }
        let budgets = experiment.configuration.policy.budgets
        if checkpoint == nil, !budgets.isEmpty, file.metadata["stage"] == Phase.policy.rawValue {
            let folders = budgets.map { SideRuns.Kind.budget($0).folder }
            progress.report(
                .notice(
                    "these are the weights of policy learning; its policies are retrained in "
                        + folders.joined(separator: ", ")))
        }
        let network = try experiment.makeNetwork(library: library, infersOnly: true)
        try network.load(file)
        let policy = try policy.map(experiment.policy) ?? experiment.policy(recordedIn: file)
        let result = try Evaluator(experiment: experiment, dataset: dataset)
            .evaluate(network, policy: policy, split: indices)
        if json {
            let scored = Scored(
                split: split, checkpoint: file.file, normals: experiment.configuration.dataset.normals.rawValue,
                images: result.images, tasks: result.tasks, leftOut: result.leftOut)
            try console.print(try JSONText.pretty(scored))
            return
        }
        try console.print("\(file.file)")
        for convention in MetricConvention.allCases {
            try console.print(
                "\n\(convention.rawValue) convention, \(result.images) images of split \(split), normals trained as "
                    + "\(experiment.configuration.dataset.normals.rawValue)\n")
            var table = Table(["task", "metric", "value"])
            for task in experiment.tasks {
                for metric in result.tasks[task.name]?[convention.rawValue] ?? [] {
                    table.add([task.name, metric.name, readable(metric.value)])
                }
            }
            try console.print(table.text)
        }
        let cost = experiment.trainingCost.parts
        let share = cost.share(of: policy, .shared)
        try console.print("\nbackbone: \(percent(share)) of hard sharing's multiply-accumulates")
        if let warning = cost.warning(about: policy) { try console.print(warning) }
        for (task, counts) in result.leftOut.sorted(by: { $0.key < $1.key }) {
            for (reason, count) in counts.sorted(by: { $0.key < $1.key }) {
                try console.print("\n\(task): \(count) pixels \(reason.split(separator: "_").joined(separator: " "))")
            }
        }
    }

    /// The JSON answer: the result, and what was scored on what.
    private struct Scored: Encodable {
        let split, checkpoint, normals: String
        let images: Int
        let tasks: [String: [String: [Metric]]]
        let leftOut: [String: [String: Int]]
    }

    private func latest(_ folder: RunDirectory) throws -> URL {
        for phase in Phase.byMaturity {
            let url = folder.checkpoints.appendingPathComponent("\(phase.rawValue).safetensors")
            if FileManager.default.fileExists(atPath: url.path) { return url }
        }
        throw RunError(
            path: folder.checkpoints.path, found: "no weights of a finished phase",
            expected: "one, or --checkpoint FILE")
    }
}
