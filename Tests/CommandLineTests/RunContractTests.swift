import AdaShareDatasets
import AdaShareFiles
import AdaShareModels
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTraining

extension CommandLineTests {
    /// What a run leaves in its folder, and what `evaluate` and `predict` make of it.
    @Suite(.needsDevice) struct RunContractTests {
        let run: FinishedRun
        private let tasks = ["segmentation", "normals", "depth"]

        init() throws { run = try FinishedRun.get() }

        @Test func trainSucceedsAndPrintsItsTables() throws {
            #expect(run.outcome.status == 0, "\(run.outcome.errors)")
            for title in ["Learned policy", "Metrics, exact", "Metrics, published", "Cost of one image", "Seconds per"]
            {
                #expect(run.outcome.output.contains(title), "\(title)")
            }
            #expect(run.outcome.errors.contains("warmup  5/5") && run.outcome.errors.contains("images/s"))
        }

        @Test func resolvedConfigurationLoadsAgain() throws {
            let resolved = run.folder.appendingPathComponent("config.yml")
            let mine = try ExperimentConfiguration.load(run.configuration)
            #expect(try ExperimentConfiguration.load(resolved) == mine)
            let text = try String(contentsOf: resolved, encoding: .utf8)
            #expect(text.contains("temperature_decay: 0.965"), "defaults are written out")
        }

        @Test func everyStepIsLogged() throws {
            let steps = try run.events().filter { $0["event"] == "step" }
            for (phase, count) in Tiny.completePhases {
                let mine = steps.filter { $0["phase"]?.string == phase }
                #expect(mine.compactMap { $0["iteration"]?.integer } == Array(1...count))
                for step in mine {
                    let loss = try #require(step["loss"])
                    #expect(loss.keys == (tasks + ["total"]).sorted())
                    let values = tasks.compactMap { loss[$0]?.double }
                    #expect(values.count == 3 && values.allSatisfy(\.isFinite))
                    let isLogits = step["step"] == "logits"
                    let total = try #require(loss["total"]?.double)
                    let weighted = try #require(step["weighted_loss"])
                    #expect(tasks.map { weighted[$0]?.double } == [values[0], 20 * values[1], 3 * values[2]])
                    let added = step["regularisers"]
                    #expect(added?.keys == (isLogits ? ["sharing", "sparsity"] : nil))
                    let sum = (weighted.keys.map { weighted[$0] } + (added?.keys ?? []).map { added?[$0] })
                        .reduce(0) { $0 + ($1?.double ?? .nan) }
                    #expect(abs(sum - total) < 1e-5 * abs(sum))
                    #expect(step["learning_rate"]?.keys == (isLogits ? ["policy"] : ["backbone", "heads"]))
                    #expect(isLogits || step["learning_rate"]?["heads"] == 0.001, "\(step)")
                    #expect(step["images_per_second"]?.double ?? 0 > 0)
                }
            }
            #expect(steps.compactMap { $0["global_step"]?.integer } == Array(1...31))
            let times = try run.events().compactMap { $0["time"]?.double }
            #expect(times == times.sorted() && abs((times.last ?? 0) - Date().timeIntervalSince1970) < 3600)
            #expect(steps.count == 31)
            let policy = steps.filter { $0["phase"] == "policy" }
            #expect(policy.compactMap { $0["step"]?.string } == (0..<16).map { $0 % 2 == 0 ? "weights" : "logits" })
            #expect(policy.compactMap { $0["open_blocks"]?.integer } == (0..<16).map { $0 / 2 + 1 })
        }

        @Test func everyEvaluationIsLogged() throws {
            let evaluations = try run.events().filter { $0["metrics"] != nil }
            let places = evaluations.map { "\($0["phase"]?.string ?? "") \($0["iteration"]?.integer ?? -1)" }
            #expect(
                places == [
                    "warmup 4", "warmup 5", "policy 4", "policy 8", "policy 12", "policy 16", "retrain 4", "retrain 5",
                    "baseline 4", "baseline 5",
                ])
            for evaluation in evaluations {
                #expect(evaluation["split"] == "validation")
                let metrics = try #require(evaluation["metrics"])
                #expect(metrics.keys == tasks.sorted())
                for task in tasks { #expect(metrics[task]?.keys == ["exact", "published"]) }
                #expect(metrics["segmentation"]?["exact"]?["miou"]?.double != nil)
            }
        }

