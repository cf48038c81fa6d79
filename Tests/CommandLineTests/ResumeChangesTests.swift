import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments

extension CommandLineTests {
    /// What a run that goes on may have otherwise than when it began, and what it no longer needs.
    @Suite(.needsDevice) struct ResumeChangesTests {
        let folder: TemporaryFolder
        let configuration: URL
        let data: URL
        let run: URL

        init() throws {
            folder = try TemporaryFolder()
            (data, run) = (folder.file("data"), folder.file("run"))
            configuration = try folder.write(Tiny.folder(data.path), "c.yml")
            try TinyRooms.write(to: data)
        }

        private func train(_ more: String..., output: URL? = nil) -> [String] {
            ["train", "--config", configuration.path, "--output", (output ?? run).path, "--no-search"] + more
        }

        private func weights(_ run: URL) throws -> TensorFile {
            try TensorFile.read(run.appendingPathComponent("checkpoints/warmup.safetensors"))
        }

        @Test func aLongerRunIsTheLongRun() throws {
            let straight = folder.file("straight")
            #expect(Command.run(train("--set", "training.warmup.iterations=4", output: straight)).status == 0)
            #expect(Command.run(train()).status == 0)
            let longer = Command.run(
                train("--resume", "--set", "training.warmup.iterations=4", "--set", "training.checkpoint_every=1"))
            #expect(longer.status == 0, "\(longer.errors)")
            #expect(longer.errors.contains("training.warmup.iterations: 2 before, 4 now"), "\(longer.errors)")
            #expect(try weights(run).tensors == weights(straight).tensors)
            let events = try EventLog.read(run.appendingPathComponent("metrics.jsonl"))
            let changed = events.first { $0["event"] == "resume" }?["changed"]
            #expect(changed?["training.checkpoint_every"] == ["200", "1"], "\(events)")
            // The configuration is in the folder, and keeps what it came to.
            let again = Command.run(["train", "--resume", run.path])
            #expect(again.status == 0 && again.errors.contains("is finished, nothing is left to do"), "\(again.errors)")
            Command.run(train("--resume", "--set", "training.warmup.iterations=2")).expectFailure([
                "training.warmup.iterations: 4 in the run, 2 now", "model.initial_checkpoint=",
            ])
            Command.run(["train", "--resume", folder.file("none").path]).expectFailure(["none", "no such folder"])
            Command.run(["train", run.path]).expectFailure(code: 64, ["--resume takes"])
            Command.run(["train", "--resume"]).expectFailure(code: 64, ["a run's folder"])
        }

        @Test func movedDataIsFound() throws {
            #expect(Command.run(train()).status == 0)
            let stored = try Data(contentsOf: run.appendingPathComponent("config.yml"))
            let moved = folder.file("moved")
            try FileManager.default.moveItem(at: data, to: moved)
            let evaluate = ["evaluate", "--run", run.path]
            Command.run(evaluate).expectFailure([data.path, "--set dataset.root=PATH"])
            #expect(Command.run(evaluate + ["--set", "dataset.root=\(moved.path)"]).status == 0)
            #expect(try Data(contentsOf: run.appendingPathComponent("config.yml")) == stored)
            Command.run(evaluate + ["--set", "dataset.root=\(moved.path)", "--set", "model.width=1"]).expectFailure([
                "model.width", "changes no result",
            ])
            #expect(Command.run(["train", "--resume", run.path, "--set", "dataset.root=\(moved.path)"]).status == 0)
            #expect(Command.run(evaluate).status == 0)
        }

        @Test func filesOfClassWeightsAreKeptAndChecked() throws {
            let file = folder.file("weights.npy")
            let set = ["--set", "tasks.0.class_weights=\(file.path)"]
            for (values, part) in [
                ([Float](repeating: 0, count: 6), "only zeros"), ([1, 1, -1, 1, 1, 1], "-1.0 as element 2"),
                ([1, .nan, 1, 1, 1, 1], "nan as element 1"),
            ] {
                try NPYArray(shape: [6], values: values).write(to: file)
                Command.run(train() + set).expectFailure(["weights.npy", part])
            }
            try NPYArray(shape: [6], values: [0.1, 1, 1, 2, 1, 1]).write(to: file)
            #expect(Command.run(train() + set).status == 0)
            try FileManager.default.removeItem(at: file)
            let outcome = Command.run(train("--resume", "--set", "training.warmup.iterations=3") + set)
            #expect(outcome.status == 0, "\(outcome.errors)")
        }

