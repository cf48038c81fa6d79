import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// Disks and devices that fail under a run: a few of the faults that `tools/storage-test` and
    /// `tools/device-fault-test` try.
    @Suite(.needsDevice, .enabled(if: FaultTool.isThere, "needs Linux, Python 3 and a C compiler"))
    struct InjectedFaultTests {
        @Test(arguments: [("faults", 180), ("power", 25)])
        func aDiskThatFailsLosesNothing(mode: String, every: Int) throws {
            #expect(try FaultTool(name: "storage-test").tried(mode, every: every) >= 3)
        }

        @Test(arguments: [("calls", 100), ("lost", 32)])
        func aDeviceThatFailsLosesNothing(mode: String, every: Int) throws {
            #expect(try FaultTool(name: "device-fault-test").tried(mode, every: every) >= 3)
        }
    }
}

/// A tool that has something fail under small runs.
private struct FaultTool {
    let name: String

    static let isThere: Bool = {
        #if os(Linux)
            let places = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            return ["python3", "cc"].allSatisfy { program in
                places.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
            }
        #else
            return false
        #endif
    }()

    /// Tries every so many of its faults; how many that were, none of which did harm.
    func tried(_ mode: String, every: Int) throws -> Int {
        let program = try RunningProgram(
            [mode, "--runs", "hard_sharing", "--every", "\(every)", "--adashare", Program.url.path],
            of: Program.repository.appendingPathComponent("tools/\(name)"),
            environment: ["PYTHONDONTWRITEBYTECODE": "1"])
        let outcome = try program.finish()
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        let words = outcome.output.split(separator: "\n").last?.split(separator: " ") ?? []
        #expect(words.suffix(2) == ["0", "wrong"], "\(outcome.output)\(outcome.errors)")
        return words.count > 1 ? Int(words[1]) ?? 0 : 0
    }
}
