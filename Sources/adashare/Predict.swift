import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
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
            Writes, as --output-format says, for each image:
              pictures     <stem>_<task>.png at image size, and <stem>_panel.png: all of them side by side with scales \
            and names, labels and errors below where the image is one of the run's data set
              png          <stem>_<task>.png as files of labels are: classes by number, thousandths in 16 bits (depth \
            in millimetres), normals as colours
              npy          <stem>_<task>.npy at image size: classes, or float32
              safetensors  <stem>.safetensors, the heads' outputs, one tensor per task, [channels, h, w]
            What cannot be read is named at the end, a line each, and the exit code is 1; all others are done.
            A checkpoint in a run's folder is computed by the algorithms that run recorded.
            Without --policy: the policy recorded in the checkpoint, else every task uses every block.
            """)

    @Option(
        name: .customLong("run"), help: "Run folder that `train` wrote: its configuration, and its latest weights.",
        completion: .file())
    var path: String?
    @Option(
        help: "Experiment configuration, YAML, where no run is named; only tasks and model count.", completion: .file())
    var config: String?
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Change one key, for example model.head=light; repeatable.", valueName: "path=value"))
    var overrides: [String] = []
    @Option(help: "Weights, safetensors. Default: those of the run's last finished phase.", completion: .file())
    var checkpoint: String?
    @Option(help: "Policy: \(PolicySource.expectation).", completion: .file()) var policy: PolicySource?
    @Option(help: "What is written: pictures, png, npy or safetensors.") var outputFormat: PredictionFormat?
    @Flag(help: "The same as --output-format safetensors.") var raw = false
    @Option(help: "How outputs come to image size: nearest, as metrics take them, or bilinear.")
    var upsample: Upsampling = .bilinear
    @Option(help: "Images of one size that are computed at once, as far as they have 4 million pixels together.")
    var batch = BatchSize(1)
    @Option(help: "Folder for the results; created if missing.", completion: .file()) var output: String
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var logging: LogOptions
    @Argument(
        help: "Images, folders of images, or patterns: PNG of any colour type without transparency, JPEG but CMYK.",
        completion: .file())
    var images: [String]

    private var format: PredictionFormat { outputFormat ?? (raw ? .safetensors : .pictures) }

    func validate() throws {
        guard (path == nil) != (config == nil) else {
            throw ValidationError("Expected --run, or --config with --checkpoint.")
        }
        if config != nil, checkpoint == nil { throw ValidationError("--config: expected with --checkpoint.") }
        if path != nil, !overrides.isEmpty { throw ValidationError("--set: expected with --config.") }
        if images.isEmpty { throw ValidationError("Name at least one image.") }
        if raw, let outputFormat, outputFormat != .safetensors {
            throw ValidationError("--raw: found with --output-format \(outputFormat.rawValue), expected without.")
        }
    }

    /// Refuses names that are too long before anything is computed.
    private func checkNames(_ outputs: [String]) throws {
        for path in outputs {
            let name = URL(fileURLWithPath: path).lastPathComponent
            guard name.utf8.count > AtomicFile.longestName else { continue }
            throw InputError(
                file: path, found: "a name of \(name.utf8.count) bytes",
                expected: "at most \(AtomicFile.longestName): an image with a shorter name")
        }
    }

    func run(on console: Console) throws {
        let given = try GivenImages(images)
        if given.paths.isEmpty { try given.end(with: given.failures, on: console) }
        let (configuration, run) = try source(on: console)
        let asked = try Experiment(part.select(configuration))
        let results =
            try checkpoint.map { [(weights: URL(fileURLWithPath: $0), tasks: [String]?.none)] }
            ?? run?.results(of: asked) ?? []
        let files = try results.map { weights, tasks in
            let file = try TensorFile.read(weights)
            return (file: file, tasks: tasks ?? EvaluationResult.tasks(of: file))
        }
        var inputs = InputFiles(given.paths + [config] + results.map(\.weights.path))
        inputs.add(policy)
        // Labels of images that belong to the run's data sets are read as well.
        inputs.add(configuration)
        inputs.add(trainedIn: run?.url.path)
        let names = try asked.classNames(known: run?.readClasses() ?? [:])
        let writer = try PredictionWriter(
            asked, tasks: asked.tasks(recordedIn: files[0].file), classes: names, format: format, upsampling: upsample,
            folder: URL(fileURLWithPath: output), console: console)
        let outputs = given.paths.flatMap { writer.files(of: GivenImages.stem($0)).map(\.path) }
        try inputs.check(outputs)
        try checkNames(outputs)
        let progress = ProgressPrinter(console)
        let context = try device.makeContext(profiling: profile.isOn, progress: progress)
        let recorder = try profile.makeRecorder(context, reading: inputs, writing: outputs)
        let session = try ExperimentSession.open(
            asked, on: context, family: device.kernelFamily, algorithms: run.map { .recorded($0) } ?? .byShape,
            report: progress.report)
        let experiment = session.experiment
        let normalisation = try experiment.inputNormalisation()
        let network = try session.makeNetwork(infersOnly: true)
        if checkpoint == nil, let remark = run?.remark(onWeights: files.map(\.file), of: experiment) {
            progress.report(.notice(remark))
        }
        // A mistake is told before anything is written.
        try network.load(files[0].file)
        let policies = try files.map { try policy.map(experiment.policy) ?? experiment.policy(recordedIn: $0.file) }
        if policy != nil, let remark = experiment.remark(onGiven: policies[0], for: files[0].file) {
            progress.report(.notice(remark))
        }
        let truths =
            format == .pictures ? GroundTruth(experiment, images: given.paths, report: progress.report) : nil
        try AtomicFile.makeFolder(URL(fileURLWithPath: output))
        func predict(_ images: [Image]) throws -> [String: Prediction] {
            var batch = Batch(
                count: images.count, height: images[0].height, width: images[0].width,
                indices: Array(images.indices), normalisation: normalisation)
            batch.image = images.count == 1 ? networkInput(images[0], normalisation) : []
            if images.count > 1 { for image in images { batch.image += networkInput(image, normalisation) } }
            var predictions: [String: Prediction] = [:]
            for ((file, tasks), chosen) in zip(files, policies) {
                if files.count > 1 { try network.load(file) }
                let all = try network.predict(batch, policy: chosen)
                predictions.merge(all.filter { tasks?.contains($0.key) ?? true }) { $1 }
            }
            return predictions
        }
        try profile.recording(with: recorder, on: console) {
            let failures = try given.forEachBatch(of: batch.count) { paths, images in
                let predictions: [String: Prediction]
                do {
                    predictions = try predict(images)
                } catch let error as InputError {
                    throw error.of(paths[0])
                } catch let error as DeviceError where error.isOutOfMemory {
                    // A step that has begun holds memory that the next images need.
                    try network.forgetSteps()
                    throw error
                }
                for (index, (path, image)) in zip(paths, images).enumerated() {
                    try writer.write(
                        predictions.mapValues { $0.image(index) }, of: image, at: path, truth: truths?.of(path))
                }
                try recorder?.collect()
            }
            try given.end(with: failures, on: console)
        }
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
}

extension InputError {
    /// The same as an error about an image, such as one that is too large for the device.
    fileprivate func of(_ image: String) -> InputError {
        InputError(
            file: image, place: [file, place].compactMap { $0 }.joined(separator: ", "), found: found,
            expected: expected)
    }
}

extension Upsampling: ExpressibleByArgument {}
