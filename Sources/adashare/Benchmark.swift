import AdaShareBenchmarks
import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareSupport
import ArgumentParser
import Foundation

struct Benchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what the engine claims.",
        subcommands: [Skip.self, Primitives.self, Pipeline.self, Scale.self, ScaleModelCommand.self, FirstLook.self])

    struct Skip: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Time policies against the same step with everything selected.",
            discussion: """
                ideal: the all-selected run's own kernel times, summed over the kernels a policy still needs.
                fidelity: ideal ÷ measured; measured up to three times if outside 0.95...1.05, the nearest to 1 \
                stands.
                speedup: one all-selected pass per task ÷ measured; hard sharing ÷ it: one all-selected pass for all \
                tasks ÷ measured. idle: of the time from the first kernel's start to the last one's end, what none ran \
                in. kernels: launches per step. µs/launch: what the host takes for each. MB: planned on the device. \
                spread: (max - min) ÷ median.
                Steps of a few milliseconds are too short for any of this: raise --size, --batch or --repeats.
                Default network: the published NYU v2 three-task one; change it with --config and --set.
                """)

        @Option(help: "Experiment configuration, YAML; only tasks and model count.", completion: .file()) var config:
            String?
        @Option(
            name: .customLong("set"),
            help: ArgumentHelp(
                "Change one key, for example model.head=light; repeatable.", valueName: "path=value"))
        var overrides: [String] = []
        @Option(help: "Image size, HxW, each 1 to 16384.") var size = Size(height: 224, width: 224)
        @Option(help: "Images per step, 1 to 65536.") var batch = BatchSize(4)
        @Option(help: "Timed repeats of each row, 1 to 1000000, after one that is not.") var repeats = 9
        @Option(help: "Steps, comma-separated: inference, retrain, weights, logits.")
        var steps = StepList(steps: SkipReport.Step.allCases)
        @Option(
            help: ArgumentHelp(
                "Rows, comma-separated: random, alike (all tasks agree), alone; soft (weights, logits); published, "
                    + "others: published policies of this and other networks (inference, retrain). Default: all, "
                    + "with --config all but others.")
        )
        var rows: GroupList?
        @Option(help: "A policy of one's own as a row: \(PolicySource.expectation); repeatable.", completion: .file())
        var policy: [PolicySource] = []
        @Option(help: ArgumentHelp("Write the rows as JSON.", valueName: "file"), completion: .file()) var json: String?
        @Option(
            help: ArgumentHelp("Draw ms against density, beside hard sharing, SVG.", valueName: "file"),
            completion: .file()) var plot: String?
        @Flag(help: "Only build the plans of the rows, --repeats times each, and run none.") var plans = false
        @OptionGroup var device: DeviceOptions
        @OptionGroup var search: SearchOptions
        @OptionGroup var profile: ProfileOptions
        @OptionGroup var logging: LogOptions

        struct StepList: ExpressibleByArgument {
            let steps: [SkipReport.Step]
            init(steps: [SkipReport.Step]) { self.steps = steps }
            init?(argument: String) {
                let names = argument.split(separator: ",").map(String.init)
                steps = names.compactMap(SkipReport.Step.init(rawValue:))
                guard !steps.isEmpty, steps.count == names.count, Set(names).count == names.count else { return nil }
            }
            var defaultValueDescription: String { "inference,retrain,weights,logits" }
        }

        struct GroupList: ExpressibleByArgument {
            let groups: Set<SkipBenchmark.Group>
            init(groups: Set<SkipBenchmark.Group>) { self.groups = groups }
            init?(argument: String) {
                let names = argument.split(separator: ",").map(String.init)
                let known = names.compactMap(SkipBenchmark.Group.init(rawValue:))
                guard !known.isEmpty, known.count == names.count else { return nil }
                groups = Set(known)
            }
        }

        /// The published networks are measured beside a network of one's own only where they are asked for.
        private var groups: Set<SkipBenchmark.Group> {
            let all = Set(SkipBenchmark.Group.allCases)
            return rows?.groups ?? (config == nil ? all : all.subtracting([.others]))
        }

        func validate() throws {
            try checkRepeats(repeats)
            if plans, json != nil || plot != nil {
                throw ValidationError("--plans prints; it writes no --json or --plot.")
            }
            if let json, json == plot { throw ValidationError("--json and --plot name the same file, \(json).") }
            for group in rows?.groups ?? [] where groups.count < SkipBenchmark.Group.allCases.count {
                if !steps.steps.contains(where: group.applies) {
                    throw ValidationError("--rows \(group.rawValue): none of the steps has such rows.")
                }
            }
        }

        func run(on console: Console) throws {
            let experiment = try Experiment(try loadConfiguration(on: console))
            try experiment.requirePolicies()
            var inputs = InputFiles([config])
            inputs.add(experiment.configuration)
            for source in policy { inputs.add(source) }
            try inputs.check([json, plot].compactMap { $0 })
            let policies = try policy.map { (name: $0.name, policy: try experiment.policy($0)) }
            if let json { try checkWritable(json, "the rows") }
            if let plot { try checkWritable(plot, "the plot") }
            let progress = ProgressPrinter(console)
            let context = try device.makeContext(profiling: !plans, progress: progress)
            let recorder = try profile.makeRecorder(
                context, reading: inputs, writing: [json, plot].compactMap { $0 })
            progress.line("device \(context.device.name) (\(context.device.selector))")
            try profile.recording(with: recorder, on: console) {
                let benchmark = SkipBenchmark(
                    experiment: experiment,
                    shape: BatchShape(count: batch.count, height: size.height, width: size.width), repeats: repeats,
                    steps: steps.steps, groups: groups, policies: policies, context: context,
                    family: device.kernelFamily,
                    search: search.mode,
                    profile: recorder,
                    report: progress.report)
                if plans { return try console.print(benchmark.plans()) }
                let report = try benchmark.run()
                if let json { try report.write(to: URL(fileURLWithPath: json)) }
                if let plot { try SkipPlot(report).write(to: URL(fileURLWithPath: plot)) }
                for step in steps.steps { try console.print(report.table(step) + "\n") }
                if let warning = report.warning { try console.print(warning + "\n") }
                try console.print(
                    "Convolutions in \(report.precision). A cached plan is found in "
                        + "\(readable(report.cachedPlanUs, digits: 3)) µs"
                )
            }
        }

        private func loadConfiguration(on console: Console) throws -> ExperimentConfiguration {
            guard let config else { return try .published(PublishedPolicies.nyu3, overrides: overrides) }
            return try readConfiguration(config, overrides, on: console)
        }
    }
}

