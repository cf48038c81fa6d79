import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareTraining

extension CommandLineTests {
    /// `benchmark skip` on a network small enough for a test; what is timed here is not looked at.
    @Suite struct BenchmarkCommandTests {
        /// As in other tests, so that its programs are compiled once.
        private static let small = [
            "--set", "model.backbone=resnet18", "--set", "model.width=0.125", "--set", "model.head=light", "--set",
            "tasks.0.channels=6", "--size", "32x48", "--batch", "4", "--repeats", "1",
        ]

        @Test(.needsDevice) func skipWritesRowsTablesAndAPlot() throws {
            let folder = try TemporaryFolder()
            let (json, plot) = (folder.file("s.json"), folder.file("s.svg"))
            let trace = folder.file("trace.json")
            let run = try Program.run(
                [
                    "benchmark", "skip", "--rows", "random,alike,soft,alone", "--json", json.path, "--plot", plot.path,
                    "--profile",
                    trace.path,
                ] + Self.small)
            #expect(run.status == 0, "\(run.errors)")
            for step in ["inference", "retrain", "weights", "logits"] { #expect(run.output.contains(step)) }
            let report = try JSONValue.parse(Data(contentsOf: json))
            #expect(report["network"]?["backbone"]?.string == "resnet18")
            #expect((report["cached_plan_us"]?.double ?? 0) > 0)
            let rows = try #require(report["rows"]).items
            let keys: Set = [
                "step", "policy", "ms", "ideal_ms", "fidelity", "kernels", "macs", "bytes", "speedup",
                "speedup_hard_sharing", "spread", "plan_ms", "network", "attempts", "idle_share", "launch_us",
            ]
            for row in rows {
                #expect(Set(row.keys).isSuperset(of: keys), "\(row.keys)")
                for key in ["ms", "ideal_ms", "fidelity", "speedup", "speedup_hard_sharing"] {
                    #expect((row[key]?.double ?? 0) > 0, "\(key)")
                }
            }
            func count(_ step: String, _ policy: String) -> Int {
                rows.count { $0["step"]?.string == step && $0["policy"]?.string == policy }
            }
            for step in ["inference", "retrain"] {
                #expect(count(step, "all_selected") == 1 && count(step, "random") == 10)
                #expect(count(step, "only_depth") == 1 && count(step, "soft") == 0)
                #expect(count(step, "alike") == 8, "one for each number of resnet18's blocks but all")
            }
            for step in ["weights", "logits"] {
                #expect(count(step, "hard_skip") == 10 && count(step, "soft") == 4)
                #expect(count(step, "alike") == 8)
            }
            func retraining(_ policy: String) -> [JSONValue] {
                rows.filter { $0["step"]?.string == "retrain" && $0["policy"]?.string == policy }
            }
            // Densities fall from 90 to 0 %, and the work with them.
            let random = retraining("random")
            let densities = random.compactMap { $0["density"]?.double }
            #expect(densities == densities.sorted(by: >) && densities.last == 0)
            let macs = random.compactMap { $0["macs"]?.integer }
            #expect((macs.last ?? 0) * 5 < macs.first ?? 0)
            // Where tasks agree, from what hard sharing costs.
            let agreeing = (retraining("all_selected") + retraining("alike")).compactMap { $0["macs"]?.integer }
            #expect(zip(agreeing, agreeing.dropFirst()).allSatisfy(>) && agreeing.last == macs.last)
            let picture = try String(contentsOf: plot, encoding: .utf8)
            #expect(picture.hasPrefix("<svg") && picture.hasSuffix("</svg>\n"))
            func occurrences(_ part: String) -> Int { picture.components(separatedBy: part).count - 1 }
            #expect(occurrences("<g ") == 4 && occurrences("</g>") == 4)
            #expect(occurrences("hard sharing, one pass") == 4)
            #expect(occurrences("<text ") == occurrences("</text>") && occurrences("<circle ") > 30)
            #expect(picture.contains("Retraining step") && picture.contains("ideal"))
            #expect(try Data(contentsOf: trace).count > 1000 && run.output.contains("GFLOP/s"))
        }

        @Test(.needsDevice) func operatorsTimeEveryPassOfACase() throws {
            let folder = try TemporaryFolder()
            let json = folder.file("o.json")
            let run = try Program.run(
                [
                    "benchmark", "operators", "--filter", "4X81x81×64->64", "--repeats", "1", "--no-search", "--json",
                    json.path,
                ])
            #expect(run.status == 0, "\(run.errors)")
            let report = try JSONValue.parse(Data(contentsOf: json))
            #expect((report["peak_gflops"]?.double ?? 0) > 1)
            let rows = try #require(report["rows"]).items
            #expect(Set(rows.compactMap { $0["case"]?.string }) == ["1x1 4×81×81×64→64", "3x3 4×81×81×64→64"])
            for row in rows {
                // 2 · N · P · Q · R · S · C · K, whatever the algorithm.
                let kernel = try #require(row["kernel"]?.integer)
                let flops = Double(2 * 4 * 81 * 81 * kernel * kernel * 64 * 64)
                let (ms, gflops) = (try #require(row["ms"]?.double), try #require(row["gflops"]?.double))
                #expect(abs(gflops * ms * 1e6 / flops - 1) < 1e-6)
            }
            for kind in ["1x1", "3x3"] {
                let passes = rows.filter { $0["kind"]?.string == kind }.compactMap { $0["pass"]?.string }
                #expect(Set(passes) == ["forward", "data_gradient", "weight_gradient"], "\(kind)")
            }
            #expect(run.output.contains("GFLOP/s"))
        }

        /// Each answer is a line that is there as soon as it is known.
        @Test(.needsDevice) func aFirstLookSaysWhatIsRight() throws {
            let run = try Program.run(["benchmark", "device", "--short"])
            #expect(run.status == 0, "\(run.errors)")
            let lines = run.output.split(separator: "\n")
            #expect(lines.first?.hasPrefix("device ") == true && lines.last == "everything is right")
            for pass in ["forward", "data_gradient", "weight_gradient"] {
                let line = lines.first { $0.hasPrefix("float32 \(pass) 1x1 2x41x41x256-64 ") }
                #expect(line?.contains(": direct") == true && line?.contains(" ms, error ") == true, "\(run.output)")
            }
        }

        @Test func wrongUsageIsRefused() throws {
            for arguments in [
                ["--steps", "training"], ["--rows", "all"], ["--batch", "0"], ["--repeats", "0"], ["--size", "224"],
            ] {
                #expect(Command.run(["benchmark", "skip"] + arguments).status == 64, "\(arguments)")
            }
            let run = Command.run(["benchmark", "skip", "--set", "model.backbone=resnet19"])
            #expect(run.status == 1 && run.errors.contains("model.backbone"))
            // Without looking for a device first.
            let none = Command.run(["benchmark", "operators", "--filter", "5x5", "--device", "none"])
            #expect(none.status == 64 && none.errors.contains("5x5"))
            #expect(none.errors.contains("adashare benchmark operators"), "\(none.errors)")
        }
    }
}
