import AdaShareBenchmarks
import AdaShareConfiguration
import AdaShareExperiments
import AdaShareSupport
import ArgumentParser
import Foundation

extension Benchmark {
    struct Scale: LoggingCommand, ConfiguredCommand, JoiningCommand {
        static let configuration = CommandConfiguration(
            abstract: "Time a training step that one or several processes take together.",
            discussion: """
                Batch, shards and image size are the configuration's; the data is random. Start it as train is \
                started:
                  adashare benchmark scale --config FILE --json one.json
                  mpirun -n 2 adashare benchmark scale --config FILE --beside one.json
                speed: images a second relative to the first row. exposed: what the device that waits least stood \
                still for because of exchanges, in steps beside those that are timed; by model: what `benchmark \
                scale-model` expects of that; waits at most: the device that waits most, also for others that compute \
                longer. MB sent: by each process in a step.
                """)

        @Option(help: "Experiment configuration, YAML.", completion: .file()) var config: String
        @Option(
            name: .customLong("set"),
            help: ArgumentHelp(
                "Change one key, for example training.shards=4; repeatable.", valueName: "path=value"))
        var overrides: [String] = []
        @Option(help: "Timed steps, 1 to 1000000, after one that is not.") var repeats = 9
        @Option(help: ArgumentHelp("Write the row as JSON.", valueName: "file"), completion: .file()) var json: String?
        @Option(
            help: ArgumentHelp("A row of an earlier call to print above; repeatable.", valueName: "file"),
            completion: .file())
        var beside: [String] = []
        @OptionGroup var device: DeviceOptions
        @OptionGroup var search: SearchOptions
        @OptionGroup var logging: LogOptions

        var configurationFile: String? { config }

        func validate() throws { try checkRepeats(repeats) }

        func run(on console: Console) throws {
            try Launcher.run("benchmark scale", on: console, located: located) { console, ranks in
                let configuration = try readConfiguration(config, overrides, on: console)
                try configuration.validateForTraining(file: config)
                var experiment = try Experiment(configuration)
                if let ranks { try experiment.divide(among: ranks) }
                var inputs = InputFiles([config] + beside)
                inputs.add(configuration)
                try inputs.check([json].compactMap { $0 })
                let others = try beside.map { try ScaleReport.read(URL(fileURLWithPath: $0)) }
                let progress = ProgressPrinter(console)
                let context = try device.makeContext(progress: progress, ranks: ranks)
                if let ranks {
                    try experiment.compare([], on: context, with: ranks)
                    progress.line("\(ranks.count) processes, \(ranks.description)")
                }
                progress.line("device \(context.device.name) (\(context.device.selector))")
                let report = try ScaleBenchmark(
                    experiment: experiment, context: context, family: device.kernelFamily, search: search.mode,
                    repeats: repeats, report: progress.report
                ).run()
                progress.finish()
                guard ranks?.isFirst ?? true else { return }
                for (file, other) in zip(beside, others) { try report.check(beside: other, of: file) }
                if let json { try report.write(to: URL(fileURLWithPath: json)) }
                try console.print(ScaleReport.table(others + [report]))
            }
        }
    }
}
