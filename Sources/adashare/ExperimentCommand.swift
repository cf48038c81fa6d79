import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareSupport
import AdaShareTasks
import AdaShareTraining
import ArgumentParser
import Foundation

extension StudyTable.Form: ExpressibleByArgument {}
extension MetricConvention: ExpressibleByArgument {}

struct ExperimentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "experiment",
        abstract: "Train several configurations with several seeds, and set them side by side.",
        subcommands: [Run.self, TableOfResults.self, Plot.self])

    struct Place: ParsableArguments {
        @Argument(help: "The study, YAML: config, seeds, rows with their keys, reference.") var file: String
        @Option(help: "Folder of its runs. Default: runs/<name of the file>.") var output: String?

        func study() throws -> Study { try Study.read(URL(fileURLWithPath: file)) }

        var folder: URL {
            let stem = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
            return URL(fileURLWithPath: output ?? "runs/\(stem)")
        }
    }

    struct Run: ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Train what is missing.",
            discussion: """
                Every row and seed is a run of its own, as `adashare train` makes it, in <row>/seed-<n> of the folder; \
                what it prints
                lies beside it, in <row>/seed-<n>.log. What is finished stays, what was stopped goes on. A run that \
                fails hides no other. In the end the predictions of all are timed in one process, in turns with those \
                of the reference
                (times.json).
                """)

        @OptionGroup var place: Place
        @Option(help: "Runs side by side, 1 to 64.") var jobs = 1
        @Option(help: "Devices as --device takes them, comma-separated: runs take them in turn.") var devices: String?
        @Flag(name: .customLong("no-search"), help: "As in train.") var noSearch = false

        func validate() throws {
            guard (1...64).contains(jobs) else {
                throw ValidationError("--jobs: found \(jobs), expected from 1 to 64.")
            }
        }

        func run(on console: Console) throws {
            let study = try place.study()
            let progress = ProgressPrinter(console)
            let selectors = (devices ?? "").split(separator: ",").map(String.init)
            for selector in selectors { _ = try Device.select(selector) }
            var pending = try study.rows.flatMap { row in
                try study.seeds.map { try StudyRun(study, row, $0, in: place.folder) }
            }
            .filter { !$0.isFinished }
            let total = study.rows.count * study.seeds.count
            progress.line("\(total - pending.count) of \(total) runs are finished; folder \(place.folder.relativePath)")
            var (running, failed): ([(run: StudyRun, slot: Int)], [String]) = ([], [])
            while !pending.isEmpty || !running.isEmpty {
                while running.count < jobs, !pending.isEmpty {
                    let slot = (0..<jobs).first { slot in !running.contains { $0.slot == slot } } ?? 0
                    let run = pending.removeFirst()
                    let device = selectors.isEmpty ? [] : ["--device", selectors[slot % selectors.count]]
                    try run.start(device + (noSearch ? ["--no-search"] : []))
                    progress.line("training \(run.name), log \(run.log.relativePath)")
                    running.append((run, slot))
                }
                Thread.sleep(forTimeInterval: 0.1)
                for (run, _) in running.filter({ !$0.run.isRunning }) {
                    progress.line(run.outcome)
                    if !run.isFinished { failed.append(run.name) }
                }
                running.removeAll { !$0.run.isRunning }
            }
            guard failed.isEmpty else {
                throw InputError(
                    file: place.file, found: "\(failed.count) runs that failed: \(failed.joined(separator: ", "))",
                    expected: "none; their logs say why, and the same command goes on")
            }
            var results = try StudyResults(study, in: place.folder)
            if !results.areTimed {
                progress.line("timing predictions in turns with those of \(study.reference ?? "the first row")")
                var device = DeviceOptions()
                device.device = selectors.first
                try results.measureTimes(
                    in: place.folder, on: device.makeContext(progress: progress), report: progress.report)
                results = try StudyResults(study, in: place.folder)
            }
            try console.print("\n" + StudyTable(results).text(.text))
        }
    }

    struct TableOfResults: ConsoleCommand {
        static let configuration = CommandConfiguration(
            commandName: "table", abstract: "Print what is finished: mean ± deviation over seeds, Δ over the reference."
        )

        @OptionGroup var place: Place
        @Option(help: "text, markdown, csv or latex.") var form: StudyTable.Form = .text
        @Option(help: "Of the metrics: exact or published.") var convention: MetricConvention = .exact
        @Flag(help: "Every metric, not each task's first one.") var all = false

        func run(on console: Console) throws {
            let results = try StudyResults(place.study(), in: place.folder)
            if !results.unfinished.isEmpty {
                ProgressPrinter(console).line("not finished: \(results.unfinished.joined(separator: ", "))")
            }
            try console.print(StudyTable(results, convention: convention, hasAllMetrics: all).text(form))
        }
    }

    struct Plot: ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Draw Δ over the reference against time, or against work where not every run was timed.")

        @OptionGroup var place: Place
        @Option(help: "The picture, SVG.") var svg: String

        func run(on console: Console) throws {
            let results = try StudyResults(place.study(), in: place.folder)
            guard let chart = results.chart else {
                throw InputError(
                    file: place.file, place: "reference", found: results.study.reference ?? "none",
                    expected: "a row that is finished, and another with the same seed")
            }
            try chart.write(to: URL(fileURLWithPath: svg))
            try console.print("wrote \(svg)")
        }
    }
}

/// One run of a study: a process of this program.
private final class StudyRun {
    let name: String
    let log: URL
    private let folder: URL
    private let study: Study
    private let configuration: ExperimentConfiguration
    private let overrides: [String]
    private let process = Process()
    private var started = Date()

    init(_ study: Study, _ row: Study.Row, _ seed: Int, in parent: URL) throws {
        self.study = study
        name = "\(row.name), seed \(seed)"
        folder = parent.appendingPathComponent(study.folder(row, seed: seed))
        log = folder.appendingPathExtension("log")
        configuration = try study.configuration(row, seed: seed)
        overrides = study.overrides(row, seed: seed)
    }

    var isFinished: Bool { StudyResults.isFinished(folder, configuration) }
    var isRunning: Bool { process.isRunning }

    func start(_ options: [String]) throws {
        try FileManager.default.createDirectory(
            at: folder.deletingLastPathComponent(), withIntermediateDirectories: true)
        if !FileManager.default.fileExists(atPath: log.path) {
            FileManager.default.createFile(atPath: log.path, contents: nil)
        }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        guard let program = Bundle.main.executablePath else {
            throw InputError(file: "this program", found: "no path of its own", expected: "one")
        }
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            ["train", "--config", study.configURL.path, "--output", folder.path, "--resume"] + options
            + overrides.flatMap { ["--set", $0] }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        started = Date()
        do {
            try process.run()
        } catch {
            throw InputError(file: program, found: "no process (\(error.localizedDescription))", expected: "one")
        }
    }

    /// What became of it.
    var outcome: String {
        let seconds = readable(Date().timeIntervalSince(started), digits: 2)
        return isFinished ? "finished \(name) in \(seconds) s" : "failed \(name), see \(log.relativePath)"
    }
}
