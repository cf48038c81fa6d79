import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareOperators
import AdaShareSupport
import AdaShareTraining
import ArgumentParser
import Foundation

struct Train: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a network, by default in three phases: warm-up, policy learning, retraining.",
        discussion: """
            Writes into the output folder: config.yml (resolved), algorithms.json, metrics.jsonl (losses and \
            metrics), policy.json,
            checkpoints/*.safetensors and summary.json; with policy.budgets also policies/*.json, a run in \
            retrain/<budget> for each,
            and tradeoff.json and tradeoff.svg, which compare them. A killed run continues with --resume and ends in \
            the same bits.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var search: SearchOptions
    @OptionGroup var profile: ProfileOptions

    @Option(help: "Run folder, new or empty. Default: runs/<name of the configuration>.")
    var output: String?

    @Option(help: "Phases to run, comma-separated, such as warmup, policy, retrain. Default: all of the method's.")
    var phases: PhaseList?

    @Option(help: "With --phases retrain, the policy to train under: \(PolicySource.expectation).")
    var policy: PolicySource?

    @Flag(help: "Continue the run in the output folder at its last checkpoint; starts it where there is none yet.")
    var resume = false

    struct PhaseList: ExpressibleByArgument {
        let text: String
        let phases: Set<Phase>

        init?(argument: String) {
            text = argument
            let names = argument.split(separator: ",").map(String.init)
            guard !names.isEmpty else { return nil }
            phases = Set(names.map(Phase.init(rawValue:)))
        }
    }

    func validate() throws {
        guard policy == nil || phases?.phases == [.retrain] else {
            throw ValidationError(
                "--policy: expected with --phases retrain, which learns none; or method=fixed with method.policy.")
        }
    }

    /// Refuses phases that the method does not have, or that come with others.
    private func checkPhases(_ experiment: Experiment) throws {
        let known = experiment.method.phases(experiment.methodSettings).filter { $0.companion == nil }.map(\.phase)
        let unknown = (phases?.phases ?? []).subtracting(known).map(\.rawValue).sorted()
        guard unknown.isEmpty else {
            throw ValidationError(
                "--phases: found '\(phases?.text ?? "")', expected of method \(experiment.configuration.method.kind) "
                    + known.map(\.rawValue).joined(separator: ", ") + ".")
        }
    }

    func run(on console: Console) throws {
        let configuration = try part.select(options.load(on: console)).withAbsolutePaths
        try configuration.validateForTraining(file: options.config)
        let experiment = try Experiment(configuration)
        try checkPhases(experiment)
        let stem = URL(fileURLWithPath: options.config).deletingPathExtension().lastPathComponent
        let folder = URL(fileURLWithPath: output ?? "runs/\(stem)")
        let exists = FileManager.default.fileExists(atPath: folder.path)
        let kept = RunDirectory.initialWeights(in: folder)
        let datasets = try experiment.openInputs(
            phases: phases?.phases,
            initialWeights: resume && FileManager.default.fileExists(atPath: kept.path) ? kept : nil)
        let given = try policy.map(experiment.selection)
        let outlines = experiment.method.phases(experiment.methodSettings)
        func isAsked(_ phase: Phase) -> Bool { phases?.phases.contains(phase) ?? true }
        let isElsewhere = outlines.contains { $0.isElsewhere && $0.iterations > 0 && isAsked($0.phase) }
        let learns = outlines.contains {
            $0.phase == experiment.method.learner && $0.iterations > 0 && isAsked($0.phase)
        }
        if !resume, given == nil, isElsewhere, !learns {
            throw InputError(
                file: options.config, place: "policy.budgets", found: "a retraining without policy learning before it",
                expected: "--phases with policy and training.policy.iterations above 0, or --policy")
        }
        let progress = ProgressPrinter(console)
        let context = try device.makeContext(profiling: profile.isOn, progress: progress)
        let recorder = try profile.makeRecorder(context)
        let run = try RunDirectory(folder, mode: resume && exists ? .resume : .create)
        try run.prepare(configuration)

        let idle = experiment.method.idleKeys(experiment.methodSettings)
        if !idle.isEmpty {
            progress.line(
                "note: without effect with method \(configuration.method.kind): \(idle.joined(separator: ", "))")
        }
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
                experiment: experiment, datasets: datasets, context: context, family: device.kernelFamily, run: run,
                search: search.mode, report: report)
            trainer.profile = recorder
            if let given { try trainer.retrain(under: given) }
            try trainer.train(phases: phases?.phases)
            return (try trainer.summarise(), trainer.network.executor.library.family)
        }
        try profile.recording(with: recorder, on: console) {
            let (summary, family) = try train()
            var tradeoff: Tradeoff?
            if let summary, isAsked(.retrain), SideRuns.areWanted(configuration) {
                let sides = SideRuns(
                    experiment: experiment, run: run, datasets: datasets, context: context, family: family,
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
                try console.print(
                    SummaryText(
                        summary, tasks: names, phases: outlines.map(\.phase), policies: policies
                    ).text)
            }
            if let tradeoff { try console.print(TradeoffText(tradeoff, tasks: names).text) }
        }
    }
}
