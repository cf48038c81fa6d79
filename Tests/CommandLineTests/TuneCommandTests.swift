import Foundation
import Operators
import Testing

@testable import Training

extension CommandLineTests {
    /// `tune`, and what `train` makes of it, each test with a cache folder of its own.
    @Suite struct TuneCommandTests {
        /// Some convolutions are large enough to be measured, few enough for a test.
        private static let yaml =
            Tiny.tasks + """
                dataset: { kind: scenes, count: 20, size: [96, 96], crop: [96, 96], augmentation: none }
                model: { backbone: resnet18, width: 0.25, head: light, dropout: 0 }
                training: { batch: 4, log_every: 1, warmup: { iterations: 1 }, policy: { iterations: 0 },
                            retrain: { iterations: 0 } }

                """

        private func entries(in cache: URL) -> [URL] {
            let root = cache.appendingPathComponent("adashare/algorithms")
            let found = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)?.compactMap {
                $0 as? URL
            }
            return (found ?? []).filter { $0.pathExtension == "json" }
        }

        /// Makes results look as if nothing else had run, or `tune` may measure them again.
        private func calm(_ entries: [URL]) throws {
            for entry in entries {
                let text = try String(contentsOf: entry, encoding: .utf8)
                let calm = text.replacing(/"scatter" : [-+.e0-9]+/, with: "\"scatter\" : 0")
                #expect(text.contains("scatter"))
                try Data(calm.utf8).write(to: entry)
            }
        }

