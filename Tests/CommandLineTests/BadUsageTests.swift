import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import adashare

extension CommandLineTests {
    /// Mistakes in options and in the configuration: found before anything is written.
    @Suite struct BadUsageTests {
        let folder: TemporaryFolder
        let configuration: URL

        init() throws {
            folder = try TemporaryFolder()
            configuration = try folder.write(Tiny.complete, "c.yml")
        }

        private var run: URL { folder.file("run") }

        private func train(_ more: String...) -> [String] {
            ["train", "--config", configuration.path, "--output", run.path] + more
        }

        private func expectUntouched(sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(!FileManager.default.fileExists(atPath: run.path), sourceLocation: sourceLocation)
        }

        @Test(arguments: [
            (["train"], "--config"),
            (["cost", "--config", "F/c.yml", "--size", "99999999x99999999"], "99999999x99999999"),
            (["cost", "--config", "F/c.yml", "--size", "224"], "224"),
            (["cost", "--config", "F/c.yml", "--batch", "0"], "--batch"),
            (["cost", "--config", "F/c.yml", "--batch", "9223372036854775807"], "--batch"),
            (["benchmark", "skip", "--batch", "0"], "--batch"),
            (["train", "--config", "F/c.yml", "--phases", "warmup,polic"], "warmup,polic"),
            (["train", "--config", "F/c.yml", "--phases", "baseline"], "baseline"),
            (["data", "synthesize", "--output", "F/d", "--count", "0", "--size", "32x32"], "--count"),
            (
                ["data", "synthesize", "--output", "F/d", "--count", "1", "--size", "32x32", "--classes", "colour"],
                "--classes"
            ),
            (["predict", "--config", "F/c.yml", "--checkpoint", "F/w", "--output", "F/o"], "images"),
            (
                ["predict", "--config", "F/c.yml", "--checkpoint", "F/w", "--output", "F/o", "a/x.png", "b/x.png"],
                "same name"
            ),
            (["evaluate", "--run", "F/r", "--scales", "1,1"], "--scales"),
            (["evaluate", "--run", "F/r", "--scales", "0.5,8"], "--scales"),
            (["benchmark", "data", "--config", "F/c.yml", "--threads", "0"], "--threads"),
            (["benchmark", "data", "--config", "F/c.yml", "--images", "0"], "--images"),
            (["evaluate", "--run", "F/r", "--nosuch"], "--nosuch"), (["nosuch"], "found 'nosuch'"),
            (["trian"], "the nearest is train"), (["help", "trian"], "the nearest is train"),
            (["data", "chek", "F/d"], "the nearest is check"),
            (["train", "--confg", "F/c.yml"], "found '--confg', which is no option of train; the nearest is --config"),
            (["train", "--confg=F/c.yml"], "the nearest is --config"),
            (["train", "-config", "F/c.yml"], "found '-config', which is no option of train; the nearest is --config"),
            (["train", "--config", "F/c.yml", "--output", "F/r", "F/s"], "without an option"),
        ])
        func wrongUsageIs64(arguments: [String], part: String) throws {
            // What is meant as a file lies in the test's folder, should anything be written.
            let arguments = arguments.map { $0.hasPrefix("F/") ? folder.url.path + $0.dropFirst() : $0 }
            expectFailure(arguments, code: 64, part)
            #expect(folder.names == ["c.yml"])
        }

        /// Options that there are, hidden ones and those with long names of values among them, are none.
        @Test(arguments: [
            ["train", "--no-search", "--time-limit", "1h", "--stop-with-input"], ["predict", "--output-format=png"],
            ["benchmark", "skip", "--kernel-family", "cpu"], ["export", "--keep-batch-norms"], ["doctor", "--probe"],
            ["help", "nosuch"], ["--help-hidden"], ["--generate-completion-script", "x"], ["train", "--", "--nosuch"],
        ])
        func whatThereIsIsNotMisspelt(arguments: [String]) {
            #expect(Misspelling.error(in: arguments) == nil)
        }

