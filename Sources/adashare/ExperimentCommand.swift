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
        @Argument(help: "The study, YAML: config, seeds, rows with their keys, reference.", completion: .file())
        var file: String
        @Option(help: "Folder of its runs. Default: runs/<name of the file>.", completion: .file()) var output: String?

        func study() throws -> Study { try Study.read(URL(fileURLWithPath: file)) }

        var folder: URL {
            let stem = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
            return URL(fileURLWithPath: output ?? "runs/\(stem)")
        }

        /// What is finished, saying what is not.
        func finished(_ console: Console) throws -> StudyResults {
            let results = try StudyResults(study(), in: folder)
            let progress = ProgressPrinter(console)
            if !results.unfinished.isEmpty {
                progress.line("not finished: \(results.unfinished.joined(separator: ", "))")
            }
            for change in results.changed { progress.line("left out: \(change)") }
            guard !results.lines.isEmpty else {
                throw InputError(
                    file: folder.relativePath, found: "no finished run",
                    expected: "one of the study's configurations; adashare experiment run trains what is missing")
            }
            if let reference = results.study.reference, results.reference == nil {
                console.say(.notice, "no Δ, since \(reference) has no finished run")
            }
            for remark in results.remarks { console.say(.notice, remark) }
            return results
        }
    }

    struct Run: LoggingCommand {
        static let configuration = CommandConfiguration(
            abstract: "Train what is missing.",
            discussion: """
                Every row and seed is a run of its own, as `adashare train` makes it, in <row>/seed-<n> of the folder;
                what it is made from and what it prints lie beside it, in <row>/seed-<n>.yml and .log. Files that the \
                study names are read once, at the start. What is finished stays, what was stopped goes on.
                A run that fails hides no other. In the end the predictions of all are timed in one process, in turns \
                with those of the reference (times.json).
                """)

        @OptionGroup var place: Place
        @OptionGroup var logging: LogOptions
        @Option(help: "Runs side by side, 1 to 64.") var jobs = 1
        @Option(help: "Devices as --device takes them, comma-separated: runs take them in turn.") var devices: String?
        @Flag(name: .customLong("no-search"), help: "As in train.") var noSearch = false

        func validate() throws {
            guard (1...64).contains(jobs) else {
                throw ValidationError("--jobs: found \(jobs), expected from 1 to 64.")
            }
        }

        func run(on console: Console) throws {
            // Its runs would take the launcher's variables for theirs.
            if Launcher.count > 1 { try Launcher.refuse("experiment run") }
            // Before a driver makes threads.
            let stop = console.isProcess ? StopRequest.listening() : StopRequest()
            let study = try place.study()
            let progress = ProgressPrinter(console)
            let selectors = (devices ?? "").split(separator: ",").map(String.init)
            guard devices == nil || !selectors.isEmpty else {
                throw ValidationError("--devices: found '\(devices ?? "")', expected one or more, comma-separated.")
            }
            for selector in selectors { _ = try Device.select(selector) }
            var results = try StudyResults(study, in: place.folder)
            if let changed = InputError.all(results.changed) { throw changed }
            try AtomicFile.makeFolder(place.folder)
            let lock = try FolderLock(place.folder, name: "study.lock", of: "study")
            defer { withExtendedLifetime(lock) {} }
            AtomicFile.removeLeftovers(in: place.folder)
            do {
                // What is finished is timed and shown, whatever has failed.
                let training = Result { try train(study, on: selectors, until: stop, progress) }
                if case .failure(let error as Stopped) = training { throw error }
                results = try StudyResults(study, in: place.folder)
                let timing = Result { try time(&results, on: selectors.first, until: stop, progress) }
                if case .failure(let error as Stopped) = timing { throw error }
                for remark in results.remarks { console.say(.notice, remark) }
                if !results.lines.isEmpty { try console.print("\n" + StudyTable(results).text(.text)) }
                try training.get()
                try timing.get()
            } catch let error as Stopped {
                progress.line("\(error); the same command goes on")
                throw ExitCode(error.reason.exitCode)
            }
        }

        /// Trains what is not finished, as many runs at a time as there are jobs.
        private func train(
            _ study: Study, on devices: [String], until stop: StopRequest, _ progress: ProgressPrinter
        ) throws {
            var pending = study.rows.flatMap { row in
                study.seeds.map { StudyRun(study, row, $0, in: place.folder) }
            }
            .filter { !$0.isFinished }
            let total = study.rows.count * study.seeds.count
            progress.line("\(total - pending.count) of \(total) runs are finished; folder \(place.folder.relativePath)")
            var (running, failed): ([(run: StudyRun, slot: Int)], [String]) = ([], [])
            var isStopping = false
            while !pending.isEmpty || !running.isEmpty {
                while running.count < jobs, !pending.isEmpty {
                    let slot = (0..<jobs).first { slot in !running.contains { $0.slot == slot } } ?? 0
                    let run = pending.removeFirst()
                    let device = devices.isEmpty ? [] : ["--device", devices[slot % devices.count]]
                    do {
                        try run.start(device + (noSearch ? ["--no-search"] : []))
                        progress.line("training \(run.name), log \(run.log.relativePath)")
                        running.append((run, slot))
                    } catch {
                        progress.line("failed \(run.name): \(error)")
                        failed.append(run.name)
                    }
                }
                Thread.sleep(forTimeInterval: 0.1)
                for (run, _) in running.filter({ !$0.run.isRunning }) {
                    progress.line(run.outcome)
                    if !run.isFinished { failed.append(run.name) }
                }
                running.removeAll { !$0.run.isRunning }
                if !isStopping, let reason = stop.reason {
                    isStopping = true
                    progress.line("\(reason.name): ending \(running.count) runs")
                    pending = []
                    for (run, _) in running { run.end() }
                }
            }
            try stop.check()
            guard failed.isEmpty else {
                throw InputError(
                    file: place.file, found: "\(failed.count) failed: \(failed.joined(separator: "; "))",
                    expected: "none; what is said above or in their logs mended, the same command goes on")
            }
        }

        /// Measures what predictions take where that is not known of every network.
        private func time(
            _ results: inout StudyResults, on device: String?, until stop: StopRequest, _ progress: ProgressPrinter
        ) throws {
            var options = DeviceOptions()
            options.device = device
            guard !results.areTimed else {
                if let times = results.times, try times.device != options.select().name {
                    progress.report(
                        .notice("times are of \(times.device); without times.json they are measured on this device"))
                }
                return
            }
            progress.line("timing predictions in turns with those of \(results.reference?.name ?? "the first row")")
            try results.measureTimes(
                in: place.folder, on: options.makeContext(progress: progress), until: stop, report: progress.report)
            results = try StudyResults(results.study, in: place.folder)
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
            let results = try place.finished(console)
            try console.print(StudyTable(results, convention: convention, hasAllMetrics: all).text(form))
        }
    }

    struct Plot: ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Draw Δ over the reference against time, or against work where not every run was timed.")

        @OptionGroup var place: Place
        @Option(help: "The picture, SVG.") var svg: String

        func run(on console: Console) throws {
            let results = try place.finished(console)
            guard let chart = results.chart else {
                throw InputError(
                    file: place.file, place: "reference", found: results.study.reference ?? "none",
                    expected: "a line with a finished run, and another with the same seed")
            }
            try chart.write(to: URL(fileURLWithPath: svg))
            try console.print("wrote \(svg)")
        }
    }
}