extension Benchmark {
    struct Primitives: LoggingCommand {
        static let configuration = CommandConfiguration(
            commandName: "operators",
            abstract: "Time every distinct primitive of the networks alone.",
            discussion: """
                Convolutions of resnet18, 34 and 50 with full heads, three passes each, at 224x224 batch 8 and 321x321 \
                batch 4, beside batch norm, pooling, losses and Adam. GFLOP/s count the direct sum, whatever the \
                algorithm.
                Algorithms that were not measured on this device before are measured first; see --no-search.
                Beside PyTorch: tools/compare-operators.
                """)

        @Option(
            help: ArgumentHelp(
                "Only cases whose name, kind or pass contains this, such as 1x1, \"29x29x512->1024\" or "
                    + "weight_gradient; several with commas between them.")
        )
        var filter: String?
        @Option(help: "What convolutions multiply: float32, tf32 or bfloat16; see model.precision.")
        var precision = ModelPrecision.float32
        @Option(help: "Timed repeats of each row, at least, 1 to 1000000; short ones run more often.") var repeats = 5
        @Option(help: ArgumentHelp("Write the rows as JSON.", valueName: "file"), completion: .file()) var json: String?
        @OptionGroup var device: DeviceOptions
        @OptionGroup var search: SearchOptions
        @OptionGroup var logging: LogOptions

        func validate() throws {
            try checkRepeats(repeats)
            if let filter, let expected = try OperatorBenchmark.expectation(insteadOf: filter) {
                throw ValidationError("--filter: found '\(filter)', expected \(expected).")
            }
        }

        func run(on console: Console) throws {
            if let json { try checkWritable(json, "the rows") }
            let progress = ProgressPrinter(console)
            let context = try device.makeContext(progress: progress)
            progress.line("device \(context.device.name) (\(context.device.selector))")
            let report = try OperatorBenchmark(
                context: context, family: device.kernelFamily, repeats: repeats, filter: filter, precision: precision,
                search: search.mode,
                report: progress.report
            ).run()
            if let json { try report.write(to: URL(fileURLWithPath: json)) }
            try console.print(report.table)
        }
    }
}

extension Benchmark {
    struct FirstLook: LoggingCommand {
        static let configuration = CommandConfiguration(
            commandName: "device",
            abstract: "Look at a device for the first time: is what it computes right?",
            discussion: """
                Every algorithm of twelve convolutions, three passes each, in every precision that the device has, \
                against float64;
                and on GPUs what kernels keep in memory instead of registers, which makes them slow. An answer a line, \
                as it comes; exit code 1 if any is wrong. tools/gpu-check first runs it.
                """)

        @Flag(help: "Only one convolution, to try the command itself.") var short = false
        @OptionGroup var device: DeviceOptions
        @OptionGroup var logging: LogOptions

        func run(on console: Console) throws {
            let context = try device.makeContext(progress: ProgressPrinter(console))
            let wrong = try DeviceCheck(context: context, family: device.kernelFamily, isShort: short) {
                try console.print($0)
            }.run()
            guard wrong == 0 else {
                throw InputError(
                    file: "device \(context.device.name)", found: "\(wrong) wrong or failed results",
                    expected: "those of the float64 reference")
            }
        }
    }
}
