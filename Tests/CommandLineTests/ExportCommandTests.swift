import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

/// The Python that exported files are checked with, where `tools/python-peers` has made it.
enum PythonPeers {
    static let interpreter = shown([])
    /// The one with PyTorch, torchvision and timm.
    static let torch = shown(["torch"])

    private static func shown(_ which: [String]) -> URL? {
        let shown = try? RunningProgram(
            ["--show"] + which, of: Program.repository.appendingPathComponent("tools/python-peers")
        ).finish()
        guard let shown, shown.status == 0 else { return nil }
        return URL(fileURLWithPath: shown.output.trimmingCharacters(in: .newlines))
    }

    /// Runs a script of `tools`.
    static func run(_ script: String, _ arguments: [String], by interpreter: URL? = interpreter) throws -> Outcome {
        let interpreter = try #require(interpreter)
        let path = Program.repository.appendingPathComponent("tools/\(script)").path
        return try RunningProgram([path] + arguments, of: interpreter).finish()
    }
}

extension CommandLineTests {
    /// Networks for other programs.
    @Suite(.needsDevice) struct ExportCommandTests {
        private let folder: TemporaryFolder
        private static let configuration =
            Tiny.tasks + """
                model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
                dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
                training:
                  { batch: 4, warmup: { iterations: 1 }, policy: { iterations: 16 }, retrain: { iterations: 2 } }
                policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 } }

                """

        init() throws {
            folder = try TemporaryFolder()
            _ = try folder.write(Self.configuration, "c.yml")
        }

        private func train(_ name: String, _ set: String..., options: [String] = []) throws -> URL {
            let run = folder.file(name)
            let outcome = Command.run(
                ["train", "--config", folder.file("c.yml").path, "--no-search", "--output", run.path]
                    + set.flatMap { ["--set", $0] } + options)
            #expect(outcome.status == 0, "\(outcome.errors)")
            return run
        }

        /// ONNX Runtime computes what is predicted here, whatever the method, in every form of the file.
        @Test(.enabled(if: PythonPeers.interpreter != nil, "tools/python-peers has not been run"))
        func onnxRuntimeAgrees() throws {
            // Of a size that no stride divides.
            let rooms = folder.file("rooms")
            #expect(
                Command.run(["data", "synthesize", "--output", rooms.path, "--count", "3", "--size", "37x52"]).status
                    == 0)
            let image = rooms.appendingPathComponent("img/000001.png").path
            var models: [String] = []
            for method in ["adashare", "cross_stitch", "sluice", "nddr", "mtan", "single_task"] {
                // Slices of channels are no smaller.
                let width = method == "sluice" ? 0.5 : 0.125
                // A policy that skips blocks, which a short learning does not come to.
                let given = ["--phases", "retrain", "--policy", "random:0.5:3"]
                let run = try train(
                    method, "method=\(method)", "model.width=\(width)", options: method == "adashare" ? given : []
                ).path
                let raw = run + "/raw"
                let predicted = Command.run(["predict", "--run", run, "--raw", "--output", raw, image])
                #expect(predicted.status == 0, "\(predicted.errors)")
                var forms = [[], ["--input", "pixels", "--keep-batch-norms"]]
                if method == "adashare" { forms.append(["--tasks", "depth"]) }
                for (number, form) in forms.enumerated() {
                    let model = "\(run)/\(number).onnx"
                    let exported = Command.run(
                        ["export", "--run", run, "--format", "onnx", "--output", model] + form)
                    #expect(exported.status == 0, "\(exported.errors)")
                    models += [model, image, raw + "/000001.safetensors"]
                }
            }
            let checked = try PythonPeers.run("check-onnx", models)
            #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
            #expect(checked.output.split(separator: "\n").count == 2 * (12 * 3 + 1))
        }

        /// What no chosen task selects is not in the file, and what is there is the checkpoint's.
        @Test func tensorsAreThoseOfTheChosenTasks() throws {
            _ = try folder.write(
                #"{"tasks": {"segmentation": [1, 1, 0, 1, 1, 1, 1, 1], "normals": [1, 1, 1, 1, 1, 1, 1, 1], "#
                    + #""depth": [1, 0, 0, 1, 0, 0, 0, 1]}}"#, "policy.json")
            let run = try train(
                "fixed", "method=fixed", "method.policy=\(folder.file("policy.json").path)",
                "dataset.normals=published")
            let output = folder.file("depth.safetensors")
            let arguments = ["export", "--run", run.path, "--format", "safetensors", "--output", output.path]
            #expect(Command.run(arguments + ["--tasks", "depth"]).status == 0)
            let (part, checkpoint) = (
                try TensorFile.read(output),
                try TensorFile.read(run.appendingPathComponent("checkpoints/train.safetensors"))
            )
            for (name, tensor) in part.tensors { #expect(checkpoint.tensors[name]?.bytes == tensor.bytes, "\(name)") }
            func blocks(_ file: TensorFile) -> Set<String> {
                Set(file.names.filter { $0.contains(".blocks.") }.map { $0.split(separator: ".")[2...3].joined() })
            }
            #expect(blocks(part) == ["00", "11", "31"] && blocks(checkpoint).count == 8)
            #expect(part.names.contains("backbone.bn1.num_batches_tracked"))
            #expect(!part.names.contains { $0.hasPrefix("task1") || $0.hasPrefix("task2") })
            #expect(part.metadata["policy"] == #"{"probabilities":{},"tasks":{"depth":[1,0,0,1,0,0,0,1]}}"#)
            #expect(part.metadata["input"]?.hasPrefix("B,G,R 0...255") == true && part.metadata["normals"] == nil)
            let whole = Command.run(arguments)
            #expect(whole.status == 0 && whole.errors == "", "\(whole.errors)")
            #expect(try TensorFile.read(output).metadata["normals"] == "published")
            // Each file says what its reader gives.
            for (input, own, other) in [
                ("pixels", "R,G,B 0...255, uint8", "B,G,R 0...255, minus"),
                ("normalised", "B,G,R 0...255, minus", "R,G,B 0...255, uint8"),
            ] {
                let model = folder.file("\(input).onnx")
                let arguments = ["export", "--run", run.path, "--format", "onnx", "--output", model.path]
                #expect(Command.run(arguments + ["--input", input]).status == 0)
                let bytes = try Data(contentsOf: model)
                #expect(bytes.range(of: Data("input\u{12}".utf8)) != nil, "the key of the metadata")
                #expect(bytes.range(of: Data(own.utf8)) != nil && bytes.range(of: Data(other.utf8)) == nil)
            }

            // Nothing that is read is written over, and what cannot be exported says why.
            let weights = run.appendingPathComponent("checkpoints/train.safetensors").path
            Command.run(Array(arguments.dropLast()) + [weights]).expectFailure([weights, "a file that is read"])
            Command.run(arguments + ["--input", "pixels"]).expectFailure(code: 64, ["--format onnx"])
            let gated = try train("gated", "method=block_drop")
            Command.run(["export", "--run", gated.path, "--format", "onnx", "--output", output.path])
                .expectFailure(["block_drop", "for each image"])
        }
    }
}
