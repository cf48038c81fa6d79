import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments

extension CommandLineTests {
    /// Runs whose terminal, disk or scheduler goes away: the work is kept.
    @Suite(.needsDevice) struct SurroundingsTests {
        let folder: TemporaryFolder
        let configuration: URL

        init() throws {
            folder = try TemporaryFolder()
            let phases = "training: { batch: 4, log_every: 1, warmup: { iterations: 2 }, policy: { iterations: 0 },\n"
            configuration = try folder.write(
                Tiny.tasks + Tiny.scenes + Tiny.light + phases + "            retrain: { iterations: 0 } }\n", "c.yml")
        }

        private func train(_ run: String, _ more: String...) -> [String] {
            ["train", "--config", configuration.path, "--output", folder.file(run).path, "--no-search"] + more
        }

        /// Runs a line of shell in which `train RUN` trains; what it prints.
        private func shell(_ script: String) throws -> Outcome {
            let trains = "train() { r=$1; shift; \"$0\" train --config c.yml --no-search --output $r \"$@\"; }\n"
            return try RunningProgram(
                ["-c", trains.replacing("$0", with: Program.url.path) + script], of: URL(fileURLWithPath: "/bin/bash"),
                in: folder.url
            ).finish()
        }

        private func hasEnded(_ run: String) -> Bool {
            FileManager.default.fileExists(atPath: folder.file("\(run)/summary.json").path)
        }

        private func events(_ run: String) -> [JSONValue] {
            (try? EventLog.read(folder.file("\(run)/metrics.jsonl"))) ?? []
        }

        // MARK: - Streams

        @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
        func lostProgressEndsNoRun() throws {
            let outcome = try shell(
                """
                train full 2>/dev/full >/dev/null; echo full $?
                train gone 2>&1 >/dev/null | head -1 >/dev/null; echo gone ${PIPESTATUS[0]}
                (head -c 65536 /dev/zero; train stuck 2>&1 >/dev/null; echo $? >stuck.status) | sleep 30 & p=$!
                while [ ! -s stuck.status ] && kill -0 $p 2>/dev/null; do sleep 0.1; done
                kill -KILL $p; echo stuck $(cat stuck.status)
                train closed 2>&- <&- >/dev/null; echo closed $?
                train silent >&- 2>silent.err; echo silent $?
                """)
            #expect(outcome.output == "full 0\ngone 0\nstuck 0\nclosed 0\nsilent 1\n", "\(outcome)")
            for run in ["full", "gone", "stuck", "closed", "silent"] { #expect(hasEnded(run), "\(run)") }
            for run in ["closed", "silent"] {
                let lock = try String(contentsOf: folder.file("\(run)/run.lock"), encoding: .utf8)
                #expect(Int(lock.dropLast()) != nil, "\(lock)")
            }
            let error = try String(contentsOf: folder.file("silent.err"), encoding: .utf8)
            #expect(error.split(separator: "\n").last?.hasPrefix("Error: standard output: ") == true, "\(error)")
        }

        @Test func namesThatAreNoTextAreRefused() throws {
            let outcome = try shell(
                "cp c.yml $'caf\\xe9.yml'; \"$PROGRAM\" cost --config $'caf\\xe9.yml'".replacing(
                    "$PROGRAM", with: Program.url.path))
            outcome.expectFailure(["caf\\xe9.yml", "not UTF-8"])
        }

        // MARK: - Signals and time

        @Test(arguments: [SIGTERM, SIGINT, SIGUSR1]) func aSignalKeepsWhatIsDone(signal: Int32) throws {
            let process = try Program.start(train("run", "--set", "training.warmup.iterations=1000000"))
            while process.isRunning && !events("run").contains(where: { $0["event"] == "step" }) { usleep(2000) }
            process.send(signal)
            // As from `timeout`, which sends it to the process's group, too.
            usleep(20_000)
            process.send(signal)
            let outcome = try process.finish()
            #expect(outcome.status == 128 + signal, "\(outcome.errors)")
            let line = try #require(outcome.lines.last)
            #expect(line.contains("in phase warmup after iteration ") && line.contains("train --resume "), "\(line)")
            let steps = events("run").count { $0["event"] == "step" }
            let saved = String(repeating: "0", count: 7 - "\(steps)".count) + "\(steps)"
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("run/checkpoints").path)
            #expect(names.contains("warmup-\(saved).safetensors"), "\(names), \(steps)")
        }

