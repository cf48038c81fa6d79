import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareTraining

extension CommandLineTests {
    /// Studies: rows and seeds trained by processes, then set side by side.
    @Suite(.needsDevice) struct ExperimentCommandTests {
        private static let configuration =
            Tiny.tasks + Tiny.light + """
                dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
                training:
                  { batch: 4, warmup: { iterations: 1 }, policy: { iterations: 16 }, retrain: { iterations: 2 } }
                policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 } }

                """
        private static let study = """
            config: base.yml
            seeds: [1, 2]
            reference: hard sharing
            rows:
              - { name: Hard sharing!, set: [method=hard_sharing] }
              - name: hard sharing
                set: [method=hard_sharing, training.retrain.iterations=3]
              - name: AdaShare
                set: [training.hard_sharing_baseline=true, policy.budget=0.6]
            published: [{ name: "paper, table 1", metrics: ["segmentation miou=29.6"] }]

            """

        private func write(_ folder: TemporaryFolder, _ text: String) throws -> String {
            _ = try folder.write(Self.configuration, "base.yml")
            return try folder.write(text, "study.yml").path
        }

        @Test func whatIsMissingIsTrained() throws {
            let folder = try TemporaryFolder()
            let file = try write(
                folder,
                Self.study.replacing("Hard sharing!", with: "\"single, task\"").replacing(
                    "set: [method=hard_sharing] }", with: "set: [method=single_task] }"))
            let output = folder.file("runs")
            let place = [file, "--output", output.path]
            let run = ["experiment", "run"] + place + ["--no-search"]
            let first = try Program.run(run + ["--jobs", "2"])
            #expect(first.status == 0, "\(first.errors)")
            #expect(first.output.contains("±") && first.output.contains("Δ %") && first.output.contains("ms an image"))
            let times = try JSONText.read(
                StudyTimes.self, Data(contentsOf: output.appendingPathComponent("times.json")))
            let timed = Set(times.times.map(\.line))
            #expect(timed == Set(["single, task", "hard sharing", "AdaShare", "AdaShare, hard sharing"]))
            #expect(times.times.count == 8 && times.times.allSatisfy { $0.milliseconds > 0 })
            // Four training crops, which here are whole images.
            #expect(times.images == 4 && times.height == 16 && times.width == 16)
            for row in ["single-task", "hard-sharing", "adashare"] {
                for seed in [1, 2] {
                    #expect(
                        FileManager.default.fileExists(
                            atPath: output.appendingPathComponent("\(row)/seed-\(seed)/summary.json").path))
                }
            }
            // What is finished stays; one that is gone is trained again, to the same numbers.
            let gone = output.appendingPathComponent("hard-sharing/seed-2")
            let before = try Data(contentsOf: gone.appendingPathComponent("checkpoints/train.safetensors"))
            try FileManager.default.removeItem(at: gone)
            let unfinished = Command.run(["experiment", "table"] + place)
            #expect(unfinished.errors.contains("not finished: hard-sharing/seed-2"))
            #expect(unfinished.output.contains("ms an image"))
            let second = try Program.run(run)
            #expect(second.status == 0 && second.errors.contains("5 of 6 runs are finished"))
            #expect(second.lines.count { $0.hasPrefix("finished ") } == 1)
            #expect(try Data(contentsOf: gone.appendingPathComponent("checkpoints/train.safetensors")) == before)
            // A network that was trained again is another one.
            #expect(second.errors.contains("timing predictions"))
            // Times that are missing are measured, nothing else.
            try FileManager.default.removeItem(at: output.appendingPathComponent("times.json"))
            #expect(!Command.run(["experiment", "table"] + place).output.contains("ms an image"))
            let third = try Program.run(run)
            #expect(third.errors.contains("6 of 6 runs are finished") && third.errors.contains("timing predictions"))
            #expect(third.output.contains("ms an image"))

            // The table says what the runs' summaries say.
            let csv = Command.run(["experiment", "table"] + place + ["--form", "csv"]).output
            let lines = csv.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
            let names = lines.map { $0[0] }
            #expect(names.contains("AdaShare") && names.contains("hard sharing") && csv.contains("\"single, task\",2,"))
            let hard = try #require(lines.first { $0[0] == "hard sharing" })
            let values = try [1, 2].map { seed -> Double in
                let file = output.appendingPathComponent("hard-sharing/seed-\(seed)/summary.json")
                let summary = try JSONText.read(RunSummary.self, Data(contentsOf: file))
                return try #require(summary.metrics["segmentation"]?["exact"]?.first?.value)
            }
            #expect(abs(try #require(Double(hard[2])) - (values[0] + values[1]) / 2) < 1e-9)
            #expect(abs(try #require(Double(hard[3])) - abs(values[0] - values[1]) / 2.0.squareRoot()) < 1e-9)
            #expect(csv.contains("\"paper, table 1\",,29.6,"))

