import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import adashare

extension CommandLineTests {
    /// Lists and comparisons of runs, from what their folders hold.
    @Suite(.needsDevice) struct RunsCommandTests {
        let folder: TemporaryFolder
        let finished: FinishedRun

        init() throws {
            folder = try TemporaryFolder()
            finished = try FinishedRun.get()
        }

        private func file(_ path: String) throws -> URL {
            let url = folder.file("runs/\(path)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            return url
        }

        private func edit(_ url: URL, _ from: String, _ to: String) throws {
            let text = try String(contentsOf: url, encoding: .utf8)
            #expect(text.contains(from), "\(from)")
            try Data(text.replacing(from, with: to).utf8).write(to: url)
        }

        @Test func runsAreListed() throws {
            let long = String(repeating: "long-name-", count: 12)
            try finished.copy(to: file("study/\(long)/seed-1"))
            // It was asked for no more than its warm-up, which is over; without a summary it was stopped before that.
            let warmed = try file("warmed")
            try FinishedRun.afterWarmup().copy(to: warmed)
            let stopped = try file("stopped")
            try FinishedRun.afterWarmup().copy(to: stopped)
            for name in ["summary.json", "asked.json"] {
                try FileManager.default.removeItem(at: stopped.appendingPathComponent(name))
            }
            let damaged = try file("damaged")
            try finished.copy(to: damaged)
            try Data("tasks: [".utf8).write(to: damaged.appendingPathComponent("config.yml"))
            let cut = try file("cut")
            try finished.copy(to: cut)
            try Data("{\"event\":\"step\"}\n".utf8).write(to: cut.appendingPathComponent("metrics.jsonl"))
            try Data("not a run".utf8).write(to: file("notes/config.yml"))
            let held = try file("held")
            try FinishedRun.afterWarmup().copy(to: held)
            let lock = try RunDirectory(held, mode: .resume)

            let root = folder.file("runs").path
            let unnamed = (Array((root + "/caf").utf8) + [0xE9, 0]).map(CChar.init(bitPattern:))
            #expect(mkdir(unnamed, 0o777) == 0)
            let listed = Command.run(["runs", root, "--json", "--sort", "name"])
            #expect(listed.errors == "note: left out, since their names are not UTF-8: caf\\xe9\n")
            rmdir(unnamed)
            let runs = try listed.json().items
            withExtendedLifetime(lock) {}
            let states = runs.map { [$0["name"]?.string ?? "", $0["state"]?.string ?? ""] }
            #expect(
                states == [
                    ["cut", "damaged"], ["damaged", "damaged"], ["held", "running"], ["stopped", "stopped"],
                    ["study/\(long)/seed-1", "finished"], ["warmed", "finished"],
                ])
            let (cutRun, begun, whole) = (runs[0], runs[3], runs[4])
            #expect(cutRun["problem"]?.string?.contains("metrics.jsonl") == true && cutRun["method"] == "adashare")
            #expect(begun["phase"] == "warmup" && begun["phase_number"] == 1 && begun["phases"] == 4)
            #expect(begun["iteration"] == 5 && begun["iterations"] == 5 && runs[5]["phases"] == 1)
            #expect(whole["phase"] == "baseline" && whole["gain_over_hard_sharing"]?.double != nil)
            let scores = try finished.events().filter { $0["phase"] == "retrain" }.compactMap { $0["score"]?.double }
            #expect(whole["best_score"]?.double == scores.max())
            #expect(whole["bytes"]?.integer ?? 0 > 100_000 && whole["last_change"]?.double ?? 0 > 1e9)

            var table = ""
            let terminal = Console(answersTerminal: true, answer: { table += $0 }, remark: { _ in })
            #expect(AdaShareCommand.execute(["runs", root], on: terminal) == 0)
            #expect(table.contains("warmup 1/4") && table.contains("5/5"))
            let lines = table.split(separator: "\n")
            let rows = lines.prefix { !$0.hasPrefix("cut:") && !$0.hasPrefix("damaged:") }
            #expect(rows.count == 8 && rows.allSatisfy { columns(of: $0) <= 100 }, "\(table)")
            #expect(lines.count == 10 && table.contains("damaged: \(damaged.path)"), "\(table)")
            // A program reads whole names.
            let piped = Command.run(["runs", root]).output.split(separator: "\n")
            let isWhole = piped.contains { $0.hasPrefix("study/\(long)/seed-1  adashare  ") }
            #expect(piped.count == 10 && isWhole, "\(piped)")
            Command.run(["runs", root + "/none"]).expectFailure(["none", "no folder"])
            #expect(Command.run(["runs", root + "/notes"]).output.hasPrefix("no runs in"))
        }

