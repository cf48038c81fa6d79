import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareTraining

extension CommandLineTests {
    /// A network whose tasks have backbones of their own, from the command line.
    @Suite(.needsDevice) struct OwnNetworkCommandTests {
        private static let text =
            Tiny.tasks + Tiny.light + """
                dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
                training: { batch: 4, retrain: { iterations: 2 } }
                method: { kind: cross_stitch, self_weight: 0.75 }

                """

        /// Every command knows the network by the run alone.
        @Test func trainEvaluatePredictCost() throws {
            let folder = try TemporaryFolder()
            let configuration = try folder.write(Self.text, "c.yml")
            let run = folder.file("run")
            let trained = try Program.run(
                ["train", "--config", configuration.path, "--output", run.path, "--no-search"])
            #expect(trained.status == 0, "\(trained.errors)")
            #expect(trained.output.contains("everything below the heads"))
            let summary = try JSONText.read(
                RunSummary.self, Data(contentsOf: run.appendingPathComponent("summary.json")))
            let network = try #require(summary.cost.network)
            #expect(network.macs == 3 * summary.cost.backbone.macsHardSharing)

            let scored = try Command.run(["evaluate", "--run", run.path, "--json"]).json()
            for (task, conventions) in summary.metrics {
                for metric in conventions["exact"] ?? [] {
                    let found = scored["tasks"]?[task]?["exact"]?.items.first { $0["name"]?.string == metric.name }
                    #expect(found?["value"]?.double == metric.value, "\(task) \(metric.name)")
                }
            }
            #expect(Command.run(["evaluate", "--run", run.path]).output.contains("below the heads: 300 %"))
            expectFailure(["evaluate", "--run", run.path, "--policy", "all"], "cross_stitch")
            expectFailure(["evaluate", "--run", run.path, "--tasks", "depth"], "some of them")

            let weights = run.appendingPathComponent("checkpoints/train.safetensors")
            let file = try TensorFile.read(weights)
            #expect(file.names.contains("task3.backbone.conv1.weight"))
            #expect(try file.floats("task1_stitch.stem.weight").count == 48)
            let image = folder.file("picture.png")
            try Image(width: 24, height: 20, channels: 3, pixels: (0..<1440).map { UInt8($0 % 251) }).write(to: image)
            let predicted = Command.run(
                ["predict", "--run", run.path, "--output", folder.file("out").path, "--raw", image.path])
            #expect(predicted.status == 0, "\(predicted.errors)")
            let raw = try TensorFile.read(folder.file("out/picture.safetensors"))
            #expect(raw.names.sorted() == ["depth", "normals", "segmentation"])

            let cost = try Command.run(["cost", "--config", configuration.path, "--json"]).json()
            #expect(cost["network"]?["macs"]?.integer == network.macs)
            #expect(cost["memory"]?["steps"]?.items.compactMap { $0["step"]?.string } == ["inference", "training"])
            expectFailure(["cost", "--config", configuration.path, "--policy", "all"], "cross_stitch")
            expectFailure(["benchmark", "skip", "--config", configuration.path], "cross_stitch")
        }

        /// Where images take paths of their own every command says what they cost.
        @Test func imagesOfTheirOwnPaths() throws {
            let folder = try TemporaryFolder()
            let text = Self.text.replacing("{ kind: cross_stitch, self_weight: 0.75 }", with: "block_drop")
            let configuration = try folder.write(text, "c.yml")
            let run = folder.file("run")
            let trained = try Program.run(
                ["train", "--config", configuration.path, "--output", run.path, "--no-search"])
            #expect(trained.status == 0, "\(trained.errors)")
            #expect(trained.output.contains("everything below the heads, at most"))
            let summary = try JSONText.read(
                RunSummary.self, Data(contentsOf: run.appendingPathComponent("summary.json")))
            let paths = try #require(summary.paths)
            #expect(trained.output.contains("below the heads: \(paths.text)".dropFirst()))
            let scored = try Command.run(["evaluate", "--run", run.path, "--json"]).json()
            #expect(scored["paths"]?["macs"]?.integer == paths.macs)
            #expect(scored["paths"]?["different"]?.integer == paths.different)
            #expect(Command.run(["evaluate", "--run", run.path]).output.contains(paths.text))
            let image = folder.file("picture.png")
            try Image(width: 24, height: 20, channels: 3, pixels: (0..<1440).map { UInt8($0 % 251) }).write(to: image)
            let predicted = Command.run(
                ["predict", "--run", run.path, "--output", folder.file("out").path, "--raw", image.path])
            #expect(predicted.status == 0, "\(predicted.errors)")
            let cost = Command.run(["cost", "--config", configuration.path]).output
            #expect(cost.contains("the method's network, at most"))
            expectFailure(["evaluate", "--run", run.path, "--policy", "all"], "block_drop")
        }
    }
}
