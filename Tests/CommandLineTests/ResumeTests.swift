import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

extension CommandLineTests {
    /// Runs that are killed, split or damaged end in the bits of the undisturbed one. `tools/kill-test` does more
    /// kills.
    @Suite(.needsDevice) struct ResumeTests {
        let finished: FinishedRun
        let folder: TemporaryFolder
        let run: URL

        init() throws {
            finished = try FinishedRun.get()
            folder = try TemporaryFolder()
            run = folder.file("run")
        }

        private func train(_ more: String...) -> [String] {
            ["train", "--config", finished.configuration.path, "--output", run.path] + more
        }

        private func events() -> [JSONValue] {
            (try? EventLog.read(run.appendingPathComponent("metrics.jsonl"))) ?? []
        }

        /// Steps the log has seen, over all phases.
        private func stepsDone() -> Int { events().count { $0["event"] == "step" } }

        private func expectSameBits(sourceLocation: SourceLocation = #_sourceLocation) throws {
            let manager = FileManager.default
            let mine = run.appendingPathComponent("checkpoints")
            let other = finished.folder.appendingPathComponent("checkpoints")
            let names = try manager.contentsOfDirectory(atPath: other.path).filter { $0.hasSuffix(".safetensors") }
            #expect(names.count >= 5)
            #expect(
                try manager.contentsOfDirectory(atPath: mine.path).filter { $0.hasSuffix(".safetensors") }.sorted()
                    == names.sorted(), sourceLocation: sourceLocation)
            for name in names {
                let same = manager.contentsEqual(
                    atPath: mine.appendingPathComponent(name).path, andPath: other.appendingPathComponent(name).path)
                #expect(same, "\(name)", sourceLocation: sourceLocation)
            }
            let mineLog = events().filter { $0["event"] != "resume" }
            #expect(
                mineLog.map(EventLog.withoutTimes) == (try finished.events()).map(EventLog.withoutTimes),
                sourceLocation: sourceLocation)
            // What was done again is not counted twice.
            let steps = mineLog.compactMap { $0["global_step"]?.integer }
            #expect(steps == steps.sorted() && steps.count == mineLog.count, sourceLocation: sourceLocation)
            let seconds = mineLog.compactMap { $0["seconds"]?.double }
            #expect(seconds == seconds.sorted() && seconds.count == mineLog.count, sourceLocation: sourceLocation)
            let left = try manager.subpathsOfDirectory(atPath: run.path).filter { $0.contains(".partial-") }
            #expect(left == [], sourceLocation: sourceLocation)
        }

        /// A flipped bit in either file of the pair is noticed, and so is a phase that would discard unfinished work.
        @Test func damageAndDiscardedWorkAreRefused() throws {
            try FinishedRun.afterWarmup().copy(to: run)
            let checkpoints = run.appendingPathComponent("checkpoints")
            for suffix in ["safetensors", "state"] {
                let file = checkpoints.appendingPathComponent("warmup-0000005.\(suffix)")
                let whole = try Data(contentsOf: file)
                var damaged = whole
                damaged[damaged.count - 5] ^= 1
                try damaged.write(to: file)
                expectFailure(train("--resume", "--phases", "all"), file.lastPathComponent, "hash", "damaged")
                try whole.write(to: file)
            }
            let process = try Program.start(train("--resume", "--phases", "policy"))
            while process.isRunning && stepsDone() < 5 + 8 { usleep(2000) }
            process.kill()
            expectFailure(
                train("--resume", "--phases", "retrain"), "phase policy unfinished", "--phases that include it")
            expectFailure(
                train("--resume", "--phases", "warmup"), "phase policy unfinished", "--phases that include it")
            // What was asked for last is gone on with, and no more, whatever else was refused.
            let policy = try Program.run(["train", "--resume", run.path])
            #expect(policy.status == 0 && policy.errors.contains("resuming in phase policy"), "\(policy.errors)")
            #expect(stepsDone() == 5 + 16)
            let over = Command.run(["train", "--resume", run.path])
            #expect(over.errors.contains("is finished, nothing is left to do; --phases all goes on with retrain\n"))
            #expect(try Program.run(train("--resume", "--phases", "all")).status == 0)
            try expectSameBits()
        }

        @Test func killedRunsEndInTheSameBits() throws {
            var random = SeededGenerator(seed: 20)
            let total = Tiny.completePhases.reduce(0) { $0 + $1.1 }
            let kills = 4
            for number in 0..<kills {
                // One moment in each quarter of the run.
                let target = total * number / kills + Int.random(in: 0..<total / kills, using: &random)
                let delay = UInt32.random(in: 0..<80_000, using: &random)
                let process = try Program.start(number == 0 ? train() : train("--resume"))
                while process.isRunning && stepsDone() < target { usleep(2000) }
                usleep(delay)
                #expect(process.isRunning, "killed before its end")
                process.kill()
            }
            let outcome = try Program.run(train("--resume"))
            #expect(outcome.status == 0, "\(outcome.errors)")
            let resumes = events().filter { $0["event"] == "resume" }
            #expect(resumes.count == kills, "the log shows where each resume continued")
            for resume in resumes { #expect(resume["phase"] != nil && resume["iteration"]?.integer != nil) }
            try expectSameBits()
        }

        /// As killed ones, but nothing is repeated: each stop keeps what is done, evaluations too.
        @Test func stoppedRunsEndInTheSameBits() throws {
            var random = SeededGenerator(seed: 21)
            let total = Tiny.completePhases.reduce(0) { $0 + $1.1 }
            let stops = 3
            for number in 0..<stops {
                let target = total * number / 4 + Int.random(in: 1..<total / 4, using: &random)
                let process = try Program.start(number == 0 ? train() : ["train", "--resume", run.path])
                while process.isRunning && stepsDone() < target { usleep(1000) }
                usleep(UInt32.random(in: 0..<40_000, using: &random))
                process.send(SIGTERM)
                let outcome = try process.finish()
                #expect(outcome.status == 128 + SIGTERM, "\(outcome.errors)")
                #expect(outcome.errors.contains("stopped by SIGTERM"), "\(outcome.errors)")
            }
            let outcome = try Program.run(["train", "--resume", run.path])
            #expect(outcome.status == 0, "\(outcome.errors)")
            try expectSameBits()
        }

        @Test func phasesOneByOneGiveTheSameBits() throws {
            let warmed = try FinishedRun.afterWarmup()
            #expect(warmed.outcome.status == 0, "\(warmed.outcome.errors)")
            try warmed.copy(to: run)
            #expect(!FileManager.default.fileExists(atPath: run.appendingPathComponent("policy.json").path))

            // What a kill can leave: half-written files, weights without a state (before it was written, or after it
            // was removed), a pointer not yet renamed into place.
            let checkpoints = run.appendingPathComponent("checkpoints")
            for name in [
                ".latest.json.partial-1", ".policy-0000000.state.partial-x", "policy-0000003.safetensors",
                "warmup-0000002.safetensors",
            ] {
                try Data("half".utf8).write(to: checkpoints.appendingPathComponent(name))
            }
            try FileManager.default.removeItem(at: checkpoints.appendingPathComponent("latest.json"))

            let outcome = try Program.run(train("--resume", "--phases", "policy,retrain"))
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains("resuming in phase warmup after iteration 5"))
            try expectSameBits()
        }

        /// What a run begins from is kept with it: another file under that name, or none, changes nothing.
        @Test func startWeightsAreKept() throws {
            let start = folder.file("start.safetensors")
            let (manager, weights) = (FileManager.default, finished.folder.appendingPathComponent("checkpoints"))
            func begin(from phase: String) throws {
                try? manager.removeItem(at: start)
                try manager.copyItem(at: weights.appendingPathComponent("\(phase).safetensors"), to: start)
            }
            let set = ["--set", "model.initial_checkpoint=\(start.path)", "--set", "training.policy.iterations=2"]
            // Both phases begin anew.
            func results() throws -> [Data] {
                try ["retrain", "baseline"].map {
                    try Data(contentsOf: run.appendingPathComponent("checkpoints/\($0).safetensors"))
                }
            }
            try begin(from: "warmup")
            let whole = Command.run(train() + set)
            #expect(whole.status == 0, "\(whole.errors)")
            let expected = try results()
            try manager.removeItem(at: run)

            #expect(Command.run(train("--phases", "warmup") + set).status == 0)
            try begin(from: "retrain")
            let other = Command.run(train("--resume", "--phases", "policy") + set)
            try manager.removeItem(at: start)
            let kept = run.appendingPathComponent("checkpoints/initial.safetensors")
            let sound = try Data(contentsOf: kept)
            try Data(contentsOf: weights.appendingPathComponent("retrain.safetensors")).write(to: kept)
            Command.run(train("--resume", "--phases", "all") + set)
                .expectFailure(["initial.safetensors", "hash", "replaced"])
            try sound.write(to: kept)
            let none = Command.run(train("--resume", "--phases", "all") + set)
            #expect(other.status == 0 && none.status == 0, "\(other.errors)\(none.errors)")
            #expect(try results() == expected)
            // A new run has nothing of its own.
            try manager.removeItem(at: run)
            Command.run(train("--resume") + set).expectFailure(["start.safetensors", "no such file"])
        }

        @Test func damagedStateIsNamedAndNothingIsLost() throws {
            try finished.copy(to: run)
            try removeSummary()
            let checkpoints = run.appendingPathComponent("checkpoints")
            let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints.path)
            let state = checkpoints.appendingPathComponent(try #require(names.first { $0.hasSuffix(".state") }))
            let whole = try Data(contentsOf: state)
            let log = try Data(contentsOf: run.appendingPathComponent("metrics.jsonl"))
            try whole.dropLast(10).write(to: state)
            expectFailure(train("--resume"), state.path, "truncated")
            try Data(whole.prefix(4)).write(to: state)
            expectFailure(train("--resume"), state.path, "4 bytes")
            try FileManager.default.removeItem(at: state)
            expectFailure(train("--resume"), state.path, "no such file", "model.initial_checkpoint")
            try whole.write(to: state)
            try Data("{".utf8).write(to: checkpoints.appendingPathComponent("latest.json"))
            expectFailure(
                train("--resume"), "latest.json", "no readable pointer",
                "without this file --resume takes the newest there are")
            #expect(try Data(contentsOf: run.appendingPathComponent("metrics.jsonl")) == log)
        }

        /// Has the run lack the last that it did.
        private func removeSummary() throws {
            try FileManager.default.removeItem(at: run.appendingPathComponent("summary.json"))
        }

        /// A run that has come to its end is shown again, without a device, and its log is mended.
        @Test func aFinishedRunIsShownAgain() throws {
            try finished.copy(to: run)
            let log = run.appendingPathComponent("metrics.jsonl")
            let whole = try String(contentsOf: log, encoding: .utf8)
            let lines = whole.split(separator: "\n", omittingEmptySubsequences: false)
            try Data((lines[..<3] + ["\0\0\0"] + lines[4...]).joined(separator: "\n").utf8).write(to: log)
            func listed() throws -> JSONValue? { try Command.run(["runs", run.path, "--json"]).json().items.first }
            #expect(try listed()?["problem"]?.string?.contains("line 4") == true)
            let again = try Program.run(
                train("--resume", "--set", "training.log_every=2"), environment: ["ADASHARE_DEVICE": "none"])
            #expect(again.status == 0 && again.output.contains(finished.outcome.output), "\(again.errors)")
            #expect(
                again.lines == [
                    "note: changed since the run began: training.log_every: 1 before, 2 now",
                    "note: line 4 of \(log.path) was no JSON object: it is in metrics.damaged beside it now",
                    "note: the run in \(run.path) is finished, nothing is left to do", closing,
                ])
            #expect(try listed()?["state"] == "finished" && listed()?["problem"] == nil)
            let kept = (lines[..<3] + lines[4...]).joined(separator: "\n")
            #expect(try String(contentsOf: log, encoding: .utf8) == kept)
            #expect(try Data(contentsOf: run.appendingPathComponent("metrics.damaged")) == Data("\0\0\0\n".utf8))
            #expect(finished.outcome.lines.last == closing.replacing(run.path, with: finished.folder.path))
            // A summary that cannot be read is written again.
            try Data("{".utf8).write(to: run.appendingPathComponent("summary.json"))
            let mended = Command.run(["train", "--resume", run.path])
            #expect(mended.status == 0 && mended.errors.contains("device "), "\(mended.errors)")
            #expect(Command.run(["show", run.path]).status == 0)
        }

        private var closing: String {
            "results in \(run.path); next: adashare show \(run.path), adashare report \(run.path), "
                + "adashare predict --run \(run.path) --output FOLDER IMAGE..."
        }

        /// The log says what a run has done; what it goes on with is in its checkpoints.
        @Test func aLostLogBeginsAnew() throws {
            try finished.copy(to: run)
            try removeSummary()
            let log = run.appendingPathComponent("metrics.jsonl")
            let whole = try Data(contentsOf: log)
            try FileManager.default.removeItem(at: log)
            let outcome = Command.run(train("--resume"))
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains("note: \(log.path) is gone: it begins anew"), "\(outcome.errors)")
            #expect(events().first?["event"] == "resume" && stepsDone() == 0)
            // What is left of one is gone on with.
            try removeSummary()
            try whole.prefix(whole.count / 2).write(to: log)
            let cut = Command.run(train("--resume"))
            #expect(cut.status == 0 && cut.errors.contains("note: \(log.path) was cut or changed"), "\(cut.errors)")
            #expect(stepsDone() > 5 && events().last?["event"] == "resume")
            let kept = try Data(contentsOf: log)
            #expect(kept.prefix(1000) == whole.prefix(1000) && kept.count > whole.count / 2 - 4000)
        }

        @Test func changedConfigurationIsRefused() throws {
            try finished.copy(to: run)
            expectFailure(
                train("--resume", "--set", "training.seed=2", "--set", "policy.samples=4"), "config.yml",
                "training.seed: 1 in the run, 2 now", "policy.samples")
            expectFailure(train(), run.path, "not empty", "--resume")
            // A finished run resumes to its end at once.
            let outcome = Command.run(train("--resume"))
            #expect(outcome.status == 0 && outcome.output.contains("Learned policy"))
        }

        @Test func anotherProcessOnTheRunIsRefused() throws {
            let long =
                ["train", "--config", finished.configuration.path, "--output", run.path]
                + ["--set", "training.warmup.iterations=1000000"]
            let first = try Program.start(long)
            defer { first.kill() }
            while first.isRunning && stepsDone() < 1 { usleep(2000) }
            expectFailure(long + ["--resume"], run.path, "another process on this run (process ")
            expectFailure(long, run.path, "not empty")
            #expect(first.isRunning)
        }
    }
}
