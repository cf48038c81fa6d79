import AdaShareExperiments
import AdaShareExport
import AdaShareFiles
import AdaShareMethods
import AdaShareSupport
import AdaShareTraining
import ArgumentParser
import Foundation

extension ExportedInput: ExpressibleByArgument {}
extension NetworkExport.Names: ExpressibleByArgument {}

struct Export: LoggingCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a run's network for other programs: ONNX, or safetensors.",
        discussion: """
            The network of the chosen tasks under the policy it was trained with: blocks that none of them selects are \
            not there, what they have in common is there once. ONNX: opset 18, one output for each task, before any \
            softmax; batch, height and width are the caller's. No OpenCL device is needed.
            """)

    enum Format: String, CaseIterable, ExpressibleByArgument { case onnx, safetensors }

    @Option(name: .customLong("run"), help: "Run folder that `train` wrote.", completion: .file()) var path: String
    @Option(help: "onnx or safetensors.") var format: Format
    @Option(help: "The file.", completion: .file()) var output: String
    @Option(help: "Weights, safetensors. Default: those of the run's last finished phase.", completion: .file())
    var checkpoint: String?
    @Option(help: "Policy: \(PolicySource.expectation). Default: what the checkpoint records.", completion: .file())
    var policy: PolicySource?
    @Option(
        help: "What the model is given: pixels (uint8, N×H×W×3, red first) or normalised (float, N×3×H×W, as trained).")
    var input: ExportedInput = .normalised
    @Flag(name: .customLong("keep-batch-norms"), help: "Do not fold batch norms into convolutions.")
    var keepsBatchNorms = false
    @Option(help: "What tensors of safetensors are called: published, or of the backbone as in torchvision and timm.")
    var names: NetworkExport.Names = .published
    @OptionGroup var part: TaskOptions
    @OptionGroup var logging: LogOptions

    func validate() throws {
        if format == .onnx, names != .published {
            throw ValidationError("--names: expected with --format safetensors.")
        }
        guard format == .safetensors, input != .normalised || keepsBatchNorms else { return }
        throw ValidationError("--input and --keep-batch-norms: expected with --format onnx.")
    }

    func run(on console: Console) throws {
        let run = try RunDirectory(URL(fileURLWithPath: path), mode: .read)
        let experiment = try Experiment(part.select(run.readConfiguration()))
        let results =
            try checkpoint.map { [(weights: URL(fileURLWithPath: $0), tasks: [String]?.none)] }
            ?? run.results(of: experiment)
        guard policy == nil || results.count == 1 else {
            throw ValidationError(
                "--policy: found a run of \(results.count) networks, one for each task; expected one.")
        }
        let sources = try results.map { weights, tasks in
            let file = try TensorFile.read(weights)
            let given = try policy.map(experiment.policy)
            if let given, let remark = experiment.remark(onGiven: given, for: file) { console.say(.notice, remark) }
            return NetworkExport.Source(
                file: file, policy: try given ?? experiment.policy(recordedIn: file),
                tasks: tasks ?? EvaluationResult.tasks(of: file))
        }
        if checkpoint == nil, let remark = run.remark(onWeights: sources.map(\.file), of: experiment) {
            console.say(.notice, remark)
        }
        let export = try NetworkExport(
            experiment, sources: sources, classes: experiment.classNames(known: run.readClasses()))
        let url = URL(fileURLWithPath: output)
        var inputs = InputFiles(results.map(\.weights.path))
        inputs.add(trainedIn: path)
        try inputs.check([output])
        switch format {
        case .onnx:
            try AtomicFile.write(
                export.onnx(
                    input, foldsBatchNorms: !keepsBatchNorms, version: AdaShareCommand.configuration.version),
                to: url)
        case .safetensors: try export.tensors(names).write(to: url)
        }
        try console.print("wrote \(output)")
    }
}
