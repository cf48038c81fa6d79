import AdaShareDatasets
import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareMethods
@testable import AdaShareTraining
@testable import adashare

extension CommandLineTests {
    /// Each class of error once as a process: exit code, and the error as the last line of standard error. All other
    /// mistakes are looked for in this process, through the same `AdaShareCommand.execute`.
    @Suite struct ExitTests {
        let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            try folder.write(Tiny.complete, "c.yml")
        }

        private func expectExit(
            _ arguments: [String], code: Int32 = 1, output: URL? = nil, _ parts: String...,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let outcome = try Program.run(arguments, in: folder.url, output: output)
            outcome.expectFailure(code: code, parts, sourceLocation: sourceLocation)
            #expect(outcome.output.isEmpty, "\(outcome.output)", sourceLocation: sourceLocation)
        }

        @Test func wrongUsage() throws {
            try expectExit(["cost", "--config", "c.yml", "--batch", "0"], code: 64, "--batch")
            #expect(folder.names == ["c.yml"])
        }

        @Test func badConfiguration() throws {
            try expectExit(
                ["train", "--config", "c.yml", "--output", "run", "--set", "training.batch=many"], "training.batch",
                "'many'", "an integer")
            #expect(folder.names == ["c.yml"])
        }

        @Test func badPolicy() throws {
            try folder.write("{", "p.json")
            try expectExit(["cost", "--config", "c.yml", "--policy", "p.json"], "p.json", "no JSON object")
        }

        /// What was asked for is read from there: without it nothing may look as if it had been done.
        @Test(.enabled(if: Program.canMount, "needs a file system of its own")) func withoutProc() throws {
            let outcome = try Program.runWithoutProc(["cost", "--config", folder.file("c.yml").path])
            outcome.expectFailure(["/proc: found nothing about this process"])
            #expect(outcome.output.isEmpty)
        }

        @Test func missingRun() throws { try expectExit(["evaluate", "--run", "run"], "run", "no such folder") }

        @Test func placeThatCannotBeWritten() throws {
            try expectExit(
                ["data", "synthesize", "--output", "/proc/d", "--count", "1", "--size", "32x32"], "/proc/d",
                "cannot be made")
        }

        @Test(.needsDevice) func missingDevice() throws {
            try expectExit(
                ["train", "--config", "c.yml", "--output", "run", "--device", "nosuchdevice"], "nosuchdevice",
                "there is")
            #expect(folder.names == ["c.yml"])
        }

        @Test(.needsDevice) func badDataFile() throws {
            try TinyRooms.write(to: folder.file("data"))
            let array = folder.file("data/depth/000003.npy")
            try Data(contentsOf: array).dropLast(4).write(to: array)
            try folder.write(Tiny.folder("data"), "d.yml")
            try expectExit(["train", "--config", "d.yml", "--output", "run", "--no-search"], array.path, "truncated")
        }

        @Test(.needsDevice) func damagedCheckpoint() throws {
            let run = try FinishedRun.get()
            let damaged = try folder.write(
                try Data(contentsOf: run.checkpoint("retrain")).dropLast(1000), "damaged.safetensors")
            try expectExit(
                ["evaluate", "--run", run.folder.path, "--checkpoint", damaged.path], damaged.path, "truncated")
        }

        @Test(.needsDevice) func lossThatIsNotFinite() throws {
            try expectExit(
                [
                    "train", "--config", "c.yml", "--output", "run", "--no-search", "--set",
                    "training.learning_rate.backbone=1e30",
                ], "warmup step 2", "the loss of task", "not finite", "training.learning_rate")
        }

        /// Whoever redirects an answer to a full disk is told, and so is the script around it.
        @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
        func answerOnAFullDisk() throws {
            let full = URL(fileURLWithPath: "/dev/full")
            for command in [["cost", "--config", "c.yml", "--json"], ["cost", "--help"]] {
                try expectExit(command, output: full, "standard output", String(cString: strerror(ENOSPC)))
            }
        }

        @Test func aProcessAnswersAsTheCommandDoesHere() throws {
            let configuration = folder.file("c.yml").path
            for arguments in [["--help"], ["--version"], ["cost", "--config", configuration]] {
                let (process, here) = (try Program.run(arguments), Command.run(arguments))
                #expect(process.status == 0 && here.status == 0)
                #expect(process.output == here.output && !here.output.isEmpty)
                #expect(process.errors == here.errors)
            }
        }

        /// Every command that answers notices that nobody can have the answer; what it did is done all the same.
        @Test(.needsDevice) func everyLostAnswerIsAFailure() throws {
            let run = try FinishedRun.get()
            let image = folder.file("image.png")
            let pixels = [UInt8](repeating: 100, count: 3 * 32 * 32)
            try Image(width: 32, height: 32, channels: 3, pixels: pixels).write(to: image)
            let configuration = run.configuration.path
            for arguments in [
                ["cost", "--config", configuration], ["cost", "--config", configuration, "--json"], ["devices"],
                ["devices", "--json"], ["evaluate", "--run", run.folder.path],
                ["evaluate", "--run", run.folder.path, "--json"],
                ["data", "synthesize", "--output", folder.file("data").path, "--count", "1", "--size", "32x32"],
                ["predict", "--config", configuration, "--checkpoint", run.checkpoint("retrain").path]
                    + ["--output", folder.file("pictures").path, image.path],
                ["tune", "--config", configuration], ["benchmark", "--help"], ["--version"],
            ] {
                struct Full: Error, CustomStringConvertible { let description = "no room" }
                var remarks = ""
                let console = Console(answer: { _ in throw Full() }, remark: { remarks += $0 })
                #expect(AdaShareCommand.execute(arguments, on: console) == 1, "\(arguments)")
                #expect(remarks.hasSuffix("Error: no room\n"), "\(arguments): \(remarks)")
            }
            #expect(folder.names == ["c.yml", "data", "image.png", "pictures"])
        }
    }
}
