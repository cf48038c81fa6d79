import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareModels
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

        private func writeNYU() throws {
            for i in 0..<5 {
                try image("img/\(i).png", 3, 32) { UInt8(($0 * 7 + i) % 256) }
                try image("seg/\(i).png", 1, 32) { UInt8(($0 + i) % 40) }
                try image("normal_mask/\(i).png", 3, 32) { UInt8(($0 * 11 + i) % 255) }
                try NPYArray(shape: [32, 32], values: (0..<1024).map { Float(($0 + i) % 50) / 10 }).write(
                    to: place("depth/\(i).npy"))
            }
            try splits("nyu_v2_3task.json") { i in
                ["img/\(i).png", "seg/\(i).png", "normal_mask/\(i).png", "depth/\(i).npy"]
            }
        }

        /// As the authors have it: lists of all domains together, and whose lines are in which split.
        private func writeDomainNet(_ domains: [String]) throws {
            var lines: [String: [String]] = ["train": [], "test": []]
            var splits: [String: [String: [Int]]] = [:]
            for domain in domains {
                for i in 0..<5 {
                    let (list, path) = (i < 4 ? "train" : "test", "\(domain)/apple/\(i).png")
                    try image(path, 3, 40) { UInt8(($0 * 7 + i) % 256) }
                    let number = lines[list]?.count ?? 0
                    lines[list]?.append("\(path) \(70 * i)")
                    for split in i < 4 ? ["train", i < 2 ? "train1" : "train2"] : ["val", "test"] {
                        splits[split, default: [:]][domain, default: []].append(number)
                    }
                }
            }
            for (name, text) in lines { try Data(text.joined(separator: "\n").utf8).write(to: place("\(name).txt")) }
            try JSONEncoder().encode(splits).write(to: place("DomainNet.json"))
        }

        private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()

        /// Two steps of every phase, in the shipped file's way but for sizes.
        private func train(_ name: String, _ overrides: [String]) throws -> RunSummary {
            let repository = Self.repository
            let small = [
                "dataset.crop=24", "model.width=0.03125", "training.batch=2",
                "training.evaluate_every=0", "training.log_every=1", "training.warmup.iterations=2",
                "training.policy.iterations=2", "training.retrain.iterations=2", "policy.alternation.weights=1",
                "policy.alternation.logits=1", "policy.samples=1",
            ]
            let file = repository.appendingPathComponent("configs/published/\(name).yml")
            var configuration = try ExperimentConfiguration.load(file, overrides: small + overrides)
            if configuration.dataset.kind != nil { configuration.dataset.root = folder.url.path }
            for index in configuration.tasks.indices {
                configuration.tasks[index].dataset?.root = folder.url.path
            }
            try configuration.validateForTraining()
            let trainer = try Trainer(configuration, in: folder)
            #expect(try trainer.train() == [.warmup, .policy, .retrain])
            let steps = try EventLog.read(trainer.run.log).filter { $0["event"]?.string == "step" }
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

        @Test(arguments: ["nyu_v2_2task", "nyu_v2_3task"]) func nyu(name: String) throws {
            try writeNYU()
            let summary = try train(name, [])
            let tasks = ["segmentation", "normals", "depth"].prefix(name == "nyu_v2_2task" ? 2 : 3)
            #expect(Set(summary.metrics.keys) == Set(tasks))
        }

        /// Six domains, each with batch norms of its own, from weights under torchvision's names.
        @Test func domainNet() throws {
            let file = Self.repository.appendingPathComponent("configs/published/domainnet_6task.yml")
            let shipped = try ExperimentConfiguration.load(
                file,
                overrides: ["model.width=0.03125", "model.task_batch_norm=false", "model.initial_checkpoint=null"])
            let names = shipped.tasks.map(\.name)
            try writeDomainNet(names)
            let network = try NetworkRuntime(
                library: TestDevice.nativeLibrary(), graphs: try Experiment(shipped).stepGraphs)
            try network.initialise(seed: 3)
            let checkpoint = try network.checkpoint()
            var weights = TensorFile()
            for spec in network.graphs.catalog.specs where spec.layout != .counter {
                guard let name = network.graphs.catalog.imageNetName(of: spec) else { continue }
                weights.add(name, floats: try checkpoint.floats(spec.name), shape: spec.diskShape)
            }
            #expect(weights.tensors["layer2.0.downsample.0.weight"] != nil && weights.tensors["conv1.weight"] != nil)
            let start = folder.file("start.safetensors")
            try weights.write(to: start)
            let summary = try train(
                "domainnet_6task",
                ["model.initial_checkpoint=\(start.path)", "training.warmup.iterations=2", "dataset.validation=0"]
                    + names.indices.map { "tasks.\($0).dataset.resize=24" })
            #expect(Set(summary.metrics.keys) == Set(names))
            // A rate of 1e-5 moves a weight by as much in two steps.
            let learned = try TensorFile.read(folder.file("run/checkpoints/warmup.safetensors"))
            let (before, after) = (
                try weights.floats("layer1.0.conv1.weight"), try learned.floats("backbone.blocks.0.0.conv1.weight")
            )
            #expect(before != after && zip(before, after).allSatisfy { abs($0 - $1) < 1e-4 })
        }

        @Test func cityscapes() throws {
            try writeCityscapes()
            let summary = try train("cityscapes_2task", [])
            #expect(Set(summary.metrics.keys) == ["segmentation", "depth"])
        }

        @Test func taskonomy() throws {
            try writeTaskonomy()
            try NPYArray(shape: [17], values: (0..<17).map { 1 + Float($0) / 17 }).write(
                to: place("semseg_prior_factor.npy"))
            let weights = folder.file("semseg_prior_factor.npy").path
            let summary = try train("taskonomy_5task", ["dataset.resize=32", "tasks.0.class_weights=\(weights)"])
            #expect(Set(summary.metrics.keys) == ["segmentation", "normals", "depth", "keypoints", "edges"])
        }
    }
}