            let markdown = Command.run(["experiment", "table"] + place + ["--form", "markdown", "--all"]).output
            #expect(markdown.contains("| hard sharing |") && markdown.contains("normals angle_median ↓"))
            let latex = Command.run(["experiment", "table"] + place + ["--form", "latex"]).output
            #expect(latex.hasPrefix("\\begin{tabular}") && latex.contains("absolute\\_error"))
            let picture = folder.file("p.svg")
            #expect(Command.run(["experiment", "plot"] + place + ["--svg", picture.path]).status == 0)
            #expect(try String(contentsOf: picture, encoding: .utf8).contains("hard sharing"))

            // A run that has lost its weights leaves the others their times.
            try FileManager.default.removeItem(at: output.appendingPathComponent("times.json"))
            try FileManager.default.removeItem(at: gone.appendingPathComponent("checkpoints/train.safetensors"))
            let lost = try Program.run(run)
            #expect(lost.status == 0 && lost.errors.contains("hard sharing, seed 2 is not timed"))
            #expect(lost.output.contains("ms an image"))
            try Data("{".utf8).write(to: output.appendingPathComponent("times.json"))
            try Program.run(run).expectFailure(["times.json", "without the file"])
            try FileManager.default.removeItem(at: output.appendingPathComponent("times.json"))

            // What was trained with other keys is no result of this study.
            let text = try String(contentsOfFile: file, encoding: .utf8)
            try text.replacing("policy.budget=0.6", with: "policy.budget=0.7")
                .write(toFile: file, atomically: true, encoding: .utf8)
            try Program.run(run).expectFailure(["adashare/seed-1", "policy.budget: 0.6 in the run, 0.7 now"])
            let changed = Command.run(["experiment", "table"] + place)
            #expect(changed.errors.contains("left out") && !changed.output.contains("AdaShare"))
        }

        @Test func aFailedRunHidesNoOther() throws {
            let folder = try TemporaryFolder()
            let file = try write(
                folder,
                Self.study.replacing("Hard sharing!", with: "broken").replacing(
                    "seeds: [1, 2]", with: "seeds: [1]"
                ).replacing("set: [method=hard_sharing] }", with: "set: [method=fixed, method.policy=gone.json] }")
                    .replacing("policy.budget=0.6", with: "\"policy.budgets=[0.6, 0.599999]\""))
            let study = try Program.start(
                ["experiment", "run", file, "--output", folder.file("o").path, "--no-search"])
            // Files are read at the start: what becomes of them changes no run.
            while study.isRunning, !folder.names.contains("o") { usleep(1000) }
            try folder.write("nonsense: 1\n", "base.yml")
            let run = try study.finish()
            run.expectFailure(["1 failed: broken, seed 1"])
            #expect(run.errors.contains("finished AdaShare, seed 1"))
            let made = try ["yml", "/config.yml"].map { end in
                let path = "o/adashare/seed-1" + (end.hasPrefix("/") ? end : ".\(end)")
                return try String(contentsOf: folder.file(path), encoding: .utf8)
            }
            #expect(made[0] == made[1])
            // Two budgets of one policy are one network, which is timed once.
            let times = try JSONText.read(StudyTimes.self, Data(contentsOf: folder.file("o/times.json"))).times
            let twins = times.filter { $0.line.hasPrefix("AdaShare, policy at") }
            #expect(twins.count == 2 && twins[0].milliseconds == twins[1].milliseconds, "\(times)")
            #expect(run.errors.contains("note: AdaShare, policy at 0.599999 is the policy at 0.6, trained once\n"))
            let log = try String(contentsOf: folder.file("o/broken/seed-1.log"), encoding: .utf8)
            #expect(log.contains("gone.json"))
        }

