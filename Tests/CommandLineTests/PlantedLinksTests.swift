import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareSupport

extension CommandLineTests {
    /// Commands whose outputs are links, which may lead to any file of the user's.
    @Suite(.needsDevice) struct PlantedLinksTests {
        private let folder: TemporaryFolder
        private let precious: URL

        init() throws {
            folder = try TemporaryFolder()
            precious = try folder.write("precious", "precious.txt")
        }

        private func plant(_ name: String) throws -> String {
            let link = folder.file(name)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: precious)
            return link.path
        }

        /// Each is told before any work.
        @Test func noCommandWritesThroughALink() throws {
            let made = try FinishedRun.get()
            let run = ["--run", made.folder.path]
            let config = ["--config", made.configuration.path]
            let image = folder.file("a.png")
            try Image(width: 32, height: 32, channels: 3, pixels: [UInt8](repeating: 9, count: 3072)).write(to: image)
            try FileManager.default.createDirectory(at: folder.file("out"), withIntermediateDirectories: false)
            let weights = made.checkpoint("warmup").path
            let commands: [(link: String, arguments: (String) -> [String])] = [
                ("out/a_depth.png", { _ in ["predict"] + run + ["--output", folder.file("out").path, image.path] }),
                ("trace.json", { ["train"] + config + ["--output", folder.file("r").path, "--profile", $0] }),
                ("net.onnx", { ["export"] + run + ["--format", "onnx", "--output", $0] }),
                ("net.st", { ["export"] + run + ["--format", "safetensors", "--output", $0] }),
                ("given.st", { ["import", weights] + config + ["--output", $0] }),
                ("page.html", { ["report", made.folder.path, "--output", $0] }),
                ("net.svg", { ["report", made.folder.path, "--network", $0] }),
                ("labels.png", { ["data", "preview"] + config + ["--output", $0] }),
                ("policy.json", { ["policy"] + run + ["--threshold", "0.5", "--output", $0] }),
                ("tune.json", { ["tune"] + config + ["--json", $0] }),
                ("skip.json", { ["benchmark", "skip"] + config + ["--json", $0] }),
                ("skip.svg", { ["benchmark", "skip"] + config + ["--plot", $0] }),
                ("operators.json", { ["benchmark", "operators", "--json", $0] }),
                ("data.json", { ["benchmark", "data"] + config + ["--json", $0] }),
                ("scale.json", { ["benchmark", "scale"] + config + ["--json", $0] }),
            ]
            for (name, arguments) in commands {
                let link = try plant(name)
                Command.run(arguments(link)).expectFailure([link, "found a link to \(precious.path)"])
                #expect(OrdinaryFile.target(ofLink: link) == precious.path)
            }
            #expect(try String(contentsOf: precious, encoding: .utf8) == "precious")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("out").path) == ["a_depth.png"])
            #expect(!FileManager.default.fileExists(atPath: folder.file("r").path))
            // Where anything lies there is no new data set.
            try FileManager.default.createDirectory(at: folder.file("rooms"), withIntermediateDirectories: false)
            _ = try plant("rooms/img")
            expectFailure(
                ["data", "synthesize", "--output", folder.file("rooms").path, "--count", "1", "--size", "32x32"],
                "not empty")
        }

        /// The lock and the log are changed in place.
        @Test func noRunIsGoneOnWithThroughALink() throws {
            for name in ["run.lock", "metrics.jsonl", "checkpoints", "pictures"] {
                let run = folder.file("run-\(name)")
                try FinishedRun.afterWarmup().copy(to: run)
                try? FileManager.default.removeItem(at: run.appendingPathComponent(name))
                let link = try plant("run-\(name)/\(name)")
                Command.run(["train", "--resume", run.path, "--phases", "all"])
                    .expectFailure([link, "found a link to \(precious.path)"])
            }
            #expect(try String(contentsOf: precious, encoding: .utf8) == "precious")
        }

        /// Of studies: locks, logs, configurations and folders of runs.
        @Test func noStudyIsTrainedThroughALink() throws {
            _ = try folder.write(Tiny.complete, "base.yml")
            let study = try folder.write(
                "config: base.yml\nseeds: [1]\nrows: [{ name: only, set: [method=hard_sharing] }]\n", "study.yml"
            ).path
            for name in ["study.lock", "only/seed-1.log", "only/seed-1.yml", "only/seed-1", "only"] {
                let output = folder.file("of-\(name.replacing("/", with: "-"))")
                let place = output.appendingPathComponent(name).deletingLastPathComponent()
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
                let link = try plant(output.lastPathComponent + "/" + name)
                let outcome = Command.run(["experiment", "run", study, "--output", output.path, "--no-search"])
                #expect(outcome.status != 0 && outcome.errors.contains("found a link to"), "\(name): \(outcome.errors)")
                #expect(OrdinaryFile.target(ofLink: link) == precious.path)
            }
            #expect(try String(contentsOf: precious, encoding: .utf8) == "precious")
        }
    }
}
