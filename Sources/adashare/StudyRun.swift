import AdaShareConfiguration
import AdaShareExperiments
import AdaShareSupport
import AdaShareTraining
import Foundation

/// One run of a study: a process of this program.
final class StudyRun {
    let name: String
    let log: URL
    private let folder: URL
    /// The study's.
    private let parent: URL
    private let configuration: ExperimentConfiguration
    /// What is trained, whatever becomes of the files that say so while runs before it are trained.
    private let text: Result<String, any Error>
    private let process = Process()
    /// Closed by the kernel when this process is gone, however it ends, which the run takes as a signal to end too.
    private var lifeline: FileHandle?
    private var started = Date()
    private var isEnding = false

    init(_ study: Study, _ row: Study.Row, _ seed: Int, in parent: URL) {
        name = "\(row.name), seed \(seed)"
        self.parent = parent
        folder = parent.appendingPathComponent(study.folder(row, seed: seed))
        log = folder.appendingPathExtension("log")
        let configuration = study.configuration(row, seed: seed)
        let known = try? RunDirectory(folder, mode: .read).readConfiguration()
        text = Result { try configuration.stored(beside: known).yaml() }
        self.configuration = configuration
    }

    var isFinished: Bool { (try? StudyResults.isFinished(folder, configuration)) ?? false }
    var isRunning: Bool { process.isRunning }

    func start(_ options: [String]) throws {
        try AtomicFile.makeFolder(folder.deletingLastPathComponent(), in: parent)
        try OrdinaryFile.refuseLink(at: folder, expected: "a folder")
        let source = folder.appendingPathExtension("yml")
        // Only the process that holds the study's lock writes there, one file at a time.
        AtomicFile.removeLeftovers(in: folder.deletingLastPathComponent())
        try AtomicFile.write(Data(try text.get().utf8), to: source)
        let file = try OrdinaryFile.open(log.path, O_WRONLY | O_APPEND, expected: "a place for a log")
        let output = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw InputError.system("pipe", log.relativePath, expected: "one to the run") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        lifeline = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
        guard let program = Bundle.main.executablePath else {
            throw InputError(file: "this program", found: "no path of its own", expected: "one")
        }
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            [
                "train", "--config", source.path, "--output", folder.path, "--resume", "--phases", "all",
                "--stop-with-input",
            ] + options
        process.standardInput = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
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
        let last = (try? String(contentsOf: log, encoding: .utf8))?.split(whereSeparator: \.isNewline).last
        return "failed \(name)\(signal), see \(log.relativePath)" + (last.map { ": \($0)" } ?? "")
    }
}