        /// A study that is told to end leaves no training behind, and another beside it is refused.
        @Test func signalsEndItsRuns() throws {
            let folder = try TemporaryFolder()
            let file = try write(
                folder,
                Self.study.replacing("Hard sharing!", with: "first").replacing("seeds: [1, 2]", with: "seeds: [1]")
                    .replacing("rows:", with: "set: [training.retrain.iterations=1000000]\nrows:")
                    .replacing(", training.retrain.iterations=3]", with: "]"))
            let output = folder.file("o")
            let arguments = ["experiment", "run", file, "--output", output.path, "--no-search", "--jobs", "2"]
            let study = try Program.start(arguments)
            let locks = ["first", "hard-sharing"].map { output.appendingPathComponent("\($0)/seed-1/run.lock") }
            func processes() -> [Int32] {
                locks.compactMap {
                    (try? String(contentsOf: $0, encoding: .utf8)).flatMap {
                        Int32($0.trimmingCharacters(in: .newlines))
                    }
                }
            }
            // Until both have taken steps.
            func hasTrained(_ lock: URL) -> Bool {
                let log = lock.deletingLastPathComponent().appendingPathComponent("metrics.jsonl")
                return (try? Data(contentsOf: log).isEmpty == false) ?? false
            }
            while study.isRunning, !locks.allSatisfy(hasTrained) { usleep(10_000) }
            let started = processes()
            #expect(started.count == 2 && started.allSatisfy { kill($0, 0) == 0 })
            try Program.run(arguments).expectFailure(["another process on this study"])
            study.send(SIGTERM)
            let outcome = try study.finish()
            #expect(outcome.status == 143 && outcome.errors.contains("ending 2 runs"), "\(outcome.errors)")
            #expect(started.allSatisfy { kill($0, 0) != 0 })
            #expect(!FileManager.default.fileExists(atPath: output.appendingPathComponent("adashare").path))
            // They have put away what they had.
            for lock in locks {
                let latest = lock.deletingLastPathComponent().appendingPathComponent("checkpoints/latest.json")
                #expect(FileManager.default.fileExists(atPath: latest.path))
            }

            // Nor does one that is killed.
            let again = try Program.start(arguments)
            while again.isRunning, Set(processes()).intersection(started).count > 0 || processes().count < 2 {
                usleep(10_000)
            }
            again.kill()
            let logs = locks.map { $0.deletingLastPathComponent().appendingPathExtension("log") }
            func hasStopped(_ log: URL) -> Bool {
                (try? String(contentsOf: log, encoding: .utf8).contains("stopped by SIGHUP")) ?? false
            }
            let deadline = Date(timeIntervalSinceNow: 60)
            while Date() < deadline, !logs.allSatisfy(hasStopped) { usleep(10_000) }
            #expect(logs.allSatisfy(hasStopped))
        }

        @Test func badStudiesAreRefusedBeforeAnythingRuns() throws {
            let folder = try TemporaryFolder()
            func refuse(_ change: (String, String), _ parts: String...) throws {
                let file = try write(folder, Self.study.replacing(change.0, with: change.1))
                Command.run(["experiment", "run", file, "--output", folder.file("none").path])
                    .expectFailure(parts)
                #expect(!FileManager.default.fileExists(atPath: folder.file("none").path))
            }
            try refuse(("x", "x"), "rows.1.name", "the folder of row 0")
            let good = try write(folder, Self.study.replacing("Hard sharing!", with: "first"))
            Command.run(["experiment", "run", good, "--output", folder.file("none").path, "--devices", "cpu,nowhere"])
                .expectFailure(["nowhere"])
            #expect(!FileManager.default.fileExists(atPath: folder.file("none").path))
            let names = ("Hard sharing!", "first")
            func named(_ changes: (String, String)..., parts: String...) throws {
                let text = changes.reduce(Self.study.replacing(names.0, with: names.1)) {
                    $0.replacing($1.0, with: $1.1)
                }
                let file = try write(folder, text)
                Command.run(["experiment", "run", file]).expectFailure(parts)
            }
            try named(("reference: hard", "reference: soft"), parts: "reference", "'soft sharing'", "AdaShare")
            try named(("policy.budget=0.6", "policy.bugdet=0.6"), parts: "row 'AdaShare'", "policy.budget")
            try named(("seeds: [1, 2]", "seeds: [1, 1]"), parts: "seeds", "each once")
            try named(("config: base.yml", "config: none.yml"), parts: "none.yml", "no such file")
            try named(("miou=29.6", "miou"), parts: "published.0.metrics", "task metric=value")
            try named(("policy.budget=0.6", "' training.seed=3'"), parts: "rows.2", "seeds")
            try named(("miou=29.6", "iou=29.6"), parts: "published.0.metrics", "'segmentation iou'", "miou")
            try named(("miou=29.6", "=29.6"), parts: "published.0.metrics", "task metric=value")
            try named(("[\"segmentation miou=29.6\"]", "[\"\"]"), parts: "published.0.metrics", "task metric=value")
            try named(
                ("name: first", "name: \"AdaShare, hard sharing\""), parts: "rows.2.name",
                "two lines are called 'AdaShare, hard sharing'")
            try named(("name: AdaShare", "name: 多"), parts: "rows.2.name", "ASCII")
            // A row of several networks is no line by itself.
            try named(
                ("policy.budget=0.6", "\"policy.budgets=[0.8, 0.6]\""),
                ("reference: hard sharing", "reference: AdaShare"), parts: "reference",
                "AdaShare, policy at 0.8; AdaShare, policy at 0.6; AdaShare, hard sharing")
            _ = try write(folder, Self.study.replacing("Hard sharing!", with: "first"))
            Command.run(["experiment", "run", good, "--devices", ","]).expectFailure(code: 64, ["--devices"])
            let inTheWay = try folder.write("", "in the way").path
            Command.run(["experiment", "run", good, "--output", inTheWay]).expectFailure([inTheWay, "folder"])
            Command.run(["experiment", "table", good, "--output", folder.file("none").path])
                .expectFailure(["no finished run"])
        }
    }
}
