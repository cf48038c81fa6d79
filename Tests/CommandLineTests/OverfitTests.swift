import AdaShareDatasets
import AdaShareTasks
import AdaShareTraining
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments

extension CommandLineTests {
    /// The four real NYU v2 scenes through the commands a user has: the network must learn them by heart.
    @Suite(.needsDevice) struct OverfitTests {
        static let samples = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../shared/data/nyu_v2_samples").standardizedFileURL
        static let iterations = 24
        static let hasSamples = FileManager.default.fileExists(atPath: samples.path)

        /// Full heads. The capability promises this at full width for crops of 97×129 within 100 iterations. Most time
        /// goes to the pixels and the weights of full heads, so crops are half as high and wide here, the network is
        /// half as wide, 24 iterations have to do, and one whole scene is looked at in the end.
        @Test(.enabled(if: hasSamples, "needs the NYU v2 samples beside the repository"))
        func realScenesAreLearnedByHeart() throws {
            let folder = try TemporaryFolder()
            let root = try Self.data(in: folder)
            let config = Program.repository.appendingPathComponent("configs/nyu_v2_overfit.yml")
            let run = folder.file("run")
            let result = try Program.run([
                "train", "--config", config.path, "--output", run.path, "--set", "dataset.root=\(root.path)",
                "--set", "training.warmup.iterations=\(Self.iterations)", "--set", "dataset.crop=[49, 65]", "--set",
                "model.width=0.5", "--set", "training.log_every=1", "--no-search",
            ])
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output.contains("(1 images of split test"))

            let experiment = try Experiment(
                try ExperimentConfiguration.load(run.appendingPathComponent("config.yml"), overrides: []))
            let dataset = try experiment.makeDataset()
            let crop = experiment.configuration.dataset.crop
            let loader = try BatchLoader(
                dataset: dataset, indices: dataset.splits.train, batch: 4, crop: (crop.height, crop.width),
                augmentation: .none, shuffle: false, labels: experiment.labels, seed: 1, phase: "guess", startStep: 0)
            let batch = try loader.next()
            let steps = try EventLog.read(run.appendingPathComponent("metrics.jsonl")).filter {
                $0["event"]?.string == "step"
            }
            #expect(steps.count == Self.iterations)
            for task in experiment.configuration.tasks {
                var guess = task.made.constantGuess(classWeights: nil)
                let label = try #require(batch.labels[task.labelName])
                guess.add(
                    ImageLabel(
                        height: batch.count * batch.height, width: batch.width, classes: label.classes,
                        numbers: label.numbers))
                let best = steps.compactMap { $0["loss"]?[task.name]?.double }.min() ?? .infinity
                let first = steps.first?["loss"]?[task.name]?.double ?? 0
                #expect(best <= 0.5 * guess.loss(), "\(task.name): loss \(best), constant output \(guess.loss())")
                // Otherwise the test could not fail: an untrained network must miss the bar.
                #expect(first > 0.5 * guess.loss(), "\(task.name) starts at \(first)")
            }
        }

        /// The scenes, of which one is for testing.
        private static func data(in folder: TemporaryFolder) throws -> URL {
            let root = folder.file("data")
            try FileManager.default.createDirectory(at: root, withIntermediateDirectories: false)
            for name in ["img", "seg", "normal_mask", "depth"] {
                try FileManager.default.createSymbolicLink(
                    at: root.appendingPathComponent(name), withDestinationURL: samples.appendingPathComponent(name))
            }
            let rows = ["0061", "0295", "0774", "1314"].map {
                ["img/\($0).png", "seg/\($0).png", "normal_mask/\($0).png", "depth/\($0).npy"]
            }
            let splits = ["train": rows, "test": Array(rows.prefix(1))]
            try JSONEncoder().encode(splits).write(to: root.appendingPathComponent("nyu_v2_3task.json"))
            return root
        }
    }
}
