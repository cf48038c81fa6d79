import AdaShareExperiments
import AdaShareExport
import AdaShareFiles
import AdaShareSupport
import ArgumentParser
import Foundation

extension WeightImport.Convention: ExpressibleByArgument {}

struct Import: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make weights of other programs ones that training begins from.",
        discussion: """
            Reads safetensors of residual networks: by the names of torchvision and timm, or of the published code, \
            with anything such as module. before them, of 16, 32 and 64 bits. What is missing, and heads of other \
            sizes, start anew; tensors that the network does not have are left out. Of what PyTorch pickles, \
            tools/pickle-to-safetensors makes safetensors. No OpenCL device is needed.
            """)

    @Argument(help: "Weights, safetensors.", completion: .file()) var weights: String
    @OptionGroup var options: ConfigurationOptions
    @Option(help: "The file, which model.initial_checkpoint takes.", completion: .file()) var output: String
    @Option(
        help: ArgumentHelp(
            "How images entered the network: published, standardised-rgb or centred-rgb.",
            discussion: "published: B,G,R 0 to 255 minus a mean; standardised-rgb: torchvision's and most of timm's; "
                + "centred-rgb: R,G,B from -1 to 1. Default: what the file records, standardised-rgb with names of "
                + "torchvision, else no change."))
    var inputConvention: WeightImport.Convention?
    @Option(help: "What names begin with, where a file holds several networks, with its dot, such as student.")
    var prefix: String?

    func run(on console: Console) throws {
        let experiment = try Experiment(options.load(on: console))
        var inputs = InputFiles([weights, options.config])
        inputs.add(experiment.configuration)
        try inputs.check([output])
        try checkWritable(output, "the weights")
        let imported = try WeightImport(
            TensorFile.read(URL(fileURLWithPath: weights)), for: experiment, convention: inputConvention, prefix: prefix
        )
        try imported.tensors.write(to: URL(fileURLWithPath: output))
        try console.print("wrote \(output): " + imported.remarks.joined(separator: "\n"))
    }
}
