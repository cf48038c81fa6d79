import AdaShareConfiguration
import AdaShareSupport
import AdaShareTraining
import Foundation

/// One run of a study: a process of this program.
final class StudyRun {
    let name: String
    let log: URL
    private let folder: URL
    private let study: Study
    private let configuration: ExperimentConfiguration
    private let overrides: [String]
    private let process = Process()
    private var started = Date()
    private var isEnding = false

    init(_ study: Study, _ row: Study.Row, _ seed: Int, in parent: URL) throws {
        self.study = study
        name = "\(row.name), seed \(seed)"
        folder = parent.appendingPathComponent(study.folder(row, seed: seed))
        log = folder.appendingPathExtension("log")
        configuration = try study.configuration(row, seed: seed)
        overrides = study.overrides(row, seed: seed)
    }

    var isFinished: Bool { (try? StudyResults.isFinished(folder, configuration)) ?? false }
    var isRunning: Bool { process.isRunning }

    func start(_ options: [String]) throws {
        try AtomicFile.makeFolder(folder.deletingLastPathComponent())
        let file = open(log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, AtomicFile.mode)
        guard file >= 0 else { throw InputError.system("open", log.relativePath, expected: "a place for a log") }
        let output = FileHandle(fileDescriptor: file, closeOnDealloc: true)
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

    /// Asks it to put away what it has and end.
    func end() {
        isEnding = true
        process.terminate()
    }

    /// What became of it.
    var outcome: String {
        let seconds = readable(Date().timeIntervalSince(started), digits: 2)
        if isFinished { return "finished \(name) in \(seconds) s" }
        if isEnding { return "stopped \(name), log \(log.relativePath)" }
        let signal =
            process.terminationReason == .uncaughtSignal ? " (ended by signal \(process.terminationStatus))" : ""
        return "failed \(name)\(signal), see \(log.relativePath)"
    }
}