        @Test func badConfigurationNamesFileKeyAndValue() throws {
            expectFailure(
                ["train", "--config", folder.file("none.yml").path, "--output", run.path], "none.yml",
                "no such file", "expected a YAML configuration")
            let list = try folder.write(Tiny.tasks + "training: { batch: [1, 2] }", "list.yml")
            expectFailure(
                ["train", "--config", list.path, "--output", run.path], "list.yml: training.batch",
                "found [1, 2]", "expected an integer")
            let broken = try folder.write("tasks: [\n", "broken.yml")
            expectFailure(["train", "--config", broken.path, "--output", run.path], "broken.yml")
            expectFailure(train("--set", "training.batch=many"), "training.batch", "'many'", "an integer")
            expectFailure(train("--set", "training.bach=4"), "training.bach", "nearest is training.batch")
            expectFailure(train("--set", "training.batch"), "--set training.batch", "path=value")
            expectFailure(train("--set", "tasks.7.weight=1"), "tasks.7.weight", "'7'", "an index")
            expectFailure(train("--set", "dataset.crop=100000"), "dataset.crop", "found 100000", "8192")
            expectFailure(
                train("--set", "training.policy.iterations=0", "--phases", "policy"), "training",
                "0 iterations in policy")
            expectFailure(
                ["benchmark", "skip", "--set", "tasks.0.kind=classification", "--size", "32x32"],
                "tasks.1.kind", "found normals beside classification", "all predict pixels")
            let many = (1...13).map { "  - { name: t\($0), kind: depth }" }.joined(separator: "\n")
            let crowd = try folder.write("tasks:\n\(many)\npolicy: { budget: 0.5 }\n", "many.yml")
            expectFailure(
                ["cost", "--config", crowd.path], "policy.cost", "shared with 13 tasks",
                "at most 12 tasks")
            expectFailure(
                train("--set", "dataset.kind=null"), "dataset.kind", "expected one of nyu_v2, scenes, folders")
            expectUntouched()
        }

        @Test func batchLargerThanTheDataIsFoundBeforeTraining() throws {
            expectFailure(train("--set", "training.batch=60"), "training.batch", "found 60", "at most 32")
            // 40 scenes: 32 in train, of these 25 in train1 and 7 in train2.
            expectFailure(train("--set", "training.batch=33"), "training.batch", "at most 32", "split train ")
            expectFailure(train("--set", "training.batch=8"), "training.batch", "at most 7", "split train2")
            expectUntouched()
        }

        @Test func inputsAreOpenedBeforeTheRunFolder() throws {
            expectFailure(
                train("--set", "model.initial_checkpoint=none.safetensors"), "none.safetensors", "no such file")
            expectFailure(
                train("--set", "tasks.0.class_weights=none.npy"), "none.npy", "no such file")
            expectFailure(
                train("--set", "dataset.kind=nyu_v2", "--set", "dataset.root=nowhere"), "nowhere", "no such folder")
            expectUntouched()
        }

        @Test(.needsDevice) func noSuchDeviceListsThoseThereAre() throws {
            let devices = try Command.run(["devices", "--json"]).json()
            let first = try #require(devices.items.first?["index"]?.string)
            expectFailure(train("--device", "nosuchdevice"), "nosuchdevice", "there is", first)
            expectUntouched()
        }

        @Test(.needsDevice) func unwritableOutputNamesThePath() throws {
            // Not even the superuser can make these.
            for output in [configuration.path + "/run", "/proc/run"] {
                expectFailure(
                    ["train", "--config", configuration.path, "--output", output], output, "cannot be made")
            }
            expectFailure(
                ["train", "--config", configuration.path, "--output", configuration.path], "found a file",
                "expected a folder")
            expectFailure(
                ["data", "synthesize", "--output", "/proc/d", "--count", "1", "--size", "32x32"], "/proc/d",
                "cannot be made")
        }

        @Test(.needsDevice) func nonEmptyOutputIsLeftAlone() throws {
            try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: run.appendingPathComponent("notes.txt"))
            expectFailure(train(), run.path, "not empty (notes.txt)", "--resume")
            expectFailure(train("--resume"), run.path, "no config.yml")
            expectFailure(
                ["data", "synthesize", "--output", run.path, "--count", "1", "--size", "32x32"], run.path, "not empty")
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.path) == ["notes.txt"])
        }

        @Test func missingOrForeignRunIsNamed() throws {
            expectFailure(["evaluate", "--run", run.path], run.path, "no such folder")
            expectFailure(["evaluate", "--run", folder.url.path], folder.url.path, "no config.yml")
        }

        @Test func badPolicyFileIsNamed() throws {
            func cost(_ text: String, _ parts: String...) throws {
                let file = try folder.write(text, "p.json")
                Command.run(["cost", "--config", configuration.path, "--policy", file.path])
                    .expectFailure([file.path] + parts)
            }
            let ones = "[1,1,1,1,1,1,1,1]"
            try cost("{", "no JSON object")
            try cost("{\"tasks\":{\"segmentation\":[1],\"normals\":\(ones),\"depth\":\(ones)}}", "1 values", "8")
            try cost(
                "{\"tasks\":{\"segmentaton\":\(ones),\"normals\":\(ones),\"depth\":\(ones)}}", "segmentaton",
                "nearest is segmentation")
            try cost("{\"tasks\":{\"segmentation\":\(ones),\"normals\":\(ones)}}", "tasks.depth", "nothing")
            try cost(
                "{\"tasks\":{\"segmentation\":[2,1,1,1,1,1,1,1],\"normals\":\(ones),\"depth\":\(ones)}}",
                "tasks.segmentation[0]", "found 2")
        }
    }
}
