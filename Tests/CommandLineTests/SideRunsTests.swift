import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

extension CommandLineTests {
    /// Several budgets and narrower networks: runs in folders of their own, compared at the end.
    @Suite(.needsDevice) struct SideRunsTests {
        private static let configuration =
            Tiny.tasks + Tiny.scenes + Tiny.light + """
                training:
                  batch: 4
                  log_every: 1
                  warmup: { iterations: 2 }
                  policy: { iterations: 16 }
                  retrain: { iterations: 2 }
                  hard_sharing_baseline: true
                  narrow_baselines: [0.5]
                policy:
                  curriculum_speed: 1
                  alternation: { weights: 1, logits: 1 }
                  budgets: [0.9, 0.5]
                  budget_for: inference
                  budget_schedule: falling

                """

        private func bytes(_ url: URL) throws -> [String: Data] {
            let names = try FileManager.default.subpathsOfDirectory(atPath: url.path).filter {
                $0.hasSuffix(".safetensors") || $0.hasSuffix(".json")
            }
            return try Dictionary(
                uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: url.appendingPathComponent($0))) })
        }

        /// Without the marks of budgets that were missed, which measured times decide.
        private func unmarked(_ text: String) -> String {
            text.replacing(/, over its budgets?/, with: "").replacing(/(policy at [0-9.]+) !/) { "\($0.output.1)  " }
        }

        @Test func budgetsAreRetrainedAndCompared() throws {
            let folder = try TemporaryFolder()
            // Narrower than a quarter there is nothing: channels are multiples of 16.
            // The last two budgets are the same to a part in a hundred thousand, and come to one policy.
            let configuration = try folder.write(
                Self.configuration.replacing("width: 0.125", with: "width: 0.25").replacing(
                    "[0.9, 0.5]", with: "[0.9, 0.5, 0.499999]"), "c.yml")
            let run = folder.file("run")
            let train = ["train", "--config", configuration.path, "--output", run.path, "--no-search"]
            let outcome = Command.run(train)
            #expect(outcome.status == 0, "\(outcome.errors)")
            for line in [
                "Policy at 0.9 (", "Policy at 0.5 and 0.499999 (", "policy at 0.5: ", "hard sharing, 0.5 × as wide",
                "policy at 0.499999  ", "\nretraining at 0.9  ", "\nretraining at 0.5  ",
                "policy at 0.499999 is the policy at 0.5, which was trained once",
            ] { #expect(unmarked(outcome.output).contains(line), "\(line)") }
            let notes = outcome.lines.filter { $0.hasPrefix("note: ") }
            #expect(Set(notes).count == notes.count && notes.count { $0.contains("training policy at") } == 2)
            #expect(
                notes.contains { $0.contains("training policy at 0.9, 1 of 3, run folder") }
                    && notes.contains { $0.contains("training hard sharing, 0.5 × as wide, 3 of 3, run folder") })
            let tradeoff = try JSONValue.parse(Data(contentsOf: run.appendingPathComponent("tradeoff.json")))
            let points = try #require(tradeoff["points"]).items
            #expect(
                points.compactMap { $0["folder"]?.string }
                    == [".", "retrain/0.9", "retrain/0.5", "retrain/0.5", "hard_sharing/0.5"])
            let link = run.appendingPathComponent("retrain/0.499999").path
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "0.5")
            #expect(points[3]["same_as"] == "policy at 0.5" && points[3]["gain"] == points[2]["gain"])
            #expect(points[0]["macs_share"]?.double == 1 && points[0]["gain"]?.double == 0)
            for (point, budget) in zip(points[1...2], [0.9, 0.5]) {
                #expect(
                    try #require(point["planned_share"]?.double) <= budget, "the parts' times are within the budget")
                #expect(point["gain"]?.double != nil && point["inference_ms"]?.double ?? 0 > 0)
            }
            #expect(FileManager.default.fileExists(atPath: run.appendingPathComponent("tradeoff.svg").path))
            #expect(
                !FileManager.default.fileExists(
                    atPath: run.appendingPathComponent("checkpoints/retrain.safetensors").path))
            // Both have been retrained under their own policy, with the same probabilities.
            let policies = try ["0.9", "0.5"].map { name -> JSONValue in
                let taken = try JSONValue.parse(Data(contentsOf: run.appendingPathComponent("policies/\(name).json")))
                let own = run.appendingPathComponent("retrain/\(name)/policy.json")
                #expect(try JSONValue.parse(Data(contentsOf: own)) == taken)
                return taken
            }
            #expect(policies[0]["probabilities"] == policies[1]["probabilities"] && policies[0] != policies[1])

            // A side run is a run: it evaluates, and what is missing is trained again to the same bits.
            let side = run.appendingPathComponent("retrain/0.5")
            let scores = Command.run(["evaluate", "--run", side.path, "--json"])
            #expect(scores.status == 0, "\(scores.errors)")
            let before = try bytes(side)
            let untouched = try bytes(run.appendingPathComponent("retrain/0.9"))
            try FileManager.default.removeItem(at: side)
            let again = Command.run(train + ["--resume"])
            #expect(again.status == 0, "\(again.errors)")
            #expect(again.errors.contains("training policy at 0.5") && !again.errors.contains("training policy at 0.9"))
            let after = try bytes(side)
            for (name, data) in before where name.hasSuffix(".safetensors") || name == "policy.json" {
                #expect(after[name] == data, "\(name)")
            }
            #expect(try bytes(run.appendingPathComponent("retrain/0.9")) == untouched)
            // The networks are those that were timed.
            #expect(!again.errors.contains("timing steps"))

            // Killed in a retraining, the run says where, and goes on there.
            let interrupted = folder.file("interrupted")
            try FileManager.default.copyItem(at: run, to: interrupted)
            let done = try Command.run(["runs", interrupted.path, "--json"]).json().items[0]
            #expect(done["state"] == "finished" && done["last_part"]?["number"] == 3 && done["part"] == nil)
            #expect(Command.run(["runs", interrupted.path]).output.contains("  hard sharing, 0.5 × as wide 3/3 "))
            let shown = Command.run(["train", "--resume", interrupted.path])
            #expect(shown.errors.contains("is finished, nothing is left to do") && !shown.errors.contains("device "))
            func lines(_ text: String) -> [Substring] { text.split(separator: "\n") }
            #expect(lines(shown.output).dropFirst() == lines(again.output)[...], "\(shown.output)")
            let both = Command.run(["show", run.path, interrupted.path]).output
            #expect(both.contains(", policy at 0.499999 is the policy at 0.5, trained once"), "\(both)")
            for name in ["tradeoff.json", "retrain/0.5/summary.json"] {
                try FileManager.default.removeItem(at: interrupted.appendingPathComponent(name))
            }
            let listed = Command.run(["runs", interrupted.path]).output
            #expect(listed.contains("  retraining at 0.5 2/3 ") && listed.contains(" 2/2 "), "\(listed)")
            #expect(listed.hasSuffix("stopped\n"))
            #expect(Command.run(["show", interrupted.path]).output.contains(", retraining at 0.5, 2 of 2, "))
            let page = folder.file("page.html")
            let narrow = interrupted.appendingPathComponent("hard_sharing/0.5/metrics.jsonl")
            let sound = try Data(contentsOf: narrow)
            try (Data("x\n".utf8) + sound).write(to: narrow)
            #expect(Command.run(["report", interrupted.path, "--output", page.path]).status == 0)
            let html = unmarked(try String(contentsOf: page, encoding: .utf8))
            for part in [
                "not finished: retraining at 0.5, 2 of 2", "<h3>Losses, policy at 0.5</h3>", "at 0.5 and 0.499999 of",
                "left out", "hard_sharing/0.5/metrics.jsonl: line 1: found no JSON object",
                "<h3>Losses, policy at 0.9</h3>",
            ] { #expect(html.contains(part), "\(part)") }
            let whole = Command.run(["report", run.path, "--output", page.path])
            #expect(whole.status == 0)
            let all = try String(contentsOf: page, encoding: .utf8)
            #expect(all.components(separatedBy: "policy at 0.499999 is the policy at 0.5, which").count == 3)
            try FileManager.default.copyItem(
                at: run.appendingPathComponent("tradeoff.json"),
                to: interrupted.appendingPathComponent("tradeoff.json"))
            for name in ["checkpoints", "metrics.jsonl"] {
                try FileManager.default.removeItem(at: interrupted.appendingPathComponent("retrain/0.5/\(name)"))
            }
            // What was learned stands in the checkpoint, whatever becomes of its files.
            try FileManager.default.removeItem(at: interrupted.appendingPathComponent("policies/0.9.json"))
            for name in ["policy.json", "policies/0.5.json"] {
                try Data("{}".utf8).write(to: interrupted.appendingPathComponent(name))
            }
            let resumed = Command.run(
                ["train", "--config", configuration.path, "--output", interrupted.path, "--no-search", "--resume"])
            #expect(resumed.status == 0, "\(resumed.errors)")
            for name in ["policy.json", "policies/0.9.json", "policies/0.5.json"] {
                let paths = [interrupted, run].map { $0.appendingPathComponent(name) }
                #expect(try Data(contentsOf: paths[0]) == Data(contentsOf: paths[1]), "\(name)")
            }
            // Its damaged line has been moved aside, though nothing is trained there.
            #expect(try Data(contentsOf: narrow) == sound && resumed.errors.contains("metrics.damaged"))
            let finished = try bytes(interrupted.appendingPathComponent("retrain/0.5"))
            for (name, data) in before where name.hasSuffix(".safetensors") {
                #expect(finished[name] == data, "\(name)")
            }
            let weights = Command.run(["evaluate", "--run", run.path, "--json"])
            #expect(weights.errors.contains("its policies are retrained in retrain/0.9, retrain/0.5"))

            // Budgets in milliseconds, of the times the run has measured.
            let times = try #require(
                try RunDirectory(run, mode: .read).readTimes(for: Experiment(.load(configuration))))
            let half = "\(times.hardSharingMs / 2)ms"
            let report = try Command.run(["policy", "--run", run.path, "--budget", half, "--json"]).json()
            #expect(try #require(report["milliseconds"]?.double) <= times.hardSharingMs / 2)
            #expect(report["charged_unit"] == "nanoseconds" && report["is_within_budget"] == true)
            let other = try FinishedRun.get().folder.path
            expectFailure(["policy", "--run", other, "--budget", half], code: 64, "--budget: found milliseconds")
            expectFailure(
                ["policy", "--run", run.path, "--budget", half, "--output", run.path + "/config.yml"], code: 1,
                ", which is read")

            // What does not belong to the run is neither compared nor trained over.
            func refused(_ words: String, _ change: (URL) throws -> Void) throws {
                let copy = folder.file("copy")
                try? FileManager.default.removeItem(at: copy)
                try FileManager.default.copyItem(at: run, to: copy)
                // What is compared already is not looked at again.
                try FileManager.default.removeItem(at: copy.appendingPathComponent("tradeoff.json"))
                try change(copy)
                expectFailure(
                    ["train", "--config", configuration.path, "--output", copy.path, "--no-search", "--resume"],
                    code: 1, words)
            }
            func edit(_ file: URL, _ from: String, _ to: String) throws {
                let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
                #expect(text.contains(from))
                try Data(text.replacing(from, with: to).utf8).write(to: file)
            }
            try refused("policy: found another policy than this run's") { copy in
                let summaries = ["0.5", "0.9"].map { copy.appendingPathComponent("retrain/\($0)/summary.json") }
                try FileManager.default.removeItem(at: summaries[0])
                try FileManager.default.copyItem(at: summaries[1], to: summaries[0])
            }
            try refused("metrics.depth.exact: found nothing") { copy in
                try edit(copy.appendingPathComponent("hard_sharing/0.5/summary.json"), "\"depth\" : {", "\"width\" : {")
            }
            try refused("each task's images its own") { copy in
                try edit(copy.appendingPathComponent("times.json"), "\"is_separate\" : false", "\"is_separate\" : true")
            }
            try refused("found no latest.json, in a run whose log has steps") { copy in
                try FileManager.default.removeItem(at: copy.appendingPathComponent("checkpoints"))
            }
        }

        @Test func timesOfPartsAndPhasesArePrinted() throws {
            let folder = try TemporaryFolder()
            let classification = try folder.write(
                "tasks: [{ name: a, kind: classification, channels: 6 }]", "c.yml")
            let pooled = Command.run([
                "cost", "--config", classification.path, "--time", "--no-search", "--size", "33x33", "--batch", "2",
                "--set", "model.width=0.125", "--set", "model.backbone=resnet18", "--json",
            ])
            #expect(pooled.status == 0, "\(pooled.errors)")
            #expect(try pooled.json()["time"]?["inference"]?["heads"]?.items.count == 1)
            let configuration = try folder.write(Self.configuration, "c.yml")
            let cost = ["cost", "--config", configuration.path, "--time", "--no-search", "--policy", "random:0.5"]
            let report = try Command.run(cost + ["--json"]).json()
            let time = try #require(report["time"])
            #expect(
                time["phases"]?.items.compactMap { $0["phase"]?.string } == ["warmup", "policy", "retrain", "baseline"])
            // Two budgets are two retrainings.
            #expect(time["phases"]?.items.compactMap { $0["iterations"]?.integer } == [2, 16, 2, 2])
            #expect(time["phases"]?.items.compactMap { $0["runs"]?.integer } == [1, 1, 2, 1])
            let retraining = try #require(time["phases"]?.items[2])
            let (ms, seconds) = (try #require(retraining["ms_per_step"]?.double), retraining["seconds"]?.double ?? 0)
            #expect(abs(seconds - 4 * ms / 1e3) < 1e-9)
            #expect(time["sums"]?.items.count == 4)
            let text = Command.run(cost)
            #expect(text.status == 0, "\(text.errors)")
            for line in [
                "hard sharing, one pass for all", "  projection", "head normals", "training takes about",
                "\nParts of a step, measured kernel by kernel", "\nSteps of training, measured whole: the median",
                "retrain, a run for each budget  2 × 2 ",
            ] {
                #expect(text.output.contains(line), "\(line)")
            }
        }
    }
}
