import AdaShareDatasets
import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

extension CommandLineTests {
    /// Damaged images, arrays, labels and checkpoints: one line, and what was there stays.
    @Suite(.needsDevice) struct BadDataTests {
        let folder: TemporaryFolder
        let configuration: URL
        let data: URL
        let run: URL

        init() throws {
            folder = try TemporaryFolder()
            data = folder.file("data")
            run = folder.file("run")
            configuration = try folder.write(Tiny.folder(data.path), "c.yml")
            // Eight images: all of them in train, and two steps see each once.
            try TinyRooms.write(to: data)
        }

        private func file(_ name: String) -> URL { data.appendingPathComponent(name) }

        private func train(_ more: String...) -> [String] {
            ["train", "--config", configuration.path, "--output", run.path] + more
        }

        private func cut(_ url: URL, by count: Int) throws {
            try Data(contentsOf: url).dropLast(count).write(to: url)
        }

        struct Damage: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let file: String
            let parts: [String]
            let apply: @Sendable (URL) throws -> Void
        }

        /// Says that the bytes of floats are something else.
        private static func retype(_ url: URL, _ descriptor: String) throws {
            var bytes = try Data(contentsOf: url)
            let type = try #require(bytes.range(of: Data("<f4".utf8)))
            bytes.replaceSubrange(type, with: Data(descriptor.utf8))
            try bytes.write(to: url)
        }

        static let damages = [
            Damage(testDescription: "truncated image", file: "img/000003.png", parts: ["truncated"]) {
                try Data(contentsOf: $0).dropLast(100).write(to: $0)
            },
            Damage(testDescription: "corrupt image", file: "img/000003.png", parts: ["corrupt"]) {
                var bytes = try Data(contentsOf: $0)
                bytes[bytes.count / 2] ^= 0xFF
                try bytes.write(to: $0)
            },
            Damage(testDescription: "image of inks", file: "img/000003.png", parts: ["a CMYK JPEG", "expected one in"])
            {
                try Data(GoldenImage.file("jpeg cmyk")).write(to: $0)
            },
            Damage(testDescription: "label in a JPEG", file: "seg/000003.png", parts: ["a JPEG, whose values are not"])
            {
                try Data(GoldenImage.file("jpeg grey")).write(to: $0)
            },
            Damage(testDescription: "label of another size", file: "seg/000003.png", parts: ["16×32", "32×32"]) {
                let pixels = [UInt8](repeating: 0, count: 32 * 16)
                try Image(width: 32, height: 16, channels: 1, pixels: pixels).write(to: $0)
            },
            Damage(
                testDescription: "label outside its classes", file: "seg/000003.png",
                parts: ["label 6", "0...5", "255"]
            ) {
                let pixels = [UInt8](repeating: 6, count: 32 * 32)
                try Image(width: 32, height: 32, channels: 1, pixels: pixels).write(to: $0)
            },
            Damage(testDescription: "truncated array", file: "depth/000003.npy", parts: ["4092", "4096", "truncated"]) {
                try Data(contentsOf: $0).dropLast(4).write(to: $0)
            },
            Damage(testDescription: "array of complex numbers", file: "depth/000003.npy", parts: ["'<c4'", "'<f4'"]) {
                try retype($0, "<c4")
            },
            Damage(
                testDescription: "array of integers too large", file: "depth/000003.npy",
                parts: ["element [0, 0]", "an integer that float32 holds"]
            ) {
                try retype($0, "<i4")
            },
            Damage(testDescription: "array of another shape", file: "depth/000003.npy", parts: ["[4, 4]", "[32, 32]"]) {
                try NPYArray(shape: [4, 4], values: [Float](repeating: 1, count: 16)).write(to: $0)
            },
        ]

