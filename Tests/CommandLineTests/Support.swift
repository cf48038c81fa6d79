import Foundation
import Testing

@testable import Training

/// Root of the suites that run the built program: one process after the other.
@Suite(.serialized) struct CommandLineTests {}

extension Trait where Self == ConditionTrait {
    /// Skips, visibly, on a machine without an OpenCL device.
    static var needsDevice: Self {
        .enabled(if: Program.hasDevice, "no OpenCL device: apt-get install pocl-opencl-icd")
    }
}

/// The built `adashare`, run as a user runs it.
enum Program {
    /// What a finished process leaves.
    struct Outcome {
        let status: Int32
        let output, errors: String

        /// The lines of standard error.
        var lines: [String] { errors.split(separator: "\n").map(String.init) }
        /// The line that says what went wrong; empty if there is not exactly one.
        var error: String {
            let found = lines.filter { $0.hasPrefix("Error: ") }
            return found.count == 1 ? found[0] : ""
        }

        func json() throws -> JSONValue { try JSONValue.parse(Data(output.utf8)) }
    }

    /// The repository these tests lie in.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Beside the test bundle, or else where a debug build puts it.
    static let url: URL = {
        let places = [
            URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
            Bundle.main.bundleURL, Bundle.main.bundleURL.deletingLastPathComponent(),
            repository.appendingPathComponent(".build/debug"),
        ]
        let candidates = places.map { $0.appendingPathComponent("adashare") }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) } ?? candidates[0]
    }()

    static let hasDevice = (try? run(["devices"]).status) == 0

    /// - Parameter environment: what differs from that of the tests.
    static func run(_ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:]) throws -> Outcome
    {
        try start(arguments, in: folder, environment: environment).finish()
    }

    /// Runs the program while `folder`, with what is in it, is a file system without room; all it prints, and the names of the
    /// files that are there afterwards, are in `output`.
    static func run(
        _ arguments: [String], withoutRoomIn folder: URL, environment: [String: String]
    ) throws -> Outcome {
        let script = #"""
            folder=$1; shift
            cp -a "$folder" "$folder.kept" && mount -t tmpfs -o size=256k none "$folder" || exit 125
            cp -a "$folder.kept/." "$folder"
            dd if=/dev/zero of="$folder/filler" bs=1k 2>/dev/null
            "$0" "$@"
            status=$?
            find "$folder" -type f ! -name filler -printf 'left %f\n'
            exit $status
            """#
        let process = try RunningProgram(
            ["-rm", "/bin/bash", "-c", script, url.path, folder.path] + arguments, of: unshare, in: nil,
            environment: environment)
        let outcome = try process.finish()
        return Outcome(status: outcome.status, output: outcome.output + outcome.errors, errors: "")
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

    static func start(
        _ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(arguments, in: folder, environment: environment)
    }
}

/// A process under way; its output goes to files, so that no pipe can fill up.
final class RunningProgram {
    private let process = Process()
    private let files: TemporaryFolder

    init(
        _ arguments: [String], of executable: URL = Program.url, in folder: URL?, environment: [String: String]
    ) throws {
        files = try TemporaryFolder()
        process.executableURL = executable
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = folder }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        for name in ["out", "err"] { _ = files.file(name, "") }
        process.standardOutput = try FileHandle(forWritingTo: files.url.appendingPathComponent("out"))
        process.standardError = try FileHandle(forWritingTo: files.url.appendingPathComponent("err"))
        try process.run()
    }

    var isRunning: Bool { process.isRunning }

    /// Ends the process as the kernel would: no handler runs.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        wait()
    }

    func finish() throws -> Program.Outcome {
        wait()
        func text(_ name: String) throws -> String {
            String(decoding: try Data(contentsOf: files.url.appendingPathComponent(name)), as: UTF8.self)
        }
        return Program.Outcome(status: process.terminationStatus, output: try text("out"), errors: try text("err"))
    }

    private func wait() {
        while process.isRunning { usleep(2000) }
    }
}

/// A folder that exists for one test.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("adashare-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    @discardableResult
    func file(_ name: String, _ text: String) -> URL {
        let file = url.appendingPathComponent(name)
        _ = FileManager.default.createFile(atPath: file.path, contents: Data(text.utf8))
        return file
    }

    /// Names in the folder, sorted.
    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted()
    }
}

/// Configurations small enough for a debug build.
enum Tiny {
    static let tasks = """
        tasks:
          - { name: segmentation, kind: segmentation, channels: 6 }
          - { name: normals, kind: normals }
          - { name: depth, kind: depth }

        """
    static let scenes = "dataset: { kind: scenes, count: 40, size: [32, 32], crop: [32, 32], augmentation: dense }\n"
    static let light = "model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }\n"

    /// A few steps of every phase, with everything that has state.
    static let complete =
        tasks + scenes + """
            model: { backbone: resnet18, width: 0.125, head: four_rate, dropout: 0.5 }
            training:
              batch: 4
              log_every: 1
              checkpoint_every: 3
              evaluate_every: 4
              warmup: { iterations: 5 }
              policy: { iterations: 16 }
              retrain: { iterations: 5 }
              hard_sharing_baseline: true
            policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 }, samples: 2 }

            """
    static let completePhases = [("warmup", 5), ("policy", 16), ("retrain", 5), ("baseline", 5)]

    /// Two steps of warm-up on a folder in the format of NYU v2.
    static func folder(_ root: String) -> String {
        tasks + light + """
            dataset: { kind: nyu_v2, root: \(root), crop: [32, 32], augmentation: none, validation: 0 }
            training: { batch: 4, log_every: 1, warmup: { iterations: 2 }, policy: { iterations: 0 },
                        retrain: { iterations: 0 } }

            """
    }
}

/// A run of `Tiny.complete` that nothing disturbed, made once.
final class FinishedRun: Sendable {
    let folder: URL
    let configuration: URL
    let outcome: Program.Outcome
    private let owner: TemporaryFolder

    private static let made = Result<FinishedRun, any Error> { try FinishedRun() }
    static func get() throws -> FinishedRun { try made.get() }

    private init() throws {
        owner = try TemporaryFolder()
        configuration = owner.file("tiny.yml", Tiny.complete)
        folder = owner.url.appendingPathComponent("run")
        outcome = try Program.run(["train", "--config", configuration.path, "--output", folder.path])
        // Nothing releases a static value.
        atexit { if let run = try? FinishedRun.get() { try? FileManager.default.removeItem(at: run.owner.url) } }
    }

    func checkpoint(_ phase: String) -> URL { folder.appendingPathComponent("checkpoints/\(phase).safetensors") }
    func events() throws -> [JSONValue] { try EventLog.read(folder.appendingPathComponent("metrics.jsonl")) }
}

extension TemporaryFolder: @unchecked Sendable {}
extension Program.Outcome: Sendable {}

extension JSONValue {
    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    var keys: [String] { if case .object(let members) = self { members.keys.sorted() } else { [] } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}

/// Expects that a command fails with one clear line that has all the parts.
func expectFailure(
    _ arguments: [String], in folder: URL? = nil, code: Int32 = 1, _ parts: String...,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let outcome = try Program.run(arguments, in: folder)
    #expect(outcome.status == code, "\(outcome.errors)", sourceLocation: sourceLocation)
    for part in parts {
        #expect(outcome.error.contains(part), "\(outcome.errors)", sourceLocation: sourceLocation)
    }
    // Usage errors go on with the usage.
    if code == 1 {
        #expect(outcome.lines.last == outcome.error, "\(outcome.errors)", sourceLocation: sourceLocation)
    }
}