        @Test func policyIsWrittenWithItsProbabilities() throws {
            let policy = try JSONValue.parse(Data(contentsOf: run.folder.appendingPathComponent("policy.json")))
            #expect(policy.keys == ["probabilities", "tasks"])
            for task in tasks {
                let row = try #require(policy["tasks"]?[task]).items.compactMap(\.integer)
                #expect(row.count == 8 && row.allSatisfy { $0 == 0 || $0 == 1 })
                let alphas = try #require(policy["probabilities"]?[task]).items.compactMap(\.double)
                #expect(alphas.count == 8 && alphas.allSatisfy { $0 > 0 && $0 < 1 })
            }
        }

        @Test func checkpointsHaveThePublishedNamesAndShapes() throws {
            for phase in ["warmup", "policy", "retrain", "baseline"] {
                let file = try TensorFile.read(run.checkpoint(phase))
                let shapes = file.tensors.mapValues(\.shape)
                #expect(shapes["backbone.conv1.weight"] == [16, 3, 7, 7])
                #expect(shapes["backbone.blocks.1.0.conv1.weight"] == [16, 16, 3, 3])
                #expect(shapes["backbone.ds.1.0.weight"] == [16, 16, 1, 1])
                #expect(shapes["backbone.bn1.running_var"] == [16])
                #expect(shapes["task1_fc1_c3.conv3.weight"]?.first == 6)
                #expect(shapes["task3_fc1_c0.conv3.bias"] == [1])
                #expect(shapes["task2_logits"] == [8, 2])
                let counter = try #require(file.tensors["backbone.bn1.num_batches_tracked"])
                #expect(counter.dtype == .I64 && counter.shape == [])
                #expect(file.tensors.values.allSatisfy { $0.dtype == .F32 || $0.shape == [] })
            }
            let steps = try TensorFile.read(run.checkpoint("warmup")).integers("backbone.bn1.num_batches_tracked")
            #expect(steps == [5])
            let names = try FileManager.default.contentsOfDirectory(
                atPath: run.folder.appendingPathComponent("checkpoints").path)
            #expect(names.filter { $0.hasSuffix(".state") }.count == 1, "one resumable pair: \(names)")
            #expect(!names.contains { $0.hasPrefix(".") })
        }

        @Test func summaryAndEvaluationAgree() throws {
            let summary = try JSONValue.parse(Data(contentsOf: run.folder.appendingPathComponent("summary.json")))
            #expect(summary["phase"] == "retrain" && summary["split"] == "test" && summary["images"] == 4)
            #expect(summary["seconds_per_phase"]?.keys == ["baseline", "policy", "retrain", "warmup"])
            #expect(summary["data_wait_per_phase"]?.keys == ["baseline", "policy", "retrain", "warmup"])
            let waited = try #require(summary["data_wait_per_phase"]?["policy"]?.double)
            #expect((0..<1).contains(waited) && run.outcome.errors.contains("  waiting for data "))
            let evaluation = try Program.run(["evaluate", "--run", run.folder.path, "--json"]).json()
            #expect(evaluation["images"] == 4)
            #expect(evaluation["tasks"] == summary["metrics"])
            let text = Command.run(["evaluate", "--run", run.folder.path, "--split", "validation"])
            #expect(text.status == 0 && text.output.contains("exact convention, 4 images of split validation"))
            // A part of the tasks scores the same and says nothing of the others.
            let part = try Command.run(["evaluate", "--run", run.folder.path, "--json", "--tasks", "depth,normals"])
                .json()
            #expect(part["tasks"]?.keys == ["depth", "normals"])
            #expect(part["tasks"]?["depth"] == evaluation["tasks"]?["depth"])
            #expect(part["tasks"]?["normals"] == evaluation["tasks"]?["normals"])
            expectFailure(
                ["evaluate", "--run", run.folder.path, "--tasks", "edges"], "--tasks", "'edges'", "normals")
            let baseline = try Command.run([
                "evaluate", "--run", run.folder.path, "--json", "--checkpoint", run.checkpoint("baseline").path,
            ]).json()
            #expect(baseline["tasks"] == summary["hard_sharing"])
        }

