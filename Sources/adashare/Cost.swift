import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import ArgumentParser
import Foundation

struct Cost: LoggingCommand {
    static let configuration = CommandConfiguration(
        abstract: "Count multiply-accumulates and parameters of a network under a policy.",
        discussion: """
            MACs of convolutions for one image: all blocks in one pass per task, the policy in one pass per task, and \
            the policy with every distinct (input, block) computed once; hard sharing in one pass, to compare with; \
            and the memory each kind of step plans for. Needs only tasks and model of the configuration.
            With --time, what each part of the network takes on a device in a step of --batch images, and what the \
            configuration's training takes in all.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @Option(help: "Policy: \(PolicySource.expectation). Default: every task uses every block.", completion: .file())
    var policy: PolicySource?
    @Option(help: "Image size, HxW, each 1 to 16384. Default: dataset.crop.") var size: Size?
    @Option(help: "Images per step, 1 to 65536, for the memory. Default: training.batch.") var batch: BatchSize?
    @Flag(help: "Measure on a device what each part takes, once: what is known of it is not measured again.")
    var time = false
    @OptionGroup var device: DeviceOptions
    @OptionGroup var search: SearchOptions
    @OptionGroup var logging: LogOptions
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard time || (device.device == nil && !search.noSearch) else {
            throw ValidationError("--device and --no-search: expected with --time, which computes.")
        }
    }

    func run(on console: Console) throws {
        var experiment = try Experiment(part.select(options.load(on: console)))
        let progress = ProgressPrinter(console)
        let context = time ? try device.makeContext(progress: progress) : nil
        let family = device.kernelFamily ?? context.map { KernelFamily(for: $0.device) } ?? .cpu
        // A device says for itself what it computes.
        if context == nil, let notice = experiment.settle(for: family) { progress.report(.notice(notice)) }
        let crop = experiment.configuration.dataset.crop
        let model = experiment.cost(height: size?.height ?? crop.height, width: size?.width ?? crop.width)
        let foreseen = try experiment.method.foreseenPolicy(
            experiment.methodSettings, macs: experiment.trainingCost.parts)
        let chosen = try policy.map(experiment.policy) ?? foreseen
        let cost = model.report(policy: chosen)
        let shape = BatchShape(
            count: batch?.count ?? experiment.configuration.training.batch, height: model.height, width: model.width)
        if !json {
            try console.print(cost.table())
            if let warning = chosen.flatMap(model.parts.warning) { try console.print(warning + "\n") }
            let networks = experiment.method.results(experiment.methodSettings).count { $0.tasks != nil }
            if networks > 1, policy == nil {
                let all = Double(networks * cost.backbone.parameters + cost.heads.parameters) / 1e6
                try console.print(
                    "\(type(of: experiment.method).kind): \(networks) networks, one for each task, with "
                        + "\(readable(all)) M parameters in all and the cost of one pass per task\n")
            }
        }
        let times = try context.map { context in
            progress.line(
                "timing steps of \(shape.count) × \(dimensions(height: shape.height, width: shape.width)) on "
                    + "\(context.device.name): inference and training part by part"
                    + (shape == experiment.trainingShape ? ", then the steps of each phase" : "")
                    + "; each runs at least \(PartTimer.leastRuns) times, after its kernels are compiled and its "
                    + "convolutions measured where that has not been done on this device")
            let session = try ExperimentSession.open(
                experiment, on: context, family: family, algorithms: .searched(search.mode, shape),
                report: progress.report)
            experiment = session.experiment
            let timer = PartTimer(session, mode: search.mode, report: progress.report)
            // The number of policy steps may need the data set; where there is none, that is said.
            let datasets = try? experiment.makeDatasets()
            return try timer.report(shape, policy: chosen, datasets: datasets)
        }
        progress.finish()
        // Work can be counted for sizes that no step could be planned for.
        let memory = Result { [experiment] in
            try experiment.memory(shape, policy: chosen, family: family)
        }
        if json {
            try console.print(try JSONText.pretty(Report(cost: cost, memory: try? memory.get(), time: times)))
        } else if let times {
            try console.print(
                times.text(blocks: cost.blocks.map(\.name), tasks: experiment.tasks.map(\.name)))
        }
        switch memory {
        case .success(let memory):
            guard !json else { break }
            try console.print(memory.table)
            if times != nil, search.mode != .off {
                try console.print(
                    "planned with the algorithms that are fastest on this device, which may take more or less memory "
                        + "than those chosen by shape")
            }
        case .failure(let error): progress.line("no memory plan: \(error)")
        }
    }

    /// The cost report with the memory beside it.
    private struct Report: Encodable {
        let cost: CostReport
        /// Null where a tensor has more elements than kernels count.
        let memory: MemoryReport?
        /// With --time.
        let time: TimeReport?

        enum CodingKeys: String, CodingKey { case memory, time }

        func encode(to encoder: any Encoder) throws {
            try cost.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(memory, forKey: .memory)
            try container.encodeIfPresent(time, forKey: .time)
        }
    }
}
