import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// The published settings as they are shipped, on files in the format of their data sets.
    @Suite(.needsDevice) struct PublishedSettingsTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func place(_ path: String) throws -> URL {
            let url = folder.file(path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            return url
        }

        private func image(_ path: String, _ channels: Int, _ side: Int, _ value: (Int) -> UInt8) throws {
            let pixels = (0..<side * side * channels).map(value)
            try Image(width: side, height: side, channels: channels, pixels: pixels).write(to: place(path))
        }

        /// Five images: two to learn weights from, two for the logits, one to test.
        private func splits(_ file: String, row: (Int) -> [String]) throws {
            let rows = (0..<5).map(row)
            let lists = ["train": Array(rows[..<4]), "train1": Array(rows[..<2]), "train2": Array(rows[2..<4])]
            let all = lists.merging(["test": [rows[4]], "validation": [rows[4]]]) { $1 }
            try JSONEncoder().encode(all).write(to: place(file))
        }

        private func writeCityscapes() throws {
            func array(_ path: String, _ shape: [Int], _ value: (Int) -> Float) throws -> String {
                let count = shape.reduce(1, *)
                try NPYArray(shape: shape, values: (0..<count).map(value)).write(to: place(path))
                return path
            }
            let rows = try (0..<5).map { i in
                [
                    try array("image/\(i).npy", [32, 64, 3]) { Float(($0 * 7 + i) % 256) / 255 },
                    try array("depth/\(i).npy", [32, 64, 1]) { Float(($0 + i) % 50) / 100 },
                    try array("label2/\(i).npy", [32, 64]) { Float($0 % 3 - 1) },
                    try array("label7/\(i).npy", [32, 64]) { Float($0 % 8 - 1) },
                    try array("label19/\(i).npy", [32, 64]) { Float(($0 + i) % 20 - 1) },
                ]
            }
            try splits("cityscape.json") { rows[$0] }
        }

        private func writeTaskonomy() throws {
            for i in 0..<5 {
                try image("rgb/\(i).png", 3, 32) { UInt8(($0 * 7 + i) % 256) }
                try image("seg/\(i).png", 1, 32) { UInt8(($0 + i) % 18) }
                try image("normal/\(i).png", 3, 32) { UInt8(($0 * 11 + i) % 256) }
                for name in ["depth", "keypoint", "edge"] {
                    try image("\(name)/\(i).png", 1, 32) { UInt8(($0 + i) % 256) }
                }
            }
            try splits("taskonomy.json") { i in
                ["rgb", "seg", "normal", "depth", "keypoint", "edge"].map { "\($0)/\(i).png" }
            }
        }

        /// Two steps of every phase, in the shipped file's way but for sizes.
        private func train(_ name: String, _ overrides: [String]) throws -> RunSummary {
            let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let small = [
                "dataset.root=\(folder.url.path)", "dataset.crop=24", "model.width=0.03125", "training.batch=2",
                "training.evaluate_every=0", "training.log_every=1", "training.warmup.iterations=2",
                "training.policy.iterations=2", "training.retrain.iterations=2", "policy.alternation.weights=1",
                "policy.alternation.logits=1", "policy.samples=1",
            ]
            let configuration = try ExperimentConfiguration.load(
                repository.appendingPathComponent("configs/published/\(name).yml"), overrides: small + overrides)
            try configuration.validateForTraining()
            let directory = try RunDirectory(folder.file("run"), mode: .create)
            try directory.prepare(configuration)
            let trainer = try Trainer(
                experiment: try Experiment(configuration), context: TestDevice.nativeLibrary().context, run: directory
            ) { _ in }
            #expect(try trainer.train() == [.warmup, .policy, .retrain])
            let steps = try EventLog.read(directory.log).filter { $0["event"]?.string == "step" }
            #expect(
                steps.compactMap { $0["phase"]?.string } == [
                    "warmup", "warmup", "policy", "policy", "retrain", "retrain",
                ])
            for step in steps {
                for task in configuration.tasks {
                    let loss = try #require(step["loss"]?[task.name]?.double)
                    #expect(loss.isFinite && loss > 0, "\(task.name) \(loss)")
                }
            }
            return try #require(try trainer.summarise())
        }

        @Test func cityscapes() throws {
            try writeCityscapes()
            let summary = try train("cityscapes_2task", [])
            #expect(Set(summary.metrics.keys) == ["segmentation", "depth"])
        }

        @Test func taskonomy() throws {
            try writeTaskonomy()
            let summary = try train("taskonomy_5task", ["dataset.resize=32"])
            #expect(Set(summary.metrics.keys) == ["segmentation", "normals", "depth", "keypoints", "edges"])
        }
    }
}