        @Test(.needsDevice) func killedAndConcurrentTunersLeaveWhatTrainingUses() throws {
            let folder = try TemporaryFolder()
            let cache = folder.url.appendingPathComponent("cache")
            let config = folder.file("c.yml", Self.yaml)
            let environment = ["XDG_CACHE_HOME": cache.path]
            let arguments = ["tune", "--config", config.path]

            let killed = try Program.start(arguments, environment: environment)
            let deadline = Date().addingTimeInterval(120)
            while entries(in: cache).isEmpty, killed.isRunning, Date() < deadline { usleep(1000) }
            killed.kill()
            let kept = entries(in: cache).count
            #expect(kept > 0)

            // Two at once, one of which measures everything again.
            let both = try [arguments, arguments + ["--again"]].map { try Program.start($0, environment: environment) }
            for tuner in both {
                let outcome = try tuner.finish()
                #expect(outcome.status == 0, "\(outcome.errors)")
            }
            let stored = entries(in: cache)
            #expect(stored.count > max(kept, 3))
            try calm(stored)
            let third = try Program.run(arguments, environment: environment)
            #expect(third.status == 0 && third.output.contains("known") && !third.errors.contains("measuring"))
            #expect(third.output.contains(cache.path))
            let json = folder.url.appendingPathComponent("tune.json")
            #expect(try Program.run(arguments + ["--json", json.path], environment: environment).status == 0)
            guard case .array(let rows)? = try JSONValue.parse(Data(contentsOf: json))["rows"] else {
                Issue.record("no rows")
                return
            }
            #expect(rows.count == stored.count)

            func train(_ name: String, _ more: [String] = []) throws -> (
                outcome: Program.Outcome, algorithms: String
            ) {
                let run = folder.url.appendingPathComponent(name)
                let outcome = try Program.run(
                    ["train", "--config", config.path, "--output", run.path] + more, environment: environment)
                let list = run.appendingPathComponent("algorithms.json")
                return (outcome, (try? String(contentsOf: list, encoding: .utf8)) ?? "")
            }
            func count(_ text: String, in whole: String) -> Int { whole.components(separatedBy: text).count - 1 }
            let tuned = try train("tuned")
            #expect(tuned.outcome.status == 0 && !tuned.outcome.errors.contains("measuring"), "\(tuned.outcome.errors)")
            #expect(count("\"measured\"", in: tuned.algorithms) == stored.count)
            #expect(tuned.outcome.errors.contains("\(stored.count) of them measured"), "\(tuned.outcome.errors)")
            let plain = try train("plain", ["--no-search"])
            #expect(count("\"shape\"", in: plain.algorithms) == count("\"chosen_by\"", in: tuned.algorithms))

            // What is learned later does not touch a run that exists.
            for entry in stored { try FileManager.default.removeItem(at: entry) }
            let resumed = try train("tuned", ["--resume"])
            #expect(resumed.outcome.status == 0 && resumed.algorithms == tuned.algorithms)
            #expect(entries(in: cache).isEmpty)
            let again = try train("tuned", ["--resume", "--no-search"])
            #expect(again.outcome.status == 0 && again.algorithms == tuned.algorithms)
            #expect(again.outcome.errors.contains("keeps the algorithms"), "\(again.outcome.errors)")

            // A list that is gone is not made up, unless that is asked for.
            let list = folder.url.appendingPathComponent("tuned/algorithms.json")
            try FileManager.default.removeItem(at: list)
            let refused = try train("tuned", ["--resume"])
            #expect(refused.outcome.status == 1 && refused.algorithms.isEmpty)
            #expect(
                refused.outcome.errors.contains(list.path) && refused.outcome.errors.contains("--resume --no-search"),
                "\(refused.outcome.errors)")
            let evaluated = try Program.run(
                ["evaluate", "--run", list.deletingLastPathComponent().path], environment: environment)
            #expect(evaluated.status == 0 && evaluated.errors.contains("chosen by shape"), "\(evaluated.errors)")
            let anew = try train("tuned", ["--resume", "--no-search"])
            #expect(anew.outcome.status == 0 && anew.algorithms == plain.algorithms, "\(anew.outcome.errors)")
        }

        /// What was measured before the disk filled up is read, the rest is used without being kept; nothing is left behind.
        @Test(.needsDevice, .enabled(if: Program.canMount, "needs a file system of its own"))
        func aFullDiskCostsOnlyTime() throws {
            let folder = try TemporaryFolder()
            let config = folder.file("c.yml", Self.yaml)
            let arguments = ["tune", "--config", config.path, "--set", "training.batch=2"]
            let roomy = folder.url.appendingPathComponent("roomy")
            let complete = try Program.run(arguments, environment: ["XDG_CACHE_HOME": roomy.path])
            #expect(complete.status == 0, "\(complete.errors)")
            let stored = entries(in: roomy)
            #expect(stored.count > 1)
            try calm(stored)
            for entry in stored.dropFirst() { try FileManager.default.removeItem(at: entry) }

            let full = try Program.run(arguments, withoutRoomIn: roomy, environment: ["XDG_CACHE_HOME": roomy.path])
            #expect(full.status == 1 && full.output.contains("no place for \(stored.count - 1) of"), "\(full.output)")
            #expect(full.output.contains("not kept") && full.output.contains("known"), "\(full.output)")
            let left = full.output.split(separator: "\n").filter { $0.hasPrefix("left ") }
            #expect(left == ["left \(stored[0].lastPathComponent)"], "no half-written files")
        }

        @Test(.needsDevice) func aCacheThatCannotBeWrittenCostsOnlyTime() throws {
            let folder = try TemporaryFolder()
            let config = folder.file("c.yml", Self.yaml)
            let blocked = folder.file("blocked", "")
            let outcome = try Program.run(
                ["tune", "--config", config.path, "--set", "training.batch=2"],
                environment: ["XDG_CACHE_HOME": blocked.path])
            #expect(outcome.status == 1 && outcome.output.contains("winograd"), "\(outcome.errors)")
            #expect(outcome.errors.contains("not kept") && outcome.errors.contains("no place for"), "\(outcome.errors)")
            let trained = try Program.run(
                ["train", "--config", config.path, "--output", folder.url.appendingPathComponent("run").path],
                environment: ["XDG_CACHE_HOME": blocked.path])
            #expect(trained.status == 0 && trained.errors.contains("not kept"), "\(trained.errors)")
            #expect(try String(contentsOf: blocked, encoding: .utf8).isEmpty)
        }
    }
}
