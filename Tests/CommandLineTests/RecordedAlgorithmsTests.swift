import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// A run's weights are computed by the algorithms that it recorded, wherever they are used.
    @Suite(.needsDevice) struct RecordedAlgorithmsTests {
        /// A run on single images, so that predicting one has the convolutions of a training step.
        private let folder: TemporaryFolder
        private let run: URL
        private let image: URL

        init() throws {
            folder = try TemporaryFolder()
            (run, image) = (folder.file("run"), folder.file("data/img/000000.png"))
            let text =
                Tiny.tasks + "model: { backbone: resnet18, width: 0.5, head: light, dropout: 0 }\n" + """
                    dataset: { kind: scenes, count: 20, size: [96, 96], crop: [96, 96], augmentation: none }
                    training:
                      { batch: 1, warmup: { iterations: 2 }, policy: { iterations: 0 }, retrain: { iterations: 0 } }

                    """
            let configuration = try folder.write(text, "c.yml")
            let train = ["train", "--config", configuration.path, "--output", run.path, "--no-search"]
            #expect(Command.run(train).status == 0)
            let data = ["data", "synthesize", "--output", folder.file("data").path, "--count", "1", "--size", "96x96"]
            #expect(Command.run(data).status == 0)
        }

        private func predicted(_ name: String) throws -> [String: TensorFile.Entry] {
            let output = folder.file(name)
            let predict = ["predict", "--run", run.path, "--raw", "--output", output.path, image.path]
            let outcome = Command.run(predict)
            #expect(outcome.status == 0, "\(outcome.errors)")
            return try TensorFile.read(output.appendingPathComponent("000000.safetensors")).tensors
        }

        @Test func predictFollowsTheRunsList() throws {
            let before = try predicted("before")
            #expect(try predicted("again") == before)
            let list = run.appendingPathComponent("algorithms.json")
            // The plain sum instead of Winograd's algorithm.
            let text = try String(contentsOf: list, encoding: .utf8)
            guard case .object(var members) = try JSONValue.parse(Data(text.utf8)),
                case .array(let choices)? = members["choices"]
            else {
                Issue.record("no list of choices")
                return
            }
            var changed = 0
            members["choices"] = .array(
                choices.map { choice in
                    guard case .object(var entry) = choice, entry["problem"]?["pass"]?.string == "forward",
                        entry["algorithm"]?.string?.hasPrefix("winograd") == true
                    else { return choice }
                    entry["algorithm"] = "direct"
                    changed += 1
                    return .object(entry)
                })
            #expect(changed > 0)
            try Data(JSONValue.object(members).text.utf8).write(to: list)
            let after = try predicted("after")
            #expect(after != before, "other algorithms round otherwise")
            for (name, entry) in before {
                let (x, y) = (try floats(entry), try floats(try #require(after[name])))
                let largest = x.map(abs).max() ?? 0
                #expect(zip(x, y).allSatisfy { abs($0 - $1) <= 1e-3 * largest })
            }
        }

        private func floats(_ entry: TensorFile.Entry) throws -> [Float] {
            var file = TensorFile()
            file.tensors[entry.name] = entry
            return try file.floats(entry.name)
        }
    }
}
