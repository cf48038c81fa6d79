import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

extension CommandLineTests {
    /// Tasks with data sets of their own, from training to predictions.
    @Suite(.needsDevice) struct DataSetsTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func write(_ image: Image, _ path: String) throws {
            let file = folder.file(path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try image.write(to: file)
        }

        private func train(_ configuration: String) throws -> (config: String, run: String) {
            let config = try folder.write(configuration, "c.yml").path
            let run = folder.file("run").path
            let outcome = Command.run(["train", "--config", config, "--output", run, "--no-search"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            return (config, run)
        }

        /// Generated rooms for one task, pictures in folders for another.
        @Test func scenesBesideFolders() throws {
            let shapes = try ScenesDataset(count: 10, height: 24, width: 24, seed: 4)
            for index in 0..<10 {
                let sample = try shapes.sample(index)
                try write(
                    Image(width: 24, height: 24, channels: 3, pixels: sample.image), "data/photos/\(index).png")
                try write(
                    Image(width: 24, height: 24, channels: 1, pixels: try #require(sample.segmentation)),
                    "data/parts/\(index).png")
            }
            let (config, run) = try train(
                """
                tasks:
                  - { name: range, kind: depth }
                  - name: parts
                    kind: segmentation
                    channels: 6
                    label: parts
                    dataset:
                      kind: folders
                      root: \(folder.file("data").path)
                      images: photos
                      labels: [{ name: parts }]
                      splits: { test: 0.2, train1: 0.5 }
                dataset: { kind: scenes, count: 30, size: 32, crop: 24, validation: 0 }
                model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
                training:
                  batch: 2
                  log_every: 1
                  warmup: { iterations: 3 }
                  policy: { iterations: 4 }
                  retrain: { iterations: 3 }
                policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 } }
                """)
            let log = try EventLog.read(folder.file("run/metrics.jsonl")).filter { $0["event"] == "step" }
            #expect(log.count == 10 && log.allSatisfy { $0["loss"]?["range"] != nil && $0["loss"]?["parts"] != nil })
            let scored = try Command.run(["evaluate", "--run", run, "--json"]).json()
            #expect(scored["images"] == 5 && scored["labelled"]?["range"] == 3 && scored["labelled"]?["parts"] == 2)
            #expect(scored["tasks"]?["range"] != nil && scored["tasks"]?["parts"] != nil)
            // A part is scored on its own data set alone.
            let part = try Command.run(["evaluate", "--run", run, "--tasks", "parts", "--json"]).json()
            #expect(part["images"] == 2 && part["tasks"]?["parts"] == scored["tasks"]?["parts"])
            let image = folder.file("data/photos/3.png").path
            let predicted = Command.run(["predict", "--run", run, "--output", folder.file("p").path, image])
            #expect(predicted.status == 0, "\(predicted.errors)")
            for task in ["range", "parts"] {
                #expect(FileManager.default.fileExists(atPath: folder.file("p/3_\(task).png").path))
            }
            // Mistakes name the task's keys, before training.
            expectFailure(
                [
                    "train", "--config", config, "--output", folder.file("r").path, "--set",
                    "tasks.1.dataset.images=phots",
                ],
                "phots")
            expectFailure(
                ["train", "--config", config, "--output", folder.file("r").path, "--set", "training.batch=5"],
                "training.batch", "split train1", "tasks.1.dataset")
        }

        /// Two domains of three classes each, a folder for a class, batch norm per task.
        @Test func domainsWithNormsOfTheirOwn() throws {
            for (index, name) in ["dark", "grey", "light"].enumerated() {
                for number in 0..<6 {
                    // The other domain has the same classes upside down, and in other colours.
                    for (domain, shade) in [("grey", 30 + 80 * index), ("red", 190 - 80 * index)] {
                        let pixels = (0..<32 * 32 * 3).map { at in
                            domain == "red" && at % 3 > 0 ? 9 : UInt8(shade + (at * 7 + number * 13) % 30)
                        }
                        try write(
                            Image(width: 32, height: 32, channels: 3, pixels: pixels),
                            "\(domain)/images/\(name)/\(number).png")
                    }
                }
            }
            func task(_ name: String) -> String {
                """
                  - name: \(name)
                    kind: classification
                    channels: 3
                    dataset:
                      kind: folders
                      root: \(folder.file(name).path)
                      labels: [{ name: classification }]
                      splits: { train1: 0.5 }
                """
            }
            let (config, run) = try train(
                """
                tasks:
                \(task("grey"))
                \(task("red"))
                dataset: { crop: 32, augmentation: none, validation: 0 }
                model: { backbone: resnet18, width: 0.25, task_batch_norm: true }
                training:
                  batch: 6
                  log_every: 1
                  learning_rate: { heads: 0.01, backbone: 0.003 }
                  warmup: { iterations: 60 }
                  policy: { iterations: 4 }
                  retrain: { iterations: 2 }
                policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 } }
                """)
            let steps = try EventLog.read(folder.file("run/metrics.jsonl")).filter {
                $0["event"] == "step" && $0["phase"] == "warmup"
            }
            let weights = folder.file("run/checkpoints/warmup.safetensors")
            let scored = try Command.run([
                "evaluate", "--run", run, "--split", "train", "--json", "--checkpoint", weights.path,
            ]).json()
            #expect(scored["images"] == 36)
            for name in ["grey", "red"] {
                let losses = steps.compactMap { $0["loss"]?[name]?.double }
                #expect(losses.count == 60 && losses.suffix(30).sorted()[15] < 0.3 * losses[0], "\(losses)")
                let top = scored["tasks"]?[name]?["exact"]?.items.first
                #expect(top?["name"] == "top_1" && (top?["value"]?.double ?? 0) > 60, "\(name) \(scored.text)")
            }
            // Each domain has statistics of its own, and they are its own.
            let file = try TensorFile.read(weights)
            let means = try (0..<2).map { try file.floats("backbone.task\($0)_bn1.running_mean") }
            #expect(means[0] != means[1] && file.tensors["backbone.bn1.running_mean"] == nil)
            let counts = try (0..<2).map { try file.integers("backbone.task\($0)_bn1.num_batches_tracked") }
            #expect(counts == [[60], [60]])

            let image = folder.file("red/images/grey/3.png").path
            let raw = folder.file("raw")
            let predicted = Command.run(["predict", "--run", run, "--raw", "--output", raw.path, image])
            #expect(predicted.status == 0, "\(predicted.errors)")
            #expect(try TensorFile.read(raw.appendingPathComponent("3.safetensors")).names.sorted() == ["grey", "red"])
            #expect(Command.run(["cost", "--config", config, "--json"]).status == 0)
        }
    }
}