        @Test func aTimeLimitStopsByItself() throws {
            let arguments = train("run", "--set", "training.warmup.iterations=1000000", "--time-limit", "3s")
            let start = Date()
            let outcome = Command.run(arguments)
            #expect(outcome.status == 124 && outcome.errors.contains("stopped by time limit"), "\(outcome.errors)")
            #expect(Date().timeIntervalSince(start) < 10)
            let again = Command.run(
                ["train", "--resume", folder.file("run").path, "--time-limit", "2s", "--no-search"])
            #expect(again.status == 124 && again.errors.contains("resuming in phase warmup"), "\(again.errors)")
            Command.run(arguments.dropLast() + ["3 hours"]).expectFailure(
                code: 64, ["3 hours", "3h55m, 90s"])
            #expect(
                ["3h55m", "90s", "1d12h", "3:55:00", "90", "5m3h", "0s", "", "-1s"].map(StopRequest.seconds) == [
                    14_100, 90, 129_600, 14_100, nil, nil, nil, nil, nil,
                ])
        }

        // MARK: - Files

        @Test func filesFollowTheUmask() throws {
            let outcome = try shell(
                "umask 002; train run >/dev/null 2>&1; find run -type f -printf '%m\\n' | sort -u; stat -c %a run")
            #expect(outcome.output == "664\n775\n", "\(outcome)")
        }

        @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/cc"), "needs cc"))
        func aFileSystemWithoutLocksIsNoted() throws {
            try folder.write("#include <errno.h>\nint flock(int f, int h) { errno = ENOLCK; return -1; }\n", "n.c")
            let outcome = try shell("cc -shared -fPIC -o n.so n.c && LD_PRELOAD=$PWD/n.so train run >/dev/null")
            #expect(outcome.status == 0 && outcome.errors.contains("has no locks"), "\(outcome.errors)")
        }

        @Test func noOutputTakesThePlaceOfAnInput() throws {
            let pixels = [UInt8](repeating: 100, count: 3 * 32 * 32)
            let image = folder.file("shots/p.png")
            try FileManager.default.createDirectory(at: folder.file("shots"), withIntermediateDirectories: true)
            for name in ["p", "p_depth"] {
                try Image(width: 32, height: 32, channels: 3, pixels: pixels).write(
                    to: folder.file("shots/\(name).png"))
            }
            let text = try Data(contentsOf: configuration)
            let link = folder.file("link.yml")
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: configuration)
            #expect(Command.run(train("run")).status == 0)
            let weights = folder.file("run/checkpoints/warmup.safetensors").path
            let predict = ["predict", "--run", folder.file("run").path]
            for (arguments, parts) in [
                (train("other", "--profile", configuration.path), ["c.yml", "is read"]),
                (train("other", "--profile", link.path), ["link.yml", "is read"]),
                (["tune", "--config", configuration.path, "--json", configuration.path], ["c.yml", "is read"]),
                (
                    predict + [
                        "--output", folder.file("shots").path, image.path, folder.file("shots/p_depth.png").path,
                    ],
                    ["p_depth.png", "is read"]
                ),
                (
                    predict + ["--output", folder.file("o").path, "--profile", weights, image.path],
                    ["warmup", "is read"]
                ),
            ] { Command.run(arguments).expectFailure(parts) }
            #expect(try Data(contentsOf: configuration) == text)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("shots").path).count == 2)

            // What cannot be read keeps nothing else from being done.
            try folder.write("text", "bad.png")
            let some = Command.run(
                predict + ["--output", folder.file("o").path, folder.file("bad.png").path, image.path])
            some.expectFailure(["1 of 2 images failed"])
            #expect(some.errors.contains("bad.png: "), "\(some.errors)")
            #expect(FileManager.default.fileExists(atPath: folder.file("o/p_panel.png").path))
        }
    }
}
