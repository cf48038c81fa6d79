import ArgumentParser
import DeviceLayer
import Foundation
import Operators
import Support
import Training

struct Train: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a network: warm-up, policy learning, retraining.",
        discussion: """
            Writes into the output folder: config.yml (resolved), algorithms.json, metrics.jsonl (losses and metrics), policy.json,
            checkpoints/*.safetensors and summary.json; with policy.budgets also policies/*.json, a run in retrain/<budget> for each,
            and tradeoff.json and tradeoff.svg, which compare them. A killed run continues with --resume and ends in the same bits.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var search: SearchOptions
    @OptionGroup var profile: ProfileOptions

    @Option(help: "Run folder, new or empty. Default: runs/<name of the configuration>.")
    var output: String?

    @Option(help: "Phases to run, comma-separated: warmup, policy, retrain.")
    var phases: PhaseList = PhaseList(phases: [.warmup, .policy, .retrain])

    @Option(help: "With --phases retrain, the policy to train under: \(PolicySource.expectation).")
    var policy: PolicySource?

    @Flag(help: "Continue the run in the output folder at its last checkpoint; starts it where there is none yet.")
    var resume = false

    struct PhaseList: ExpressibleByArgument {
        let phases: Set<Phase>
        init(phases: Set<Phase>) { self.phases = phases }
        init?(argument: String) {
            let names = argument.split(separator: ",").map(String.init)
            let phases = names.compactMap(Phase.init(rawValue:))
            guard !phases.isEmpty, phases.count == names.count, !phases.contains(.baseline) else { return nil }
            self.phases = Set(phases)
        }
        var defaultValueDescription: String { "warmup,policy,retrain" }
    }

    func validate() throws {
        guard policy == nil || phases.phases == [.retrain] else {
            throw ValidationError("--policy: expected with --phases retrain, which learns none.")
        }
    }

    private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    func run(on console: Console) throws {
        var configuration = try part.select(options.load())
        // Absolute, so that the run can be evaluated and resumed from any folder.
        configuration.dataset.root = configuration.dataset.root.map(absolute)
        configuration.model.initialCheckpoint = configuration.model.initialCheckpoint.map(absolute)
        for index in configuration.tasks.indices {
            guard case .file(let path) = configuration.tasks[index].classWeights else { continue }
            configuration.tasks[index].classWeights = .file(absolute(path))
        }
        try configuration.validateForTraining(file: options.config)
        let experiment = try Experiment(configuration)
        let dataset = try experiment.openInputs(phases: phases.phases)
        let given = try policy.map(experiment.selection)
        if !resume, given == nil, !configuration.policy.budgets.isEmpty, phases.phases.contains(.retrain),
            !phases.phases.contains(.policy) || configuration.training.policy.iterations == 0
        {
            throw InputError(
                file: options.config, place: "policy.budgets", found: "a retraining without policy learning before it",
                expected: "--phases with policy and training.policy.iterations above 0, or --policy")
        }
        let progress = ProgressPrinter(console)
        let context = try device.makeContext(profiling: profile.isOn, progress: progress)
        let recorder = try profile.makeRecorder(context)
        let stem = URL(fileURLWithPath: options.config).deletingPathExtension().lastPathComponent
        let folder = URL(fileURLWithPath: output ?? "runs/\(stem)")
        let exists = FileManager.default.fileExists(atPath: folder.path)
        let run = try RunDirectory(folder, mode: resume && exists ? .resume : .create)
        try run.prepare(configuration)

        if resume && !exists { progress.line("note: nothing to resume in \(folder.relativePath), starting") }
        progress.line("device \(context.device.name) (\(context.device.selector)), run folder \(folder.relativePath)")
        func report(_ event: ProgressEvent) {
            progress.report(event)
            // Evaluations launch much between two steps; a device that fails here fails in the next step again.
            if case .evaluating = event { try? recorder?.collect() }
        }
        let names = experiment.tasks.map(\.name)
        /// The network is let go at the end: what follows makes others.
        func train() throws -> (summary: RunSummary?, family: KernelFamily) {
            let trainer = try Trainer(
                experiment: experiment, dataset: dataset, context: context, family: device.kernelFamily, run: run,
                search: search.mode, report: report)
            trainer.profile = recorder
            if let given { try trainer.retrain(under: given) }
            try trainer.train(phases: phases.phases)
            return (try trainer.summarise(), trainer.network.executor.library.family)
        }
        try profile.recording(with: recorder, on: console) {
            let (summary, family) = try train()
            var tradeoff: Tradeoff?
            if let summary, phases.phases.contains(.retrain), SideRuns.areWanted(configuration) {
                let sides = SideRuns(
                    experiment: experiment, run: run, dataset: dataset, context: context, family: family,
                    kinds: SideRuns.kinds(configuration, isPolicyGiven: given != nil), search: search.mode,
                    profile: recorder, report: report)
                tradeoff = try sides.compare(with: summary)
            }
            progress.finish()
            let policies = try configuration.policy.budgets.filter { _ in tradeoff != nil && given == nil }.map {
                budget in
                (
                    budget: budget,
                    policy: try SelectionPolicy.read(
                        run.policy(of: budget), tasks: names, blocks: experiment.architecture.blocks.count)
                )
            }
            if let summary {
                try console.print(SummaryText(summary, tasks: names, policies: policies).text)
            }
            if let tradeoff { try console.print(TradeoffText(tradeoff, tasks: names).text) }
        }
    }
}