        @Test func evaluationAveragesForms() throws {
            func evaluate(_ more: String...) throws -> JSONValue {
                let outcome = Command.run(["evaluate", "--run", run.folder.path, "--json"] + more)
                #expect(outcome.status == 0, "\(outcome.errors)")
                return try outcome.json()
            }
            let plain = try evaluate()
            #expect(try evaluate("--scales", "1") == plain && plain["forms"] == nil)
            let flipped = try evaluate("--flip")
            #expect(
                flipped["forms"]?["flip"] == true && flipped["forms"]?["scales"]?.items.compactMap(\.integer) == [1])
            let all = try evaluate("--flip", "--scales", "0.75,1,1.25")
            for other in [flipped, all] {
                #expect(other["images"] == plain["images"] && other["tasks"]?.keys == plain["tasks"]?.keys)
                // So small a network says the same class everywhere, whatever it sees.
                for task in ["normals", "depth"] { #expect(other["tasks"]?[task] != plain["tasks"]?[task], "\(task)") }
                for task in tasks {
                    let metrics = other["tasks"]?[task]?["exact"]?.items ?? []
                    #expect(!metrics.isEmpty && metrics.allSatisfy { $0["value"]?.double != nil })
                }
            }
            let text = Command.run(["evaluate", "--run", run.folder.path, "--flip", "--scales", "0.75,1"])
            #expect(text.output.contains("\npredictions averaged over scales 0.750, 1.000, each also mirrored\n"))
        }

        @Test func predictNeedsTasksAndModelOnly() throws {
            let folder = try TemporaryFolder()
            let lines = Tiny.complete.split(separator: "\n", omittingEmptySubsequences: false)
            let short = lines.filter { !$0.hasPrefix("dataset") }.prefix { !$0.hasPrefix("training") }
            let configuration = try folder.write(short.joined(separator: "\n"), "c.yml")
            let images = try ["a", "b"].enumerated().map { index, name -> String in
                let scene = try ScenesDataset(count: 2, height: 40, width: 56, seed: 5).sample(index)
                let url = folder.file("\(name).png")
                try Image(width: 56, height: 40, channels: 3, pixels: scene.image).write(to: url)
                return url.path
            }
            let output = folder.file("new/out")
            func arguments(_ more: String...) -> [String] {
                ["predict", "--config", configuration.path, "--checkpoint", run.checkpoint("retrain").path]
                    + ["--output", output.path] + more + images
            }
            #expect(try Program.run(arguments()).status == 0)
            for name in ["a", "b"] {
                for task in tasks {
                    let picture = try Image.read(output.appendingPathComponent("\(name)_\(task).png"), channels: 3)
                    #expect(picture.width == 56 && picture.height == 40)
                }
                let panel = try Image.read(output.appendingPathComponent("\(name)_panel.png"), channels: 3)
                #expect(panel.width >= 4 * 56 && panel.height >= 40)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: output.path).count == 8)

            #expect(Command.run(arguments("--raw")).status == 0)
            let raw = try TensorFile.read(output.appendingPathComponent("a.safetensors"))
            // Stride 8 with the pool's ceil mode: 40 x 56 pixels give 6 x 8 features.
            #expect(
                raw.tensors.mapValues(\.shape) == [
                    "segmentation": [6, 6, 8], "normals": [3, 6, 8], "depth": [1, 6, 8],
                ])
            #expect(try raw.floats("depth").allSatisfy(\.isFinite))

            #expect(Command.run(arguments("--raw", "--tasks", "depth")).status == 0)
            let alone = try TensorFile.read(output.appendingPathComponent("a.safetensors"))
            #expect(alone.names == ["depth"])
            #expect(try alone.floats("depth") == raw.floats("depth"), "the same bits without the other tasks")

            // The policy recorded in the checkpoint is the one used; another gives other outputs.
            #expect(
                Command.run(arguments("--raw", "--policy", run.folder.appendingPathComponent("policy.json").path))
                    .status == 0)
            #expect(try TensorFile.read(output.appendingPathComponent("a.safetensors")) == raw)
            let zeros = "[0,0,0,0,0,0,0,0]"
            let skipping = try folder.write(
                "{\"tasks\":{\"segmentation\":\(zeros),\"normals\":\(zeros),\"depth\":\(zeros)}}", "p.json")
            #expect(Command.run(arguments("--raw", "--policy", skipping.path)).status == 0)
            #expect(try TensorFile.read(output.appendingPathComponent("a.safetensors")) != raw)
        }

