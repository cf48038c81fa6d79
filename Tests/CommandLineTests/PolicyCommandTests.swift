import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTraining

extension CommandLineTests {
    /// Policies by name, and others than the one a run has taken.
    @Suite(.needsDevice) struct PolicyCommandTests {
        let run: FinishedRun

        init() throws { run = try FinishedRun.get() }

        private func policy(_ arguments: String...) -> Outcome {
            Command.run(["policy", "--run", run.folder.path] + arguments)
        }

        @Test func anotherBudgetGivesAnotherPolicyThatCanBeTrained() throws {
            let folder = try TemporaryFolder()
            let file = folder.file("half.json")
            let report = try policy("--budget", "0.5", "--output", file.path, "--json").json()
            let share = try #require(report["share_of_hard_sharing"]?.double)
            #expect(share <= 0.5)
            let written = try JSONValue.parse(Data(contentsOf: file))
            #expect(written == report["policy"])
            let learned = try JSONValue.parse(Data(contentsOf: run.folder.appendingPathComponent("policy.json")))
            #expect(written["probabilities"] == learned["probabilities"] && written["tasks"] != learned["tasks"])
            #expect(report["is_within_budget"] == true && report["charged_share"]?.double == share)
            let drawn = policy("--budget", "0.9", "--sample", "3", "--seed", "2").output
            #expect(drawn.contains("it is not the most probable policy within 90 % of hard sharing"), "\(drawn)")
            let missed = policy("--budget", "0.001", "--sample", "2")
            #expect(missed.status == 0 && missed.output.contains("no policy is within the budget"), "\(missed.errors)")
            #expect(missed.output.contains("policy, shared once !") && missed.output.contains("\n! over its budget\n"))
            #expect(!policy("--budget", "0.5").output.contains("over its budget"))
            let own = policy("--budget", "0.5", "--output", run.folder.appendingPathComponent("policy.json").path)
            #expect(own.status == 1 && own.errors.contains(", which is read"))
            // Nor what another run keeps, which could not be shown or resumed any more.
            let other = folder.file("other")
            try FileManager.default.copyItem(at: run.folder, to: other)
            for name in ["policy.json", "config.yml", "checkpoints/latest.json"] {
                let place = other.appendingPathComponent(name)
                let before = try Data(contentsOf: place)
                policy("--budget", "0.5", "--output", place.path).expectFailure([
                    "\(name): found a file that the run other keeps"
                ])
                #expect(try Data(contentsOf: place) == before)
            }
            for name in ["mine.json", "mine.json", "checkpoints/mine.json"] {
                #expect(policy("--budget", "0.5", "--output", other.appendingPathComponent(name).path).status == 0)
            }
            let text = policy("--budget", "0.5")
            #expect(text.status == 0 && text.output.contains("backbone: \(percent(share)) of hard sharing"))

            // Without policy learning.
            let output = folder.file("run")
            let arguments = [
                "train", "--config", run.configuration.path, "--output", output.path, "--phases", "retrain", "--set",
                "training.retrain.iterations=2", "--set", "training.hard_sharing_baseline=false",
            ]
            let trained = Command.run(arguments + ["--policy", file.path])
            #expect(trained.status == 0, "\(trained.errors)")
            #expect(trained.output.contains("Policy, not learned here (block × task, in brackets"))
            #expect(trained.output.contains("The backbone under this policy costs \(percent(share)) of hard sharing:"))
            let checkpoint = try TensorFile.read(output.appendingPathComponent("checkpoints/retrain.safetensors"))
            let recorded = try JSONValue.parse(Data(try #require(checkpoint.metadata["policy"]).utf8))
            #expect(recorded["tasks"] == written["tasks"])
            // It is finished: another policy would be another run.
            let again = Command.run(arguments + ["--resume", "--policy", "all"])
            #expect(again.status == 1 && again.errors.contains("a retraining under another policy"))
            #expect(Command.run(arguments + ["--resume", "--policy", file.path]).status == 0)
        }

        @Test func thresholdsAndSamplesAreTaken() throws {
            let none = try policy("--threshold", "1", "--json").json()
            #expect(none["cost"]?["backbone"]?["macs_shared"] != none["cost"]?["backbone"]?["macs_hard_sharing"])
            let all = try policy("--threshold", "0", "--json").json()
            #expect(all["share_of_hard_sharing"]?.double == 1)
            let first = try policy("--sample", "8", "--budget", "0.9", "--seed", "2", "--json").json()
            #expect(try #require(first["share_of_hard_sharing"]?.double) <= 0.9)
            #expect(try policy("--sample", "8", "--budget", "0.9", "--seed", "2", "--json").json() == first)
        }

        @Test func evaluationUsesThePolicyItIsGiven() throws {
            func evaluate(_ policy: [String]) throws -> JSONValue {
                try Command.run(["evaluate", "--run", run.folder.path, "--json"] + policy).json()
            }
            let recorded = try evaluate([])
            let file = run.folder.appendingPathComponent("policy.json").path
            #expect(try evaluate(["--policy", file])["tasks"] == recorded["tasks"])
            let other = Command.run(["evaluate", "--run", run.folder.path, "--json", "--policy", "random:0.2:3"])
            #expect(try other.json()["tasks"] != recorded["tasks"] && other.json()["policy"] != recorded["policy"])
            // Weights say whose they are, and the answer what it is of.
            let note = "note: the policy that is given is not the one that the weights belong to"
            #expect(other.errors.contains(note))
            #expect(!Command.run(["evaluate", "--run", run.folder.path, "--policy", file]).errors.contains(note))
            #expect(recorded["share_of_hard_sharing"]?.double != nil)
            #expect(recorded["policy"]?["tasks"]?["depth"] != nil)
            // Tasks that part at the first block and skip nothing else do nearly everything once per task.
            let folder = try TemporaryFolder()
            let rows = [
                "segmentation": "[0,1,1,1,1,1,1,1]", "normals": "[1,1,1,1,1,1,1,1]", "depth": "[1,0,1,1,1,1,1,1]",
            ]
            let parted = try folder.write(
                "{\"tasks\":{\(rows.map { "\"\($0)\":\($1)" }.joined(separator: ","))}}", "p.json")
            for command in [
                ["evaluate", "--run", run.folder.path, "--policy", parted.path],
                ["cost", "--config", run.configuration.path, "--policy", parted.path],
            ] {
                let outcome = Command.run(command)
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.output.contains("more than sharing everything"), "\(command[0])")
            }
        }

        @Test(arguments: [
            (["policy", "--run", "x"], 64, "--budget, --threshold or --sample"),
            (["policy", "--run", "x", "--budget", "0"], 64, "--budget"),
            (["policy", "--run", "x", "--budget", "1.5"], 64, "--budget"),
            (["policy", "--run", "x", "--threshold", "0.5", "--cost", "shared"], 64, "--cost: expected with --budget"),
            (["policy", "--run", "x", "--budget", "0.5", "--threshold", "0.5"], 64, "--threshold goes with neither"),
            (["policy", "--run", "x", "--sample", "0"], 64, "--sample: found 0"),
            (["policy", "--run", "x", "--budget", "0.5", "--seed", "2"], 64, "--seed: expected with --sample"),
            (["train", "--config", "x", "--policy", "all"], 64, "--phases retrain"),
            (["cost", "--config", "x", "--policy", "random:2"], 64, "random:2"),
        ])
        func wrongUsageIsNamed(arguments: [String], status: Int32, words: String) {
            let outcome = Command.run(arguments)
            #expect(outcome.status == status && outcome.errors.contains(words), "\(outcome.errors)")
        }

        @Test func whatIsNotThereIsNamed() throws {
            let published = Command.run(["cost", "--config", run.configuration.path, "--policy", "published"])
            #expect(
                published.status == 1 && published.errors.contains("expected resnet18 with tasks segmentation, normals")
            )
            let folder = try TemporaryFolder()
            try run.copy(to: folder.file("run"))
            let zeros = "[1,1,1,1,1,1,1,1]"
            try Data("{\"tasks\":{\"segmentation\":\(zeros),\"normals\":\(zeros),\"depth\":\(zeros)}}".utf8)
                .write(to: folder.file("run/policy.json"))
            let outcome = Command.run(["policy", "--run", folder.file("run").path, "--budget", "0.5"])
            #expect(outcome.status == 1 && outcome.errors.contains("found no probabilities"), "\(outcome.errors)")
        }
    }
}