        @Test(arguments: damages) func damagedFileIsNamed(_ damage: Damage) throws {
            let url = file(damage.file)
            try damage.apply(url)
            Command.run(train()).expectFailure(damage.parts + [url.path])
            // The check finds the same without training.
            let check = Command.run(["data", "check", "--config", configuration.path])
            #expect(check.status == 1)
            let line = check.output.split(separator: "\n").first { $0.hasPrefix("error: \(url.path)") } ?? ""
            for part in damage.parts { #expect(line.contains(part), "\(check.output)") }
        }

        @Test func repairedDataLetsTheRunContinue() throws {
            let url = file("depth/000003.npy")
            let whole = try Data(contentsOf: url)
            try cut(url, by: 4)
            expectFailure(train(), url.path)
            try whole.write(to: url)
            #expect(Command.run(train("--resume")).status == 0)
            #expect(FileManager.default.fileExists(atPath: run.appendingPathComponent("summary.json").path))
        }

        @Test func badImagesMayBeSkipped() throws {
            let url = file("img/000003.png")
            try cut(url, by: 100)
            expectFailure(train(), url.path)
            let outcome = Command.run(train("--resume", "--set", "dataset.on_error=skip"))
            #expect(outcome.status == 0, "\(outcome.errors)")
            let notices = outcome.lines.filter { $0.contains(url.path) }
            #expect(notices.count == 1 && notices[0].hasPrefix("note: left out, 1 by now: "), "\(outcome.errors)")
            let events = try EventLog.read(run.appendingPathComponent("metrics.jsonl")).filter { $0["event"] == "skip" }
            #expect(events.count == 1 && events[0]["skipped"] == 1)
            #expect(events[0]["reason"]?.string?.contains(url.path) == true)
            let scored = ["evaluate", "--run", run.path, "--split", "train"]
            let json = try Command.run(scored + ["--json"]).json()
            #expect(json["images"] == 7 && json["skipped"]?.items.count == 1)
            let text = Command.run(scored).output
            #expect(text.contains("left out, since they cannot be decoded: 1, the first is \(url.path)"), "\(text)")
        }

        @Test func missingFilesAreFoundBeforeTheRunFolderIsMade() throws {
            try FileManager.default.removeItem(at: file("seg/000003.png"))
            expectFailure(train(), "seg/000003.png", "a file below")
            #expect(!FileManager.default.fileExists(atPath: run.path))
        }

        @Test func emptySplitIsNamed() throws {
            // Eight scenes have no test split.
            let trained = Command.run(train("--set", "training.evaluate_every=1"))
            #expect(trained.status == 0)
            #expect(trained.errors.contains("training.evaluate_every is without effect"), "\(trained.errors)")
            // Unless a split is named, what there is: as train does at its end.
            let scored = Command.run(["evaluate", "--run", run.path, "--json"])
            #expect(scored.status == 0 && scored.errors.contains("neither test nor validation images"))
            #expect(try scored.json()["split"] == "train")
            expectFailure(["evaluate", "--run", run.path, "--split", "test"], "split 'test': found no sample")
            expectFailure(["evaluate", "--run", run.path, "--split", "tset"], "'tset'", "train1", "validation")
            let index = file("nyu_v2_3task.json")
            let text = try String(contentsOf: index, encoding: .utf8)
            try Data((text.prefix(1) + "\"test\": [], " + text.dropFirst()).utf8).write(to: index)
            expectFailure(
                ["evaluate", "--run", run.path], index.deletingLastPathComponent().path, "'test': found no sample")
        }

        @Test func lossThatIsNotFiniteStopsTheRun() throws {
            // 1e38 metres over 1024 pixels leave the range of float32.
            for index in 0..<8 {
                let values = [Float](repeating: 1e38, count: 1024)
                try NPYArray(shape: [32, 32], values: values).write(to: file("depth/00000\(index).npy"))
            }
            expectFailure(train("--set", "training.log_every=2"), "warmup step 1", "task depth", "not finite")
            try expectLastCheckpointIsGood()
        }

        @Test func exploderStopsAtTheStepAndKeepsTheCheckpoint() throws {
            let rate = "training.learning_rate.backbone=1e30"
            // Logged only at the end: the step named is the first one all the same.
            expectFailure(
                train("--set", rate, "--set", "training.warmup.iterations=6", "--set", "training.log_every=6"),
                "warmup step 2", "the loss of task", "not finite", "training.learning_rate")
            try expectLastCheckpointIsGood()
        }

        private func expectLastCheckpointIsGood() throws {
            let weights = run.appendingPathComponent("checkpoints/warmup-0000000.safetensors")
            let file = try TensorFile.read(weights)
            #expect(
                try file.ordered.filter { $0.dtype == .F32 }.allSatisfy {
                    try file.floats($0.name).allSatisfy(\.isFinite)
                })
            let outcome = Command.run([
                "evaluate", "--run", run.path, "--checkpoint", weights.path, "--split", "train",
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }

        // MARK: - Checkpoints

        @Test func foreignAndDamagedCheckpointsAreNamed() throws {
            let finished = try FinishedRun.get()
            let weights = finished.checkpoint("retrain")
            let damaged = folder.file("damaged.safetensors")
            try Data(contentsOf: weights).dropLast(1000).write(to: damaged)
            let text = try folder.write("these are not tensors, but enough bytes", "text.safetensors")
            let image = file("img/000000.png").path

            func predict(_ checkpoint: URL, _ changes: String...) -> [String] {
                ["predict", "--config", finished.configuration.path, "--checkpoint", checkpoint.path]
                    + changes.flatMap { ["--set", $0] } + ["--output", run.path, image]
            }
            expectFailure(predict(damaged), damaged.path, "truncated")
            expectFailure(predict(text), text.path, "found text (\"these are not")
            var broken = try TensorFile.read(weights)
            let spec = try #require(broken.tensors["backbone.bn1.weight"])
            var values = try broken.floats(spec.name)
            values[3] = .nan
            broken.add(spec.name, floats: values, shape: spec.shape)
            let notANumber = folder.file("nan.safetensors")
            try broken.write(to: notANumber)
            expectFailure(predict(notANumber), notANumber.path, "backbone.bn1.weight", "nan at element 3")
            expectFailure(predict(folder.file("no.safetensors")), "no.safetensors", "no such file")
            expectFailure(predict(folder.url), folder.url.path, "found a folder, expected a safetensors file")
            expectFailure(
                predict(weights, "model.backbone=resnet34"), weights.path, "backbone.blocks.0.2.conv1.weight",
                "found resnet18, expected resnet34, as model.backbone says; model.backbone resnet18 has the file's")
            expectFailure(
                predict(weights, "model.width=0.25"), weights.path,
                "blocks.1.0.conv1.weight: found shape [16, 16, 3, 3]",
                "[32, 16, 3, 3], as model.width 0.25 has it; model.width 0.125 has the file's")
            expectFailure(predict(weights, "model.head=light"), weights.path, "task1_fc1_c0")
            #expect(!FileManager.default.fileExists(atPath: run.path))

            func start(_ checkpoint: URL, _ changes: String...) -> [String] {
                train("--set", "model.initial_checkpoint=\(checkpoint.path)") + changes.flatMap { ["--set", $0] }
            }
            expectFailure(start(damaged), damaged.path, "truncated")
            expectFailure(start(weights, "model.backbone=resnet34"), weights.path, "resnet34")
            #expect(!FileManager.default.fileExists(atPath: run.path))
        }

        @Test func predictNamesBadImages() throws {
            let finished = try FinishedRun.get()
            func predict(_ image: URL) -> [String] {
                [
                    "predict", "--config", finished.configuration.path, "--checkpoint",
                    finished.checkpoint("retrain").path, "--output", run.path, image.path,
                ]
            }
            let inks = try folder.write(GoldenImage.file("jpeg cmyk"), "inks.jpg")
            expectFailure(predict(inks), inks.path, "a CMYK JPEG", "expected one in RGB")
            expectFailure(predict(folder.file("no.png")), "no.png", "no such file")
            let short = file("img/000001.png")
            try cut(short, by: 50)
            expectFailure(predict(short), short.path, "truncated")
            expectFailure(
                predict(file("img/000000.png")).map { $0 == run.path ? configuration.path : $0 }, configuration.path,
                "cannot be made")
        }
    }
}