        /// Whoever takes the weights of a run that is not finished is told which they are.
        @Test func weightsOfAnUnfinishedRunAreNamed() throws {
            let folder = try TemporaryFolder()
            // It has not come to its summary.
            let stopped = folder.file("stopped")
            try run.copy(to: stopped)
            try FileManager.default.removeItem(at: stopped.appendingPathComponent("summary.json"))
            let scene = try ScenesDataset(count: 1, height: 32, width: 32, seed: 5).sample(0)
            let image = folder.file("a.png")
            try Image(width: 32, height: 32, channels: 3, pixels: scene.image).write(to: image)
            let commands = [
                ["predict", "--raw", "--output", folder.file("o").path, image.path],
                ["export", "--format", "safetensors", "--output", folder.file("x.safetensors").path], ["evaluate"],
            ]
            for command in commands {
                let outcome = Command.run([command[0], "--run", stopped.path] + command.dropFirst())
                let expected =
                    "note: the run is not finished (baseline, step 5 of 5): these are the weights of retrain after "
                    + "step 5 (checkpoints/retrain.safetensors)"
                #expect(outcome.status == 0 && outcome.lines.contains(expected), "\(outcome.errors)")
                let whole = Command.run([command[0], "--run", run.folder.path] + command.dropFirst())
                #expect(whole.status == 0 && !whole.errors.contains("these are the weights"), "\(whole.errors)")
            }
        }

        @Test func synthesizedClassesCanBePatterns() throws {
            let data = try TemporaryFolder()
            let arguments = ["data", "synthesize", "--count", "2", "--size", "32x40", "--seed", "9"]
            for classes in SceneClasses.allCases {
                let root = data.file(classes.rawValue)
                let more = ["--output", root.path, "--classes", classes.rawValue]
                #expect(Command.run(arguments + more).status == 0)
                let scenes = try ScenesDataset(count: 2, height: 32, width: 40, seed: 9, classes: classes)
                for index in 0..<2 {
                    let labels = try Image.read(root.appendingPathComponent("seg/00000\(index).png"), channels: 1)
                    #expect(try labels.pixels == scenes.sample(index).segmentation)
                }
            }
        }

        @Test func synthesizedDataTrains() throws {
            let folder = try TemporaryFolder()
            let data = folder.file("data")
            let arguments = ["--count", "20", "--size", "32x40", "--seed", "9"]
            #expect(Command.run(["data", "synthesize", "--output", data.path] + arguments).status == 0)
            for name in ["img", "seg", "normal_mask", "depth"] {
                let files = try FileManager.default.contentsOfDirectory(
                    atPath: data.appendingPathComponent(name).path)
                #expect(files.count == 20)
            }
            let image = try Image.read(data.appendingPathComponent("img/000000.png"), channels: 3)
            #expect(image.height == 32 && image.width == 40)
            // A relative root is that of the folder the command runs in.
            try folder.write(Tiny.folder("data"), "c.yml")
            let outcome = try Program.run(["train", "--config", "c.yml", "--output", "runs/a"], in: folder.url)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let evaluation = Command.run([
                "evaluate", "--json", "--run", folder.file("runs/a").path,
            ])
            #expect(try evaluation.json()["images"] == 2)
        }
    }
}