        @Test func runsAreShownAgain() throws {
            let show = Command.run(["show", finished.folder.path])
            #expect(show.status == 0 && show.output.contains(finished.outcome.output), "\(show.output)\(show.errors)")
            #expect(show.output.hasPrefix("run: finished, adashare, seed 1, "))
            #expect(show.output.split(separator: "\n").allSatisfy { !$0.contains("─") || columns(of: $0) <= 100 })

            let warmed = try FinishedRun.afterWarmup().folder
            let begun = folder.file("begun")
            try FileManager.default.copyItem(at: warmed, to: begun)
            try FileManager.default.removeItem(at: begun.appendingPathComponent("summary.json"))
            let text = Command.run(["show", begun.path])
            #expect(text.output.hasPrefix("begun: stopped, adashare, warmup step 5 of 5"), "\(text.output)")
            for part in [
                "Last losses, phase warmup", "Last metrics on the validation split", "depth absolute_error", "Cost",
                "hard sharing, one pass",
            ] {
                #expect(text.output.contains(part), "\(part): \(text.output)")
            }
            Command.run(["show", folder.file("none").path]).expectFailure(["none", "no such folder"])
        }

        @Test func runsAreCompared() throws {
            let (first, second, other) = (try file("seed-1"), try file("seed-2"), try file("other"))
            for url in [first, second, other] { try finished.copy(to: url) }
            try edit(second.appendingPathComponent("config.yml"), "training:\n  seed: 1\n", "training:\n  seed: 2\n")
            try edit(other.appendingPathComponent("config.yml"), "momentum: 0.9", "momentum: 0.8")
            // Another result: twice the number of the first task's first metric.
            let summary = second.appendingPathComponent("summary.json")
            let value = try #require(
                try JSONValue.parse(Data(contentsOf: summary))["metrics"]?["depth"]?["exact"]?.items.first)
            let number = try #require(value["value"]?.double)
            try edit(summary, "\"value\" : \(number)", "\"value\" : \(2 * number)")
            let runs = [first, second, other].map(\.path)
            let text = Command.run(["show"] + runs)
            #expect(text.status == 0, "\(text.errors)")
            #expect(text.output.contains("runs, 2 seeds"), "\(text.output)")
            #expect(text.output.contains("±") && text.output.contains("Δ %"), "\(text.output)")
            #expect(text.output.split(separator: "\n").dropFirst(3).allSatisfy { columns(of: $0) <= 100 })
            let json = try Command.run(["show", "--json"] + runs).json()
            #expect(json["runs"]?.items.count == 3 && json["runs"]?.items[0]["summary"]?["phase"] == "retrain")
            let lines = try #require(json["comparison"]?.items)
            #expect(lines.map { $0["seeds"]?.items.count } == [2, 2, 1, 1])
            let name = "depth \(value["name"]?.string ?? "")"
            let depth = try #require(lines[0]["values"]?.keys.first { $0.hasPrefix(name) })
            let spread = lines[0]["values"]?[depth]
            #expect(abs((spread?["mean"]?.double ?? 0) - 1.5 * number) < 1e-9 * number)
            #expect(abs((spread?["deviation"]?.double ?? 0) - number / 2.0.squareRoot()) < 1e-6 * number)
            #expect(lines[2]["values"]?[depth]?["deviation"] == nil)
        }
    }
}
