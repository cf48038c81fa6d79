import ArgumentParser
import Foundation
import Models
import Training

struct Cost: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Count multiply-accumulates and parameters of a network under a policy.",
        discussion: """
            MACs of convolutions for one image: all blocks in one pass per task, the policy in one pass per task, and the
            policy with every distinct (input, block) computed once. Needs only tasks and model of the configuration.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @Option(help: "Policy, JSON as in policy.json. Default: every task uses every block.") var policy: String?
    @Option(help: "Image size, HxW. Default: dataset.crop.") var size: Size?
    @Flag(help: "Print JSON.") var json = false

    func run() throws {
        let experiment = try Experiment(part.select(options.load()))
        let crop = experiment.configuration.dataset.crop
        let model = CostModel(
            experiment.architecture, height: size?.height ?? crop.height, width: size?.width ?? crop.width)
        let report = model.report(policy: try policy.map { try experiment.policy(at: URL(fileURLWithPath: $0)) })
        print(json ? try JSONText.pretty(report) : report.table())
    }
}
