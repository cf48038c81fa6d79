import AdaShareConfiguration
import AdaShareDatasets
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

struct Predict: LoggingCommand {
    static let configuration = CommandConfiguration(
        abstract: "Predict every task for images.",
        discussion: """
            Writes <stem>_<task>.png at image size and <stem>_panel.png side by side. With --raw instead:
            <stem>.safetensors, one tensor per task, [channels, h, w] at feature resolution.
            A checkpoint in a run's folder is computed by the algorithms that run recorded.
            Without --policy: the policy recorded in the checkpoint, else every task uses every block.
            """)

    @Option(name: .customLong("run"), help: "Run folder that `train` wrote: its configuration, and its latest weights.")
    var path: String?
    @Option(help: "Experiment configuration, YAML, where no run is named; only tasks and model count.")
    var config: String?
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Change one key, for example model.head=light; repeatable.", valueName: "path=value"))
    var overrides: [String] = []
    @Option(help: "Weights, safetensors. Default: those of the run's last finished phase.") var checkpoint: String?
    @Option(help: "Policy: \(PolicySource.expectation).") var policy: PolicySource?
    @Flag(help: "Write the heads' outputs instead of pictures.") var raw = false
    @Option(help: "Folder for the results; created if missing.") var output: String
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var logging: LogOptions
    @Argument(help: "Images, PNG or JPEG, of any colour type but CMYK.") var images: [String]

    func validate() throws {
        guard (path == nil) != (config == nil) else {
            throw ValidationError("Expected --run, or --config with --checkpoint.")
        }
        if config != nil, checkpoint == nil { throw ValidationError("--config: expected with --checkpoint.") }
        if path != nil, !overrides.isEmpty { throw ValidationError("--set: expected with --config.") }
        if images.isEmpty { throw ValidationError("Name at least one image.") }
        let stems = images.map(Self.stem)
        if Set(stems).count < stems.count { throw ValidationError("Two images have the same name without extension.") }
    }

    func run(on console: Console) throws {
        let (configuration, run) = try source(on: console)
        let given = try Experiment(part.select(configuration))
        let results =
            try checkpoint.map { [(weights: URL(fileURLWithPath: $0), tasks: [String]?.none)] }
            ?? run?.results(of: given) ?? []
        let files = try results.map { weights, tasks in
            let file = try TensorFile.read(weights)
            return (file: file, tasks: tasks ?? EvaluationResult.tasks(of: file))
        }
        var inputs = InputFiles(images + [config] + results.map(\.weights.path))
        inputs.add(policy)
        inputs.add(trainedIn: run?.url.path)
        let outputs = images.flatMap { image in
            let stem = Self.stem(image)
            let names =
                raw ? ["\(stem).safetensors"] : (given.tasks.map(\.name) + ["panel"]).map { "\(stem)_\($0).png" }
            return names.map { URL(fileURLWithPath: output).appendingPathComponent($0).path }
        }
        try inputs.check(outputs)
        let progress = ProgressPrinter(console)
        let context = try device.makeContext(profiling: profile.isOn, progress: progress)
        let recorder = try profile.makeRecorder(context, reading: inputs, writing: outputs)
        let session = try ExperimentSession.open(
            given, on: context, family: device.kernelFamily, algorithms: run.map { .recorded($0) } ?? .byShape,
            report: progress.report)
        let experiment = session.experiment
        let normalisation = try experiment.inputNormalisation()
        let network = try session.makeNetwork(infersOnly: true)
        // A mistake is told before anything is written.
        try network.load(files[0].file)
        let policies = try files.map { try policy.map(experiment.policy) ?? experiment.policy(recordedIn: $0.file) }
        let folder = URL(fileURLWithPath: output)
        let pictures = Album(tasks: experiment.tasks(recordedIn: files[0].file), console: console)
        try AtomicFile.makeFolder(folder)
        try profile.recording(with: recorder, on: console) {
            var failures: [InputError] = []
            for path in images {
                let image: Image
                do {
                    image = try Image.read(URL(fileURLWithPath: path), channels: 3)
                } catch let error as InputError {
                    // What is wrong with one concerns no other.
                    failures.append(error)
                    continue
                }
                var predictions: [String: Prediction] = [:]
                for ((file, tasks), chosen) in zip(files, policies) {
                    if files.count > 1 { try network.load(file) }
                    let all = try predict(image, normalisation, network: network, policy: chosen)
                    predictions.merge(all.filter { tasks?.contains($0.key) ?? true }) { $1 }
                }
                let stem = Self.stem(path)
                if raw {
                    try writeRaw(predictions, to: folder.appendingPathComponent("\(stem).safetensors"))
                } else {
                    try pictures.write(predictions, of: image, stem: stem, folder: folder)
                }
                try recorder?.collect()
            }
            if let error = InputError.all(failures) { throw error }
        }
    }

    private static func stem(_ path: String) -> String {
        URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    }

    /// The network, and the run its weights are of, whose algorithms then compute it: the same bits as there.
    private func source(on console: Console) throws -> (ExperimentConfiguration, RunDirectory?) {
        if let path {
            let run = try RunDirectory(URL(fileURLWithPath: path), mode: .read)
            return (try run.readConfiguration(), run)
        }
        guard let config, let checkpoint else { preconditionFailure("validated before") }
        let configuration = try readConfiguration(config, overrides, on: console)
        return (configuration, RunDirectory.holding(checkpoint: URL(fileURLWithPath: checkpoint)))
    }

    private func predict(
        _ image: Image, _ normalisation: ImageNormalisation, network: NetworkRuntime, policy: DiscretePolicy
    ) throws -> [String: Prediction] {
        var batch = Batch(
            count: 1, height: image.height, width: image.width, indices: [0], normalisation: normalisation)
        batch.image = networkInput(image, normalisation)
        return try network.predict(batch, policy: policy)
    }

    private func writeRaw(_ predictions: [String: Prediction], to url: URL) throws {
        var file = TensorFile()
        for (task, prediction) in predictions {
            file.add(
                task, floats: prediction.channelsFirst,
                shape: [prediction.channels, prediction.height, prediction.width])
        }
        try file.write(to: url)
    }
}

/// Draws predictions; says on standard output what lies where, and the range of each map of numbers.
private struct Album {
    let tasks: [TaskSettings]
    let console: Console

    func write(_ predictions: [String: Prediction], of image: Image, stem: String, folder: URL) throws {
        var pictures = [image]
        var parts = ["image"]
        for task in tasks {
            guard let prediction = predictions[task.name] else { continue }
            let picture = Pictures.picture(prediction, of: task.kind, height: image.height, width: image.width)
            try picture.write(to: folder.appendingPathComponent("\(stem)_\(task.name).png"))
            pictures.append(picture)
            let low = Double(prediction.values.min() ?? 0)
            let high = Double(prediction.values.max() ?? 0)
            parts.append(task.name + (task.kind.isMap ? " (dark \(readable(low)), bright \(readable(high)))" : ""))
        }
        try Pictures.panel(pictures).write(to: folder.appendingPathComponent("\(stem)_panel.png"))
        try console.print("\(stem)_panel.png, left to right: " + parts.joined(separator: ", "))
    }
}
