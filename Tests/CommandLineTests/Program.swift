import Foundation
import TestSupport

/// The built `adashare`, run as a user runs it.
enum Program {
    /// The repository these tests lie in.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Beside the test bundle, or above where that is a folder; never of another build, which may be an older one.
    static let url: URL = {
        let bundle = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
        var folder = bundle.resolvingSymlinksInPath()
        for _ in 0..<4 {
            folder.deleteLastPathComponent()
            let file = folder.appendingPathComponent("adashare")
            if FileManager.default.isExecutableFile(atPath: file.path) { return file }
        }
        return bundle.deletingLastPathComponent().appendingPathComponent("adashare")
    }()

    /// - Parameters:
    ///   - environment: what differs from that of the tests.
    ///   - output: a file that takes the place of standard output.
    static func run(
        _ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:], output: URL? = nil
    ) throws -> Outcome {
        try RunningProgram(arguments, in: folder, environment: environment, output: output).finish()
    }

    static func start(
        _ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(arguments, in: folder, environment: environment)
    }

    /// Runs the program while `folder`, with what is in it, is a file system without room; all it prints, and the names
    /// of the files that are there afterwards, are in `output`.
    ///
    /// - Parameter kilobytes: that are left all the same.
    static func run(
        _ arguments: [String], withoutRoomIn folder: URL, leaving kilobytes: Int = 0,
        environment: [String: String] = [:]
    ) throws -> Outcome {
        let script = #"""
            folder=$1; left=$2; shift 2
            cp -a "$folder" "$folder.kept" && mount -t tmpfs -o size=256k none "$folder" || exit 125
            cp -a "$folder.kept/." "$folder"
            dd if=/dev/zero of="$folder/filler" bs=1k 2>/dev/null
            truncate -s "-${left}k" "$folder/filler"
            "$0" "$@"
            status=$?
            find "$folder" -type f ! -name filler -printf 'left %f\n'
            exit $status
            """#
        let process = try RunningProgram(
            ["-rm", "/bin/bash", "-c", script, url.path, folder.path, "\(kilobytes)"] + arguments, of: unshare,
            environment: environment)
        let outcome = try process.finish()
        return Outcome(status: outcome.status, output: outcome.output + outcome.errors, errors: "")
    }

    /// Runs the program where nothing is mounted at /proc but an empty folder.
    static func runWithoutProc(_ arguments: [String]) throws -> Outcome {
        let script = #"mount -t tmpfs none /proc && exec "$0" "$@""#
        return try RunningProgram(["-rm", "/bin/bash", "-c", script, url.path] + arguments, of: unshare).finish()
    }

    /// Whether this machine lets a process mount a file system of its own.
    static let canMount: Bool = {
        let process = Process()
        process.executableURL = unshare
        process.arguments = ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
        process.standardError = nil
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()

    private static let unshare = URL(fileURLWithPath: "/usr/bin/unshare")
}

/// A process under way; its output goes to files, so that no pipe can fill up.
final class RunningProgram {
    private let process = Process()
    private let files: TemporaryFolder

    init(
        _ arguments: [String], of executable: URL = Program.url, in folder: URL? = nil,
        environment: [String: String] = [:], output: URL? = nil
    ) throws {
        files = try TemporaryFolder()
        process.executableURL = executable
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = folder }
        process.environment = ProcessInfo.processInfo.environment
            .merging(["ADASHARE_LEAST_MEASURING": "1"]) { $1 }.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        for name in ["out", "err"] { try files.write("", name) }
        process.standardOutput = try FileHandle(forWritingTo: output ?? files.file("out"))
        process.standardError = try FileHandle(forWritingTo: files.file("err"))
        try process.run()
    }

    var isRunning: Bool { process.isRunning }
    var id: pid_t { process.processIdentifier }

    /// Ends the process as the kernel would: no handler runs.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        wait()
    }

    func send(_ signal: Int32) { Foundation.kill(process.processIdentifier, signal) }

    func finish() throws -> Outcome {
        wait()
        func text(_ name: String) throws -> String {
            String(decoding: try Data(contentsOf: files.file(name)), as: UTF8.self)
        }
        return Outcome(status: process.terminationStatus, output: try text("out"), errors: try text("err"))
    }

    private func wait() {
        while process.isRunning { usleep(2000) }
    }
}
