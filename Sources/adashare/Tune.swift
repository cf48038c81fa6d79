import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import ArgumentParser
import Foundation

struct Tune: LoggingCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure which algorithm computes each convolution fastest.",
        discussion: """
            For the training step of a configuration: its batch and crop. Each candidate is checked against float64 \
            before it may win, and has to be 3 % faster than the one chosen by shape. `train` finds the winners in the \
            user's cache folder (XDG_CACHE_HOME, an absolute path, or ~/.cache) and measures only what is missing; \
            configurations with training.exact_convolutions or model.precision tf32 or bfloat16 have winners of their \
            own. On GPUs the tile of CLBlast's products is measured first, once for a device.
            scatter: how much longer the second best run of the winner was. A winner is uncertain if another algorithm \
            might beat it on a quiet machine; the next `tune` measures those again. What slows the machine for all of \
            a measurement cannot be seen in it: --again measures everything once more. The best of all measurements \
            stands.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var logging: LogOptions
    @Flag(help: "Measure again what is known already.") var again = false
    @Option(help: ArgumentHelp("Write the results as JSON.", valueName: "file"), completion: .file()) var json: String?

    func run(on console: Console) throws {
        let given = try Experiment(options.load(on: console))
        var inputs = InputFiles([options.config])
        inputs.add(given.configuration)
        try inputs.check([json].compactMap { $0 })
        if let json { try checkWritable(json, "the results") }
        let progress = ProgressPrinter(console)
        let context = try device.makeContext(progress: progress)
        progress.line("device \(context.device.name) (\(context.device.selector))")
        let session = try ExperimentSession.open(
            given, on: context, family: device.kernelFamily, report: progress.report)
        let (experiment, library) = (session.experiment, session.library)
        let root = AlgorithmDatabase.defaultRoot
        if let folder = ProcessInfo.processInfo.environment["XDG_CACHE_HOME"], !folder.isEmpty,
            !folder.hasPrefix("/")
        {
            console.say(.notice, "XDG_CACHE_HOME=\(folder) is no absolute path and is not used")
        }
        let tuner = AlgorithmTuner(
            library: library, mode: .search(root: root, again: again ? .always : .uncertain), report: progress.report)
        let problems = experiment.convolutionProblems(experiment.trainingShape)
        let findings = try tuner.findings(for: problems, arithmetic: experiment.arithmetic) { finding in
            progress.line("\(finding.problem): \(finding.winner.algorithm)" + (finding.isNew ? "" : ", known"))
        }
        let database = root.map { AlgorithmDatabase(root: $0, library: library, arithmetic: experiment.arithmetic) }
        let report = TuningReport(findings, of: problems.count, library: library, folder: database?.folder)
        if let json { try report.write(to: URL(fileURLWithPath: json)) }
        try console.print(report.text)
        let lost = findings.count { !$0.isKept }
        if lost > 0 {
            throw InputError(
                file: database?.folder.path ?? "user's cache folder",
                found: "no place for \(lost) of \(findings.count) results", expected: "a folder that can be written")
        }
    }
}
