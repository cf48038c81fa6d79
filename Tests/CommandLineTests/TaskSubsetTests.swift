import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTraining

extension CommandLineTests {
    /// `--tasks`: a part of the tasks is trained, evaluated and costed as if the others were not there.
    @Suite struct TaskSubsetTests {
        private static let text =
            Tiny.tasks + Tiny.light + Tiny.scenes
            + "training: { batch: 4, warmup: { iterations: 2 }, policy: { iterations: 2 }, "
            + "retrain: { iterations: 2 } }\n"

        @Test(.needsDevice) func trainingAPartKeepsItsNumbers() throws {
            let folder = try TemporaryFolder()
            let configuration = try folder.write(Self.text, "c.yml")
            let run = folder.file("run")
            let arguments = ["train", "--config", configuration.path, "--output", run.path]
            let outcome = try Program.run(arguments + ["--tasks", "depth,segmentation"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            let file = try TensorFile.read(run.appendingPathComponent("checkpoints/retrain.safetensors"))
            #expect(file.names.contains("task1_head.weight") && file.names.contains("task3_logits"))
            #expect(!file.names.contains { $0.hasPrefix("task2_") })
            let policy = try JSONValue.parse(Data(contentsOf: run.appendingPathComponent("policy.json")))
            #expect(policy["tasks"]?.keys == ["depth", "segmentation"])
            let scored = try Command.run(["evaluate", "--run", run.path, "--json"]).json()
            #expect(scored["tasks"]?.keys == ["depth", "segmentation"])
            let part = try Command.run(["evaluate", "--run", run.path, "--tasks", "depth", "--json"]).json()
            #expect(part["tasks"]?.keys == ["depth"] && part["tasks"]?["depth"] == scored["tasks"]?["depth"])
            // The same part again, as a resumed run; another part is another configuration.
            #expect(Command.run(arguments + ["--tasks", "depth,segmentation", "--resume"]).status == 0)
            expectFailure(arguments + ["--resume"], "tasks")
        }

        @Test func costAndMistakes() throws {
            let folder = try TemporaryFolder()
            let configuration = try folder.write(Self.text, "c.yml")
            func cost(_ more: String...) throws -> JSONValue {
                try Command.run(["cost", "--config", configuration.path, "--json"] + more).json()
            }
            let (all, one) = (try cost(), try cost("--tasks", "normals"))
            let (passes, pass) = (all["backbone"]?["macs_all"]?.integer, one["backbone"]?["macs_all"]?.integer)
            #expect(try #require(passes) == 3 * (try #require(pass)))
            func arena(_ report: JSONValue, _ step: String) -> Int {
                let rows = report["memory"]?["steps"]?.items ?? []
                return rows.first { $0["step"]?.string == step }?["arena_bytes"]?.integer ?? 0
            }
            #expect(arena(one, "weights") > 0 && arena(one, "weights") < arena(all, "weights"))
            let frugal = try cost("--set", "training.recompute=true")
            #expect(arena(frugal, "warmup") < arena(all, "warmup"))
            let train = ["train", "--config", configuration.path, "--output", folder.url.path + "/run"]
            expectFailure(train + ["--tasks", "depht"], "'depht'", "segmentation, normals, depth")
            expectFailure(train + ["--tasks", "depth,depth"], "'depth'", "once")
            expectFailure(train + ["--set", "tasks.0.number=2"], "number 2")
            expectFailure(train + ["--set", "policy.budget=1.5"], "policy.budget", "1.5")
            expectFailure(train + ["--set", "policy.sampling=hard"], "policy.sampling", "hard_skip")
        }
    }
}
