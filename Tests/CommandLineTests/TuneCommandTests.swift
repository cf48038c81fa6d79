import AdaShareOperators
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTraining

extension CommandLineTests {
    /// `tune`, and what `train` makes of it; cache folder and run are made once, and copied by tests that change them.
    @Suite(.needsDevice) struct TuneCommandTests {
        let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func run(_ arguments: [String], cache: URL) throws -> Outcome {
            try Program.run(arguments, environment: ["XDG_CACHE_HOME": cache.path])
        }

        private func train(_ run: URL, _ more: String...) throws -> [String] {
            ["train", "--config", try TunedCache.get().configuration.path, "--output", run.path] + more
        }

        private func copy(_ url: URL, as name: String) throws -> URL {
            try FileManager.default.copyItem(at: url, to: folder.file(name))
            return folder.file(name)
        }

        private func algorithms(of run: URL) -> String {
            (try? String(contentsOf: run.appendingPathComponent("algorithms.json"), encoding: .utf8)) ?? ""
        }

        private func count(_ text: String, in whole: String) -> Int { whole.components(separatedBy: text).count - 1 }

        // MARK: - Measuring

        @Test func killedAndConcurrentTunersCompleteTheCache() throws {
            let tuned = try TunedCache.get()
            #expect(tuned.keptByKilled > 0, "a killed tuner leaves what it has measured")
            for outcome in tuned.concurrent { #expect(outcome.status == 0, "\(outcome.errors)") }
            #expect(tuned.entries.count > max(tuned.keptByKilled, 3))
        }

        @Test func whatIsKnownIsNotMeasuredAgain() throws {
            let tuned = try TunedCache.get()
            let json = folder.file("tune.json")
            let outcome = try run(tuned.arguments + ["--json", json.path], cache: tuned.folder)
            #expect(outcome.status == 0 && !outcome.errors.contains("measuring"), "\(outcome.errors)")
            #expect(outcome.output.contains("known") && outcome.output.contains(tuned.folder.path))
            let rows = try #require(try JSONValue.parse(Data(contentsOf: json))["rows"]).items
            #expect(rows.count == tuned.entries.count)
            #expect(rows.allSatisfy { $0["is_new"] == .bool(false) }, "\(rows.first?.keys ?? [])")
        }

        // MARK: - Training with what was measured

        @Test func trainingTakesWhatWasMeasured() throws {
            let (tuned, trained) = (try TunedCache.get(), try TunedRun.get())
            let (list, errors) = (algorithms(of: trained.folder), trained.outcome.errors)
            #expect(trained.outcome.status == 0 && !errors.contains("measuring"), "\(errors)")
            #expect(count("\"measured\"", in: list) == tuned.entries.count)
            #expect(errors.contains("\(tuned.entries.count) of them measured"), "\(errors)")
        }

        @Test func withoutSearchEveryAlgorithmGoesByShape() throws {
            let outcome = Command.run(try train(folder.file("plain"), "--no-search"))
            #expect(outcome.status == 0, "\(outcome.errors)")
            let measured = algorithms(of: try TunedRun.get().folder)
            let number = count("\"chosen_by\"", in: measured)
            #expect(number > 0 && count("\"shape\"", in: algorithms(of: folder.file("plain"))) == number)
        }

        @Test func aRunKeepsItsAlgorithms() throws {
            let trained = try copy(TunedRun.get().folder, as: "run")
            let list = algorithms(of: trained)
            // Only a run that is not finished computes.
            func reopen() throws {
                try FileManager.default.removeItem(at: trained.appendingPathComponent("summary.json"))
            }
            try reopen()
            // What is learned later, or forgotten, does not touch a run that exists.
            let cache = folder.file("empty")
            let resumed = try run(train(trained, "--resume"), cache: cache)
            #expect(resumed.status == 0 && algorithms(of: trained) == list, "\(resumed.errors)")
            #expect(TunedCache.entries(in: cache).isEmpty)
            try reopen()
            let again = Command.run(try train(trained, "--resume", "--no-search"))
            #expect(again.status == 0 && algorithms(of: trained) == list)
            #expect(again.errors.contains("keeps the algorithms"), "\(again.errors)")
        }

        /// A list that is gone is not made up, unless that is asked for.
        @Test func aListThatIsGoneIsNotMadeUp() throws {
            let trained = try copy(TunedRun.get().folder, as: "run")
            let list = trained.appendingPathComponent("algorithms.json")
            for name in ["algorithms.json", "summary.json"] {
                try FileManager.default.removeItem(at: trained.appendingPathComponent(name))
            }
            try run(train(trained, "--resume"), cache: TunedCache.get().folder)
                .expectFailure([list.path, "--resume --no-search"])
            #expect(!FileManager.default.fileExists(atPath: list.path))
            let evaluated = Command.run(["evaluate", "--run", trained.path])
            #expect(evaluated.status == 0 && evaluated.errors.contains("chosen by shape"), "\(evaluated.errors)")
            let anew = Command.run(try train(trained, "--resume", "--no-search"))
            #expect(anew.status == 0, "\(anew.errors)")
            let plain = Command.run(try train(folder.file("plain"), "--no-search"))
            #expect(plain.status == 0 && !algorithms(of: trained).isEmpty)
            #expect(algorithms(of: trained) == algorithms(of: folder.file("plain")))
        }

        // MARK: - Places that cannot be written

        /// What was measured before the disk filled up is read, the rest is used without being kept; nothing is left
        /// behind.
        @Test(.enabled(if: Program.canMount, "needs a file system of its own")) func aFullDiskCostsOnlyTime() throws {
            let tuned = try TunedCache.get()
            let cache = try copy(tuned.folder, as: "cache")
            let stored = TunedCache.entries(in: cache)
            for entry in stored.dropFirst() { try FileManager.default.removeItem(at: entry) }

            let full = try Program.run(
                tuned.arguments, withoutRoomIn: cache, environment: ["XDG_CACHE_HOME": cache.path])
            #expect(full.status == 1 && full.output.contains("no place for \(stored.count - 1) of"), "\(full.output)")
            #expect(full.output.contains("not kept") && full.output.contains("known"), "\(full.output)")
            let left = full.output.split(separator: "\n").filter { $0.hasPrefix("left ") }
            // Drivers that do not keep binaries themselves have theirs there, whole.
            let algorithms = left.filter { !$0.hasSuffix(".program") }
            #expect(algorithms == ["left \(stored[0].lastPathComponent)"], "no half-written files")
        }

        @Test func aCacheThatCannotBeWrittenCostsOnlyTime() throws {
            let blocked = try folder.write("", "blocked")
            let configuration = try TunedCache.get().configuration.path
            let tuned = try run(["tune", "--config", configuration] + TunedCache.few, cache: blocked)
            #expect(tuned.output.contains("winograd"), "\(tuned.output)")
            #expect(tuned.errors.contains("not kept"), "\(tuned.errors)")
            tuned.expectFailure(["no place for"])
            let trained = try run(train(folder.file("run")) + TunedCache.few, cache: blocked)
            #expect(trained.status == 0 && trained.errors.contains("not kept"), "\(trained.errors)")
            #expect(try String(contentsOf: blocked, encoding: .utf8).isEmpty)
        }
    }
}

/// A cache folder that one tuner began and was killed over, and two at once completed, one of which measured everything
/// again.
private final class TunedCache: Sendable {
    let folder: URL
    let configuration: URL
    let arguments: [String]
    let keptByKilled: Int
    let concurrent: [Outcome]

