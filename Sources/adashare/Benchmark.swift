import ArgumentParser
import DeviceLayer
import Foundation
import Models
import Training

struct Benchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what the engine claims.", subcommands: [Skip.self])

    struct Skip: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Time policies against the same step with everything selected.",
            discussion: """
                ideal: the all-selected run's own kernel times, summed over the kernels a policy still needs.
                fidelity: ideal ÷ measured. speedup: one all-selected pass per task ÷ measured.
                Default network: the published NYU v2 three-task one; change it with --config and --set.
                """)

        @Option(help: "Experiment configuration, YAML; only tasks and model count.") var config: String?
        @Option(
            name: .customLong("set"),
            help: ArgumentHelp(
                "Change one key, for example model.head=light; repeatable.", valueName: "path=value"))
        var overrides: [String] = []
        @Option(help: "Image size, HxW.") var size = Size(height: 224, width: 224)
        @Option(help: "Images per step.") var batch = BatchSize(4)
        @Option(help: "Timed repeats of each row, after one that is not.") var repeats = 9
        @Option(help: "Steps, comma-separated: inference, retrain, weights, logits.")
        var steps = StepList(steps: SkipReport.Step.allCases)
        @Option(
            help:
                "Rows, comma-separated: random, soft, published, alone, others (published policies of other networks).")
        var rows = GroupList(groups: Set(SkipBenchmark.Group.allCases))
        @Option(help: ArgumentHelp("Write the rows as JSON.", valueName: "file")) var json: String?
        @Option(help: ArgumentHelp("Draw speed-up against density, SVG.", valueName: "file")) var plot: String?
        @OptionGroup var device: DeviceOptions
        @OptionGroup var profile: ProfileOptions

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
            var defaultValueDescription: String { "all" }
        }

        func validate() throws {
            if repeats < 1 { throw ValidationError("--repeats needs at least 1.") }
        }

        func run() throws {
            let experiment = try Experiment(try loadConfiguration())
            let context = try device.makeContext(profiling: true)
            let recorder = try profile.makeRecorder(context)
            let progress = ProgressPrinter()
            progress.line("device \(context.device.name) (\(context.device.selector))")
            try profile.recording(with: recorder) {
                let benchmark = SkipBenchmark(
                    experiment: experiment,
                    shape: BatchShape(count: batch.count, height: size.height, width: size.width), repeats: repeats,
                    steps: steps.steps, groups: rows.groups, context: context, family: device.kernelFamily,
                    profile: recorder,
                    progress: progress.line)
                let report = try benchmark.run()
                if let json { try report.write(to: URL(fileURLWithPath: json)) }
                if let plot { try SpeedupPlot(report).write(to: URL(fileURLWithPath: plot)) }
                for step in steps.steps { print(report.table(step) + "\n") }
            }
        }

        private func loadConfiguration() throws -> ExperimentConfiguration {
            if let config {
                return try ExperimentConfiguration.load(URL(fileURLWithPath: config), overrides: overrides)
            }
            let published = PublishedPolicies.nyu3
            let tasks = published.tasks.map { "  - {name: \($0.name), kind: \($0.name), channels: \($0.channels)}" }
            let yaml = "tasks:\n" + tasks.joined(separator: "\n") + "\n"
            return try ExperimentConfiguration.parse(
                yaml: yaml, file: "the published three-task network", overrides: overrides)
        }
    }
}