        @Test func aRunWithStepsIsKept() throws {
            let outcome = Command.run(train("--set", "training.learning_rate.backbone=1e30"))
            #expect(outcome.status == 1)
            outcome.expectFailure(["A run keeps its rates", "train --config", "--output"])
            Command.run(train()).expectFailure(["not empty"])
            // One that has not, but is held, neither.
            let fresh = folder.file("fresh")
            let started = try RunDirectory(fresh, mode: .create)
            try started.prepare(RunDirectory(run, mode: .read).readConfiguration())
            Command.run(train(output: fresh)).expectFailure(["another process"])
        }

        @Test func nothingIsLostWithARunThatHasNotBegun() throws {
            let other = folder.file("other")
            do {
                #expect(Command.run(train()).status == 0)
                let started = try RunDirectory(other, mode: .create)
                var configuration = try RunDirectory(run, mode: .read).readConfiguration()
                configuration.training.seed = 7
                try started.prepare(configuration)
            }
            let outcome = Command.run(train(output: other))
            #expect(outcome.status == 0 && outcome.errors.contains("it begins anew"), "\(outcome.errors)")
            #expect(try weights(other) == weights(run))
        }

        // MARK: - Data that is looked at first

        @Test func everyBadSampleIsFoundBeforeTheFirstStep() throws {
            let files = ["img/000006.png", "depth/000007.npy"].map { data.appendingPathComponent($0) }
            for file in files { try Data(contentsOf: file).dropLast(100).write(to: file) }
            Command.run(train()).expectFailure(["000006.png", "000007.npy", "truncated"])
            #expect(!FileManager.default.fileExists(atPath: run.path))
        }

        @Test func tasksWithoutALabelAreNamed() throws {
            for index in 0..<8 {
                try Image(width: 32, height: 32, channels: 1, pixels: [UInt8](repeating: 255, count: 1024))
                    .write(to: data.appendingPathComponent("seg/00000\(index).png"))
                try Image(width: 32, height: 32, channels: 3, pixels: [UInt8](repeating: 128, count: 3072))
                    .write(to: data.appendingPathComponent("normal_mask/00000\(index).png"))
            }
            let outcome = Command.run(train())
            #expect(outcome.status == 0, "\(outcome.errors)")
            let notes = outcome.lines.filter { $0.hasPrefix("note: task ") }
            #expect(notes.contains { $0.contains("segmentation has no label in any of the ") }, "\(notes)")
            #expect(notes.contains { $0.contains("normals: ") && $0.contains("pixels of nyu_v2 are grey") }, "\(notes)")
        }

        @Test func pathsOfASplitFileMayBeAbsolute() throws {
            let list = data.appendingPathComponent("nyu_v2_3task.json")
            let lists = try JSONDecoder().decode([String: [[String]]].self, from: Data(contentsOf: list))
            let absolute = lists.mapValues { $0.map { $0.map { data.appendingPathComponent($0).path } } }
            try JSONEncoder().encode(absolute).write(to: list)
            #expect(Command.run(train()).status == 0)
            // What is scored alone needs no images to train on, nor those of other splits.
            let test = absolute["train"]?.prefix(2).map { $0 } ?? []
            try JSONEncoder().encode(["test": test]).write(to: list)
            #expect(Command.run(["evaluate", "--run", run.path, "--split", "test"]).status == 0)
            Command.run(train(output: folder.file("new"))).expectFailure(["no image to train on", "'train'"])
            try JSONEncoder().encode(["test": test, "train": [["a.png", "b.png", "c.png", "d.npy"]]]).write(to: list)
            #expect(Command.run(["evaluate", "--run", run.path, "--split", "test"]).status == 0)
            Command.run(["evaluate", "--run", run.path]).expectFailure(["a.png"])
        }

        // MARK: - Weights to begin from

        @Test func initialWeightsAreSaidAndMayDiffer() throws {
            #expect(Command.run(train()).status == 0)
            let whole = try weights(run)
            var file = TensorFile()
            for entry in whole.ordered where !entry.name.hasSuffix("num_batches_tracked") {
                file.tensors["module." + entry.name] = TensorFile.Entry(
                    name: "module." + entry.name, dtype: entry.dtype, shape: entry.shape, bytes: entry.bytes)
            }
            file.add("module.spare", floats: [1], shape: [1])
            let start = folder.file("start.safetensors")
            try file.write(to: start)
            let set = ["--set", "model.initial_checkpoint=\(start.path)", "--set", "tasks.0.channels=9"]
            let outcome = Command.run(train(output: folder.file("wider")) + set)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let line = try #require(outcome.lines.first { $0.contains("tensors are taken") })
            #expect(line.contains("fresh: task1_head") && line.contains("not used: spare"), "\(line)")
            // A checkpoint needs no counts of batches either.
            file.tensors["module.spare"] = nil
            file.metadata = whole.metadata
            try file.write(to: start)
            #expect(Command.run(["evaluate", "--run", run.path, "--checkpoint", start.path]).status == 0)
        }
    }
}