    private let owner: LastingFolder
    private static let made = Result<TunedCache, any Error> { try TunedCache() }
    static func get() throws -> TunedCache { try made.get() }

    /// Some convolutions are large enough to be measured, few enough for a test.
    private static let yaml =
        Tiny.tasks + """
            dataset: { kind: scenes, count: 20, size: [96, 96], crop: [96, 96], augmentation: none }
            model: { backbone: resnet18, width: 0.25, head: light, dropout: 0 }
            training: { batch: 4, log_every: 1, warmup: { iterations: 1 }, policy: { iterations: 0 },
                        retrain: { iterations: 0 } }

            """
    /// Leaves fewer of them.
    static let few = ["--set", "training.batch=2"]

    private init() throws {
        owner = try LastingFolder()
        folder = owner.folder.file("cache")
        configuration = try owner.folder.write(Self.yaml, "c.yml")
        arguments = ["tune", "--config", configuration.path]
        let environment = ["XDG_CACHE_HOME": folder.path]

        let killed = try Program.start(arguments, environment: environment)
        // However slow the machine: the tuner ends with an entry, or without one.
        while Self.entries(in: folder).isEmpty, killed.isRunning { usleep(1000) }
        killed.kill()
        keptByKilled = Self.entries(in: folder).count

        concurrent = try [arguments, arguments + ["--again"]]
            .map { try Program.start($0, environment: environment) }.map { try $0.finish() }
        try calm()
    }

    var entries: [URL] { Self.entries(in: folder) }

    static func entries(in cache: URL) -> [URL] {
        let root = cache.appendingPathComponent("adashare/algorithms")
        let found = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL }
        return (found ?? []).filter { $0.pathExtension == "json" }
    }

    /// Makes results look as if nothing else had run, or `tune` may measure them again.
    private func calm() throws {
        for entry in entries {
            let text = try String(contentsOf: entry, encoding: .utf8)
            try #require(text.contains("scatter"))
            let calm = text.replacing(/"scatter":[-+.e0-9]+/, with: "\"scatter\":0")
            let parts = calm.components(separatedBy: #","hash":""#)
            try #require(parts.count == 2 && parts[0].hasPrefix(#"{"entry":"#))
            let body = parts[0].dropFirst(#"{"entry":"#.count)
            let hash = ContentHash.text(Data(body.utf8))
            try Data(#"{"entry":\#(body),"hash":"\#(hash)"}"#.utf8).write(to: entry)
        }
    }
}

/// A run that found its algorithms in that cache.
private final class TunedRun: Sendable {
    let folder: URL
    let outcome: Outcome

    private let owner: LastingFolder
    private static let made = Result<TunedRun, any Error> { try TunedRun() }
    static func get() throws -> TunedRun { try made.get() }

    private init() throws {
        let cache = try TunedCache.get()
        owner = try LastingFolder()
        folder = owner.folder.file("run")
        outcome = try Program.run(
            ["train", "--config", cache.configuration.path, "--output", folder.path],
            environment: ["XDG_CACHE_HOME": cache.folder.path])
    }
}
