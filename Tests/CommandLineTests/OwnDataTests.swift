import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareTraining

extension CommandLineTests {
    /// Images and labels of one's own, described in YAML only: training, scores and predictions.
    @Suite struct OwnDataTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func makeFolder(_ path: String) throws {
            try FileManager.default.createDirectory(at: folder.file(path), withIntermediateDirectories: true)
        }

        /// Scenes in folders; every second one lacks its distances, and two kinds of classes lie side by side.
        private func writeScenes() throws -> String {
            for name in ["photos", "parts", "patterns", "lidar"] { try makeFolder("data/\(name)") }
            let shapes = try ScenesDataset(count: 10, height: 24, width: 24, seed: 4)
            let patterns = try ScenesDataset(count: 10, height: 24, width: 24, seed: 4, classes: .pattern)
            for index in 0..<10 {
                let sample = try shapes.sample(index)
                func write(_ pixels: [UInt8]?, _ place: String, channels: Int) throws {
                    try Image(width: 24, height: 24, channels: channels, pixels: try #require(pixels))
                        .write(to: folder.file("data/\(place)/\(index).png"))
                }
                try write(sample.image, "photos", channels: 3)
                try write(sample.segmentation, "parts", channels: 1)
                try write(patterns.sample(index).segmentation, "patterns", channels: 1)
                guard index % 2 == 0 else { continue }
                let millimetres = try #require(sample.depth).map { 1000 * $0 }
                try NPYArray(shape: [24, 24], values: millimetres).write(to: folder.file("data/lidar/\(index).npy"))
            }
            return try folder.write(
                """
                tasks:
                  - { name: parts, kind: segmentation, label: parts, channels: 6 }
                  - { name: patterns, kind: segmentation, label: patterns, channels: 4 }
                  - { name: range, kind: depth, label: lidar }
                dataset:
                  kind: folders
                  root: \(folder.file("data").path)
                  images: photos
                  labels:
                    - { name: parts }
                    - { name: patterns, path: patterns/*.png }
                    - { name: lidar, scale: 0.001, invalid: 0 }
                  splits: { test: 0.2 }
                  validation: 0
                  crop: 24
                  augmentation: none
                model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
                training:
                  { batch: 2, log_every: 1, warmup: { iterations: 4 },
                    policy: { iterations: 0 }, retrain: { iterations: 0 } }
                """, "c.yml"
            ).path
        }

        @Test(.needsDevice) func labelsOfOnesOwnTrain() throws {
            let config = try writeScenes()
            let run = folder.file("run").path
            let outcome = Command.run(["train", "--config", config, "--output", run, "--no-search"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains("label lidar: carried by "), "\(outcome.errors)")
            let log = try EventLog.read(folder.file("run/metrics.jsonl")).filter { $0["event"] == "step" }
            #expect(log.count == 4 && log.allSatisfy { $0["loss"]?["patterns"] != nil })
            let scored = try Command.run(["evaluate", "--run", run, "--split", "train", "--json"]).json()
            #expect(scored["images"] == 8 && scored["labelled"]?["parts"] == 8)
            let carried = try #require(scored["labelled"]?["range"]?.integer)
            #expect((3...5).contains(carried) && scored["tasks"]?["range"] != nil)
            #expect(scored["tasks"]?["parts"] != scored["tasks"]?["patterns"])
            let text = Command.run(["evaluate", "--run", run, "--split", "train"])
            #expect(text.output.contains("range: scored on the \(carried) of 8 images that carry its label"))

            // By the run, or by its parts: the same bits.
            let image = folder.file("data/photos/3.png").path
            let weights = folder.file("run/checkpoints/warmup.safetensors").path
            let byRun = Command.run(["predict", "--run", run, "--raw", "--output", folder.file("a").path, image])
            let byParts = Command.run([
                "predict", "--config", config, "--checkpoint", weights, "--raw", "--output", folder.file("b").path,
                image,
            ])
            #expect(byRun.status == 0 && byParts.status == 0, "\(byRun.errors)\(byParts.errors)")
            let files = try ["a", "b"].map { try Data(contentsOf: folder.file("\($0)/3.safetensors")) }
            #expect(files[0] == files[1])
            #expect(Command.run(["predict", "--run", run, "--output", folder.file("p").path, image]).status == 0)
            #expect(FileManager.default.fileExists(atPath: folder.file("p/3_range.png").path))
            expectFailure(["predict", "--output", folder.file("p").path, image], code: 64, "--run")
        }

        @Test(.needsDevice) func aTypoInAFolderIsFoundBeforeTraining() throws {
            let config = try writeScenes()
            let arguments = ["train", "--config", config, "--output", folder.file("run").path]
            expectFailure(arguments + ["--set", "dataset.labels.0.path=part"], "part", "no such folder")
            expectFailure(
                arguments + ["--set", "dataset.labels.1.path=patterns/*.PNG"], "no file of 'patterns/*.PNG'",
                "10 images")
            expectFailure(arguments + ["--set", "tasks.2.label=ladir"], "tasks.2.label", "'ladir'", "lidar")
            #expect(!FileManager.default.fileExists(atPath: folder.file("run").path))
            // Known when the file is read.
            expectFailure(arguments + ["--set", "tasks.0.channels=3"], "parts/", "label", "0...2")
        }

        /// Grey images of three shades in a folder for each: classification, whole.
        @Test(.needsDevice) func foldersAreClasses() throws {
            for (index, name) in ["dark", "grey", "light"].enumerated() {
                try makeFolder("data/images/\(name)")
                for number in 0..<6 {
                    let pixels = (0..<32 * 32 * 3).map { UInt8(30 + 80 * index + ($0 * 7 + number * 13) % 30) }
                    try Image(width: 32, height: 32, channels: 3, pixels: pixels)
                        .write(to: folder.file("data/images/\(name)/\(number).png"))
                }
            }
            let config = try folder.write(
                """
                tasks: [{ name: shade, kind: classification, channels: 3 }]
                dataset:
                  kind: folders
                  root: \(folder.file("data").path)
                  labels: [{ name: classification }]
                  splits: { train1: 0.5 }
                  validation: 0
                  crop: 32
                  augmentation: none
                model: { backbone: resnet18, width: 0.25 }
                training:
                  batch: 6
                  log_every: 1
                  learning_rate: { heads: 0.01, backbone: 0.003 }
                  warmup: { iterations: 60 }
                  policy: { iterations: 4 }
                  retrain: { iterations: 2 }
                policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 } }
                """, "c.yml"
            ).path
            let run = folder.file("run").path
            let outcome = Command.run(["train", "--config", config, "--output", run, "--no-search"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            let losses = try EventLog.read(folder.file("run/metrics.jsonl")).filter {
                $0["event"] == "step" && $0["phase"] == "warmup"
            }.compactMap { $0["loss"]?["shade"]?.double }
            // Steps this large jump now and then: the middle of the later ones.
            #expect(losses.count == 60 && losses.suffix(30).sorted()[15] < 0.3 * losses[0], "\(losses)")
            let scored = try Command.run([
                "evaluate", "--run", run, "--split", "train", "--json", "--checkpoint",
                folder.file("run/checkpoints/warmup.safetensors").path,
            ]).json()
            let top = scored["tasks"]?["shade"]?["exact"]?.items.first
            #expect(top?["name"] == "top_1" && (top?["value"]?.double ?? 0) > 60, "\(scored["tasks"]?.text ?? "")")
            // Which class is which is kept: another folder would number them anew.
            let classes = folder.file("run/classes.json")
            #expect(try JSONValue.parse(Data(contentsOf: classes)) == ["shade": ["dark", "grey", "light"]])
            try FileManager.default.removeItem(at: folder.file("run/summary.json"))
            try FileManager.default.moveItem(at: folder.file("data/images/grey"), to: folder.file("data/images/azure"))
            for command in [["train", "--config", config, "--output", run, "--resume"], ["evaluate", "--run", run]] {
                expectFailure(command, classes.path, "shade, class 0", "'azure' in the data set", "'dark'")
            }
            try FileManager.default.moveItem(at: folder.file("data/images/azure"), to: folder.file("data/images/grey"))
            try Data("{\"shade\": [".utf8).write(to: classes)
            expectFailure(["evaluate", "--run", run], classes.path, "invalid JSON", "a JSON object of task")
            // What is not known of a task is kept when the run goes on.
            try Data("{}".utf8).write(to: classes)
            let resumed = Command.run(["train", "--config", config, "--output", run, "--resume", "--no-search"])
            #expect(resumed.status == 0, "\(resumed.errors)")
            #expect(try JSONValue.parse(Data(contentsOf: classes)) == ["shade": ["dark", "grey", "light"]])
            let image = folder.file("data/images/grey/3.png").path
            let predicted = Command.run(["predict", "--run", run, "--output", folder.file("p").path, image])
            #expect(predicted.status == 0, "\(predicted.errors)")
            let cost = Command.run(["cost", "--config", config, "--json"])
            #expect(cost.status == 0, "\(cost.errors)")
        }
    }
}
