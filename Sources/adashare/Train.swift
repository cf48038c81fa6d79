import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareOperators
import AdaShareRanks
import AdaShareSupport
import AdaShareTasks
import AdaShareTraining
import ArgumentParser
import Foundation

struct Train: LoggingCommand, JoiningCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a network: warm-up, policy learning, trials where they are asked for, retraining.",
        discussion: """
            Writes into the output folder: config.yml (resolved), algorithms.json, metrics.jsonl (losses and metrics), \
            events.out.tfevents.* (the same for TensorBoard), policy.json, pictures/*.png (predictions beside labels), \
            checkpoints/*.safetensors and summary.json; with policy.budgets also policies/*.json, a run in \
            retrain/<budget> for each, and tradeoff.json and tradeoff.svg, which compare them. A killed run continues \
            with --resume and ends in the same bits.
            The first Ctrl-C, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 or SIGXCPU ends the step at hand, keeps a checkpoint \
            and says how to go on (exit code 128 + the signal's number); a second one ends the process at once.
            """)

    @Option(
        help: ArgumentHelp(
            "Experiment configuration, YAML; docs/configuration.md lists every key.",
            discussion: "Not needed with --resume FOLDER, which has it. Files of the published code are taken too; "
                + "`adashare config translate` shows what they say."), completion: .file())
    var config: String?
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Change one key, for example training.batch=8; repeatable.", valueName: "path=value"))
    var overrides: [String] = []
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var search: SearchOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var logging: LogOptions

    @Option(help: "Run folder, new or empty. Default: runs/<name of the configuration>.", completion: .file())
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Phases to run, comma-separated, such as warmup, policy, retrain; or all. Default: all of the method's.",
            discussion: "A run keeps them: --resume without the option goes on with the phases of before."))
    var phases: PhaseList?

    @Option(help: "With --phases retrain, the policy to train under: \(PolicySource.expectation).", completion: .file())
    var policy: PolicySource?

    @Flag(
        help: ArgumentHelp(
            "Continue a run at its last checkpoint: --resume FOLDER alone, or with --config and --output.",
            discussion: "With --config it starts the run where there is none yet. What changes no result may change: "
                + "how often is logged, saved and scored, more iterations of a phase that is last or not finished, "
                + "where the data lies, the device. Of a run that is finished the results are printed again."))
    var resume = false

    @Argument(help: ArgumentHelp("With --resume, the run's folder.", valueName: "run"), completion: .file())
    var folder: String?

    @Option(
        help: ArgumentHelp(
            "Stop by itself before so much time is over, with a checkpoint, as at a signal (exit code 124).",
            valueName: "3h55m"), transform: TimeLimit.parsed)
    var timeLimit: TimeLimit?
    /// For programs that start this one and may be killed.
    @Flag(name: .customLong("stop-with-input"), help: .hidden) var stopsWithInput = false

    struct TimeLimit {
        let seconds: Double

        private init?(argument: String) {
            guard let seconds = StopRequest.seconds(argument) else { return nil }
            self.seconds = seconds
        }

        static func parsed(_ text: String) throws -> TimeLimit {
            guard let limit = TimeLimit(argument: text) else {
                throw ValidationError("found '\(text)', expected a time with its units: 3h55m, 90s, 1d12h or 3:55:00.")
            }
            return limit
        }
    }

    struct PhaseList: ExpressibleByArgument {
        let text: String
        /// nil for all.
        let phases: Set<Phase>?

        init?(argument: String) {
            text = argument
            let names = argument.split(separator: ",").map(String.init)
            guard !names.isEmpty else { return nil }
            phases = names == ["all"] ? nil : Set(names.map(Phase.init(rawValue:)))
        }
    }

    func validate() throws {
        if let folder {
            guard resume else {
                throw ValidationError("found '\(folder)' without an option; --resume takes a run's folder.")
            }
            guard output == nil else {
                throw ValidationError("found --output and a folder after --resume; expected one of them.")
            }
        }
        guard config != nil || resume && (folder ?? output) != nil else {
            throw ValidationError(
                resume
                    ? "--resume: expected a run's folder, or --config with the configuration of the run."
                    : "Missing expected argument '--config <config>'")
        }
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

    var configurationFile: String? { source }

    /// What is read; the run's files are made before a profile is written.
    private func inputs(_ configuration: ExperimentConfiguration) -> InputFiles {
        var inputs = InputFiles([source])
        inputs.add(configuration)
        inputs.add(policy)
        inputs.add(trainedIn: place.path)
        return inputs
    }

    /// The run's folder.
    var place: URL {
        let stem = config.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent } ?? ""
        return URL(fileURLWithPath: folder ?? output ?? "runs/\(stem)")
    }

    /// The file that says what is trained: the run's own where none is given.
    private var source: String { config ?? RunDirectory.Entry.configuration.url(in: place).relativePath }

    /// What is trained, with absolute paths, so that the run can be evaluated and resumed from any folder.
    private func loadConfiguration(on console: Console) throws -> ExperimentConfiguration {
        let known: ExperimentConfiguration?
        if config == nil {
            known = try RunDirectory(place, mode: .read).readConfiguration()
        } else {
            known = resume ? try? RunDirectory(place, mode: .read).readConfiguration() : nil
        }
        let configuration = try part.select(readConfiguration(source, overrides, on: console)).stored(beside: known)
        try configuration.validateForTraining(file: source)
        return configuration
    }

    func run(on console: Console) throws {
        try Launcher.run(
            resume ? "train --resume" : "train", advice: "checkpoints are whole: --resume goes on from the last one",
            on: console, located: located
        ) { console, ranks in
            guard let ranks, !ranks.isFirst else { return try run(on: console, ranks: ranks) }
            let scratch = try Launcher.scratch(ranks)
            defer { try? FileManager.default.removeItem(at: scratch) }
            var follower = self
            (follower.folder, follower.output) = folder == nil ? (nil, scratch.path) : (scratch.path, nil)
            follower.profile.profile = nil
            try follower.run(on: console, ranks: ranks)
        }
    }

    private func run(on console: Console, ranks: RankGroup?) throws {
        let limit = timeLimit?.seconds
        let stop = console.isProcess ? StopRequest.listening(limit: limit) : StopRequest(limit: limit)
        if stopsWithInput { StopRequest.listenForEndOfInput() }
        do {
            try train(on: console, stop: stop, ranks: ranks)
        } catch let error as NonFiniteLoss {
            throw Advised(error: error, advice: advice)
        } catch let error as NonFiniteWeights {
            throw Advised(error: error, advice: advice)
        } catch {
            // Of several processes another one may have been asked to stop.
            guard error is Stopped || (error as? DeviceError)?.isStop ?? false,
                let stopped = error as? Stopped ?? stop.reason.map({ Stopped(reason: $0) })
            else { throw error }
            console.say(.error, "\(stopped.description); to go on: " + goingOn.joined(separator: " "))
            throw ExitCode(stopped.reason.exitCode)
        }
    }

    /// An error with a way on.
    private struct Advised: Error, CustomStringConvertible {
        let error: any Error
        let advice: String
        var description: String { "\(error). \(advice)" }
    }

    /// What to do about rates that are too high: a run keeps those that it began with.
    private var advice: String {
        guard let run = try? RunDirectory(place, mode: .read), let known = try? run.readConfiguration() else {
            return ""
        }
        let rates = known.training.learningRate
        func set(_ key: String, _ value: String) -> String { " --set \(key)=\(value)" }
        let new =
            "adashare train --config \(Self.quoted(run.configuration.relativePath))"
            + set("training.learning_rate.backbone", "\(rates.backbone / 10)")
            + set("training.learning_rate.heads", "\(rates.heads / 10)")
            + " --output \(Self.quoted(place.relativePath + "-lower"))"
        let isAhead = run.latestCheckpoint.map { !$0.lastPathComponent.hasSuffix("-0000000.safetensors") } ?? false
        let weights =
            isAhead
            ? run.latestCheckpoint.map {
                "; from this run's last weights with" + set("model.initial_checkpoint", Self.quoted($0.relativePath))
            } : nil
        return "A run keeps its rates; a new one begins with: \(new)" + (weights ?? "")
    }

    /// A word of a shell's command.
    static func quoted(_ text: String) -> String {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+=:,@%".contains($0)) }
        let parts = text.split(separator: "'", omittingEmptySubsequences: false)
        return isPlain ? text : "'" + parts.joined(separator: "'\\''") + "'"
    }

    /// The command that goes on with the run.
    private var goingOn: [String] {
        let isBegun = FileManager.default.fileExists(atPath: RunDirectory.Entry.configuration.url(in: place).path)
        var command = ["adashare", "train"]
        if !isBegun, let config {
            command += ["--config", Self.quoted(config), "--output", Self.quoted(place.relativePath)]
            command += overrides.flatMap { ["--set", Self.quoted($0)] }
            if let tasks = part.tasks { command += ["--tasks", Self.quoted(tasks)] }
        } else {
            command += ["--resume", Self.quoted(place.relativePath)]
        }
        if let phases { command += ["--phases", Self.quoted(phases.text)] }
        if let policy { command += ["--policy", Self.quoted(policy.name)] }
        if let name = device.device { command += ["--device", Self.quoted(name)] }
        if search.noSearch { command.append("--no-search") }
        return command
    }

    private func train(on console: Console, stop: StopRequest, ranks: RankGroup?) throws {
        let folder = place
        if resume, let ranks { try RunDirectory.copy(folder, fromFirstOf: ranks) }
        let configuration = try loadConfiguration(on: console)
        var experiment = try Experiment(configuration)
        if let ranks { try experiment.divide(among: ranks) }
        try checkPhases(experiment)
        let asked = try asked(of: experiment)
        if resume {
            // Of several processes the first one has the whole run.
            func isFinished() throws -> Bool { try showFinished(experiment, asked, on: console) }
            let isDone = try ranks.map { try $0.first([try isFinished() ? 1 : 0]) == [1] } ?? isFinished()
            if isDone { return }
        }
        if resume { try checkData(of: configuration) }
        let exists = FileManager.default.fileExists(atPath: folder.path)
        let kept = RunDirectory.initialWeights(in: folder)
        let datasets = try experiment.openInputs(
            phases: asked?.phases,
            initialWeights: resume && FileManager.default.fileExists(atPath: kept.path) ? kept : nil)
        let given = asked?.policy
        let outlines = experiment.method.phases(experiment.methodSettings)
        func isAsked(_ phase: Phase) -> Bool { asked?.phases.contains(phase) ?? true }
        let isElsewhere = outlines.contains { $0.isElsewhere && $0.iterations > 0 && isAsked($0.phase) }
        let learns = outlines.contains {
            $0.phase == experiment.method.learner && $0.iterations > 0 && isAsked($0.phase)
        }
        if !resume, given == nil, isElsewhere, !learns {
            throw InputError(
                file: source, place: "policy.budgets",
                found: "a retraining without policy learning before it",
                expected: "--phases with policy and training.policy.iterations above 0, or --policy")
        }
        let progress = ProgressPrinter(console)
        let hadConfiguration = FileManager.default.fileExists(
            atPath: RunDirectory.Entry.configuration.url(in: folder).path)
        // A folder that cannot be taken is told before data is looked at; a new one is made when that is sound.
        let taken = exists ? try RunDirectory(folder, mode: resume ? .resume : .create) : nil
        let isBegun = resume && FileManager.default.fileExists(atPath: RunDirectory.latest(in: folder).path)
        if !isBegun { try experiment.scan(datasets, report: progress.report, stop: ranks == nil ? stop : nil) }
        let context = try device.makeContext(profiling: profile.isOn, progress: progress, ranks: ranks)
        if let ranks {
            let phases = asked.map { $0.phases.map(\.rawValue).sorted().joined(separator: ", ") } ?? "all phases"
            try experiment.compare(datasets, on: context, asked: phases, with: ranks)
        }
        let recorder = try profile.makeRecorder(context, reading: inputs(configuration))
        let run = try taken ?? RunDirectory(folder, mode: .create)
        let changes = try run.prepare(configuration)
        if !isBegun { try run.keep(asked, of: outlines) }

        let idle = experiment.method.idleKeys(experiment.methodSettings)
        if !idle.isEmpty {
            console.say(
                .notice, "without effect with method \(configuration.method.kind): \(idle.joined(separator: ", "))")
        }
        if run.hasNoLocks {
            console.say(
                .notice, "the file system of \(folder.relativePath) has no locks: nothing keeps another process away")
        }
        if hadConfiguration && !resume {
            console.say(.notice, "the run in \(folder.relativePath) had not taken a step: it begins anew")
        }
        if resume && !exists { console.say(.notice, "nothing to resume in \(folder.relativePath), starting") }
        if let ranks { progress.line("\(ranks.count) processes, \(ranks.description)") }
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
                search: search.mode, changes: changes, stop: stop, report: report)
            trainer.profile = recorder
            if let given { try trainer.retrain(under: given) }
            try trainer.train(phases: asked?.phases) { try run.keep(asked, of: outlines) }
            return (try trainer.summarise(), trainer.network.executor.library.family)
        }
        try profile.recording(with: recorder, summary: run.profile, on: console) {
            let (summary, family) = try train()
            var tradeoff: Tradeoff?
            let kinds = SideRuns.kinds(configuration, isPolicyGiven: given != nil)
            if let summary, isAsked(.retrain), SideRuns.areWanted(configuration, isPart: run.isPart) {
                let sides = SideRuns(
                    experiment: experiment, run: run, datasets: datasets, context: context, family: family,
                    kinds: kinds, search: search.mode, profile: recorder, stop: stop, report: report)
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
                let missed = experiment.missed(policies, measured: tradeoff)
                try console.print(
                    SummaryText(
                        summary, tasks: names, phases: outlines.map(\.phase), policies: policies, missed: missed,
                        sides: tradeoff == nil ? [] : run.summaries(of: kinds)
                    ).text)
            }
            if let tradeoff { try console.print(TradeoffText(tradeoff, tasks: names).text) }
            if summary != nil { progress.line(Self.closing(of: folder, tradeoff)) }
        }
    }
}
