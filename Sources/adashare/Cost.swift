import ArgumentParser
import Foundation
import Models
import Operators
import Training

struct Cost: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Count multiply-accumulates and parameters of a network under a policy.",
        discussion: """
            MACs of convolutions for one image: all blocks in one pass per task, the policy in one pass per task, and the
            policy with every distinct (input, block) computed once; hard sharing in one pass, to compare with; and the memory each kind of step plans for. Needs only
            tasks and model of the configuration.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @Option(help: "Policy: \(PolicySource.expectation). Default: every task uses every block.")
    var policy: PolicySource?
    @Option(help: "Image size, HxW, each 1 to 16384. Default: dataset.crop.") var size: Size?
    @Option(help: "Images per step, 1 to 65536, for the memory. Default: training.batch.") var batch: BatchSize?
    @Option(help: "Kernels that the memory is planned for: cpu or gpu.") var kernelFamily = KernelFamily.cpu
    @Flag(help: "Print JSON.") var json = false

    func run(on console: Console) throws {
        var experiment = try Experiment(part.select(options.load()))
        if let notice = experiment.settle(for: kernelFamily) { ProgressPrinter(console).report(.notice(notice)) }
        let crop = experiment.configuration.dataset.crop
        let model = CostModel(
            experiment.architecture, height: size?.height ?? crop.height, width: size?.width ?? crop.width)
        let chosen = try policy.map(experiment.policy)
        let cost = model.report(policy: chosen)
        let shape = BatchShape(
            count: batch?.count ?? experiment.configuration.training.batch, height: model.height, width: model.width)
        // Work can be counted for sizes that no step could be planned for.
        let memory = Result { [experiment] in
            try experiment.memory(shape, policy: chosen, family: kernelFamily)
        }
        if json {
            try console.print(try JSONText.pretty(Report(cost: cost, memory: try? memory.get())))
        } else {
            try console.print(cost.table())
            if let warning = chosen.flatMap(model.warning) { try console.print(warning + "\n") }
        }
        switch memory {
        case .success(let memory): if !json { try console.print(memory.table) }
        case .failure(let error): ProgressPrinter(console).line("no memory plan: \(error)")
        }
    }

    /// The cost report with the memory beside it.
    private struct Report: Encodable {
        let cost: CostReport
        /// Null where a tensor has more elements than kernels count.
        let memory: MemoryReport?

        enum CodingKeys: String, CodingKey { case memory }

        func encode(to encoder: any Encoder) throws {
            try cost.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(memory, forKey: .memory)
        }
    }
}
