import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

@Suite struct RunDirectoryTests {
    private func configuration(_ overrides: [String] = []) throws -> ExperimentConfiguration {
        try ExperimentConfiguration.parse(yaml: ConfigurationTests.three, file: "c.yml", overrides: overrides)
    }

    @Test func createsResumesAndReads() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("a/run")
        do {
            let run = try RunDirectory(url, mode: .create)
            #expect(FileManager.default.fileExists(atPath: run.checkpoints.path) && !run.hasConfiguration)
            try run.prepare(configuration())
            #expect(run.hasConfiguration)
            try EventLog(run.log).append(.object(["event": "step"]))
        }
        #expect(
            message { _ = try RunDirectory(url, mode: .create) }
                == "\(url.path): found a folder that is not empty (config.yml), "
                + "expected an empty or new folder, or --resume to continue the run in it")
        let run = try RunDirectory(url, mode: .resume)
        try run.prepare(configuration())
        #expect(
            message { try run.prepare(configuration(["training.batch=8", "policy.samples=2"])) }
                == "\(run.configuration.path): found training.batch: 16 in the run, 8 now (also policy.samples), "
                + "expected an unchanged configuration to resume with, or another --output for a new run")
        // A data set may have moved, and only that.
        try run.prepare(configuration(["dataset.root=elsewhere"]))
        #expect(try run.readConfiguration().dataset.root == "elsewhere")
        try run.prepare(configuration())
        #expect(try RunDirectory(url, mode: .read).readConfiguration() == configuration())
    }

    /// What the runs that belong to it cannot follow is refused before the run says it.
    @Test func hasNoFewerStepsThanItsPartsHaveDone() throws {
        let folder = try TemporaryFolder()
        let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
        try run.prepare(configuration())
        try EventLog(run.log).append(.object(["event": "step"]))
        let part = try RunDirectory(run.url.appendingPathComponent("retrain/0.6"), mode: .create)
        try part.prepare(configuration())
        try Data(#"{"model": "retrain-31.safetensors"}"#.utf8).write(to: part.latest)
        try run.prepare(configuration(["training.retrain.iterations=31"]))
        let before = try run.readConfiguration()
        #expect(
            message { try run.prepare(configuration(["training.retrain.iterations=30"])) }
                == "\(run.configuration.path): training.retrain.iterations: found 30 now, with 31 done in retrain/0.6, "
                + "expected at least as many")
        #expect(try run.readConfiguration() == before)
    }

    /// Nor than it has done itself: the key is named, and no file of the run's is blamed.
    @Test func hasNoFewerStepsThanItHasDone() throws {
        let folder = try TemporaryFolder()
        let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
        try run.prepare(configuration())
        try EventLog(run.log).append(.object(["event": "step"]))
        try Data(#"{"model": "policy-0000031.safetensors"}"#.utf8).write(to: run.latest)
        try run.prepare(configuration(["training.policy.iterations=31"]))
        #expect(
            message { try run.prepare(configuration(["training.policy.iterations=30"])) }
                == "\(run.configuration.path): training.policy.iterations: found 30 now, with 31 done, "
                + "expected at least as many")
    }

    /// A study's run is another one once a file that its configuration names says something else.
    @Test func noticesOtherContentsOfNamedFiles() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("one", "policy.json")
        let configuration = try configuration(["method=fixed", "method.policy=\(file.path)"])
        let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
        try run.prepare(configuration.stored())
        func change() throws -> String? {
            guard case .other(let error) = try run.continuation(configuration) else { return nil }
            return error.found
        }
        #expect(try change() == nil)
        try folder.write("two", "policy.json")
        #expect(try change() == "another content of \(file.path) than when the run began")
        try FileManager.default.removeItem(at: file)
        #expect(try change() == nil)
    }

    @Test func holdsOffAnotherProcess() throws {
        let folder = try TemporaryFolder()
        var first: RunDirectory? = try RunDirectory(folder.url, mode: .create)
        try first?.prepare(configuration())
        let found = message { _ = try RunDirectory(folder.url, mode: .resume) }
        #expect(found.contains("another process on this run (process \(ProcessInfo.processInfo.processIdentifier))"))
        #expect(message { _ = try RunDirectory(folder.url, mode: .read) } == "no error")
        first = nil
        #expect(message { _ = try RunDirectory(folder.url, mode: .resume) } == "no error")
    }

    @Test func refusesForeignAndMissingFolders() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("x", "notes.txt")
        #expect(message { _ = try RunDirectory(folder.url, mode: .create) }.contains("not empty (notes.txt)"))
        #expect(message { _ = try RunDirectory(folder.url, mode: .resume) }.contains("found no config.yml"))
        #expect(message { _ = try RunDirectory(folder.url, mode: .read) }.contains("found no config.yml"))
        let runs = try TemporaryFolder()
        for name in ["b", "a"] { try RunDirectory(runs.file(name), mode: .create).prepare(configuration()) }
        #expect(
            message { _ = try RunDirectory(runs.url, mode: .read) }.hasSuffix(
                "found no config.yml, expected the folder of an earlier run, such as a in it: `adashare runs` lists "
                    + "them"
            ))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["notes.txt"])
        #expect(message { _ = try RunDirectory(file, mode: .create) }.contains("found a file"))
        let below = file.appendingPathComponent("run")
        #expect(message { _ = try RunDirectory(below, mode: .create) }.contains("cannot be made"))
        let missing = folder.url.appendingPathComponent("none")
        #expect(message { _ = try RunDirectory(missing, mode: .resume) }.contains("no such folder"))
    }

    @Test func unwritableFolderIsAnError() throws {
        // Nobody can make files there, not even the superuser.
        let found = message { _ = try RunDirectory(URL(fileURLWithPath: "/proc/training-run"), mode: .create) }
        #expect(found.contains("cannot be made"))
    }

    @Test func aRunKilledAtItsStartCanBeRepeatedOrResumed() throws {
        for mode in [RunDirectory.Mode.create, .resume] {
            let folder = try TemporaryFolder()
            do { _ = try RunDirectory(folder.url, mode: .create) }
            let leftover = try folder.write("half", ".config.yml.partial-abc")
            let run = try RunDirectory(folder.url, mode: mode)
            #expect(!run.hasConfiguration)
            #expect(!FileManager.default.fileExists(atPath: leftover.path))
        }
    }

    @Test func listsWholeCheckpointsOnly() throws {
        let folder = try TemporaryFolder()
        let run = try RunDirectory(folder.url, mode: .create)
        for name in ["b.safetensors", "a.safetensors", ".c.safetensors.partial-1.safetensors", "x.txt"] {
            try Data().write(to: run.checkpoints.appendingPathComponent(name))
        }
        #expect(run.checkpointFiles().map(\.lastPathComponent) == ["a.safetensors", "b.safetensors"])
    }

    // MARK: - Atomic files

    @Test func atomicFileReplacesWholeContents() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write("old", "a")
        try AtomicFile.write(chunks: [Data("new ".utf8), Data(), Data("text".utf8)], to: url)
        #expect(try String(contentsOf: url, encoding: .utf8) == "new text")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a"])
        // A failed rename (onto a folder) leaves no temporary file.
        let busy = folder.url.appendingPathComponent("busy")
        try FileManager.default.createDirectory(at: busy, withIntermediateDirectories: true)
        #expect(throws: InputError.self) { try AtomicFile.write(Data(), to: busy) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == ["a", "busy"])
        #expect(AtomicFile.isTemporary(".a.partial-1") && !AtomicFile.isTemporary("a.partial-1"))
    }

    @Test func filesThatBelongTogetherAppearTogether() throws {
        let folder = try TemporaryFolder()
        func names() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        }
        let (a, b) = (folder.file("a"), folder.file("b"))
        try AtomicFileSet.write { files in
            for url in [a, b] { try AtomicFile.write(Data("one".utf8), to: try files.staged(url)) }
            #expect(try names().allSatisfy(AtomicFile.isTemporary))
        }
        #expect(try names() == ["a", "b"])
        let error = #expect(throws: InputError.self) {
            try AtomicFileSet.write { files in
                try AtomicFile.write(Data("two".utf8), to: try files.staged(a))
                throw InputError(file: try files.staged(b).path, found: "x", expected: "y")
            }
        }
        #expect(error?.file == b.path && error?.found == "x")
        #expect(try names() == ["a", "b"] && String(contentsOf: a, encoding: .utf8) == "one")
        // The last one finds no place when the others are in theirs: those before are there again.
        let (c, d) = (folder.file("c"), folder.file("d"))
        #expect(throws: InputError.self) {
            try AtomicFileSet.write { files in
                for url in [a, c, d] { try AtomicFile.write(Data("three".utf8), to: try files.staged(url)) }
                try FileManager.default.createDirectory(at: d, withIntermediateDirectories: false)
            }
        }
        #expect(try names() == ["a", "b", "d"] && String(contentsOf: a, encoding: .utf8) == "one")
    }

    @Test func filesAreWrittenInLargePieces() throws {
        let folder = try TemporaryFolder()
        let chunks = [1, 1 << 19, 3, 1 << 19, 1 << 21, 5, 0, (1 << 20) + 1].enumerated().map { index, count in
            Data(repeating: UInt8(index), count: count)
        }
        let url = folder.file("large")
        try AtomicFile.write(chunks: chunks, to: url)
        #expect(try Data(contentsOf: url) == Data(chunks.joined()))
    }

    // MARK: - Event log

    @Test func logIsOneSortedObjectPerLine() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("metrics.jsonl")
        let log = try EventLog(url)
        try log.append(["phase": "warmup", "iteration": 1, "loss": ["total": .number(.nan), "depth": 0.25]])
        try log.append(["b": [true, JSONValue.null], "a": "x\"\n"])
        let text = try String(contentsOf: url, encoding: .utf8)
        #expect(
            text == #"{"iteration":1,"loss":{"depth":0.25,"total":null},"phase":"warmup"}"# + "\n"
                + #"{"a":"x\"\n","b":[true,null]}"# + "\n")
        #expect(log.offset == UInt64(text.utf8.count))
        let events = try EventLog.read(url)
        #expect(events.count == 2 && events[0]["loss"]?["depth"]?.double == 0.25)
        #expect(events[1]["a"]?.string == "x\"\n")
        try log.synchronize()
    }

    @Test func logIsCutBackToACheckpoint() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("metrics.jsonl")
        var offset: UInt64 = 0
        do {
            let log = try EventLog(url)
            for iteration in 1...5 {
                try log.append(["iteration": .integer(iteration)])
                if iteration == 3 { offset = log.offset }
            }
        }
        // What a killed process leaves: a half-written line, here one that is read in several pieces.
        let handle = try FileHandle(forWritingTo: url)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(#"{"iterat"#.utf8) + Data(repeating: 97, count: 200_000))
        try handle.close()
        #expect(try EventLog.read(url).count == 5)
        let log = try EventLog(url)
        #expect(try EventLog.read(url).count == 5 && log.offset > offset)
        try log.truncate(to: offset)
        try log.append(["iteration": 4, "again": true])
        let text = try String(contentsOf: url, encoding: .utf8)
        #expect(text.hasSuffix("{\"iteration\":3}\n{\"again\":true,\"iteration\":4}\n"))
        #expect(message { try log.truncate(to: offset + 1) }.contains("found no end of a line at byte"))
        #expect(message { try log.truncate(to: 10_000) }.contains("expected at least the 10000 bytes"))
        try log.truncate(to: 0)
        #expect(try Data(contentsOf: url).isEmpty)
    }

    /// What is left of a log is gone on with: whole lines of steps that the checkpoint has seen.
    @Test func whatIsLeftOfALogIsKept() throws {
        let folder = try TemporaryFolder()
        let lines = (1...5).map { #"{"event":"step","global_step":\#($0)}"# + "\n" }
        func remains(_ text: String, of bytes: Int, after step: Int) throws -> (text: String, loss: String?) {
            let url = try folder.write(text, "metrics.jsonl")
            let log = try EventLog(url)
            let damage = try log.setDamagedAside()
            let known = log.remains(of: damage?.offset(of: UInt64(bytes)) ?? UInt64(bytes), after: step)
            try log.truncate(to: known.offset)
            return (try String(contentsOf: url, encoding: .utf8), known.loss)
        }
        let three = lines[..<3].joined()
        let whole = try remains(lines.joined(), of: three.utf8.count, after: 3)
        #expect(whole.text == three && whole.loss == nil)
        for cut in [three.dropLast(), three.dropLast(9)] {
            let left = try remains(String(cut), of: three.utf8.count, after: 3)
            #expect(left.text == lines[..<2].joined())
            #expect(left.loss?.contains("was cut or changed: it goes on after step 2, ") == true, "\(left)")
        }
        // Nothing of what is taken again is kept, and no line that cannot be read.
        let grown = try remains("{\n" + lines[1] + lines[4] + lines[4], of: three.utf8.count, after: 3)
        #expect(grown.text == lines[1] && grown.loss != nil)
        // Where the checkpoint ends by chance, but of later steps.
        let chance = try remains(lines[2...].joined(), of: three.utf8.count, after: 3)
        #expect(chance.text == lines[2])
        for text in ["", #"{"event":"resume","global_step":3}"# + "\n"] {
            let anew = try remains(text + lines[3], of: three.utf8.count, after: 3)
            #expect(anew.text == text)
            #expect(anew.loss?.hasSuffix("is gone: it begins anew, without the steps before") == true)
        }
        #expect(try remains("", of: 0, after: 0).loss == nil)
    }

    /// Whatever a disk has made of a line: it is moved, no byte is lost, and the others are gone on with.
    @Test func damagedLinesAreSetAside() throws {
        let lines = (1...5).map { #"{"event":"step","global_step":\#($0),"loss":1.5e-05}"# + "\n" }
        let length = lines[0].utf8.count
        // What becomes of the second line, and how many others go with it.
        let damages: [(String, (inout [UInt8]) -> Void, lost: Int)] = [
            ("garbage", { for place in 10..<20 { $0[length + place] = 0xFF } }, 0),
            ("zeros", { for place in 0..<length - 1 { $0[length + place] = 0 } }, 0),
            ("zeros over two lines", { for place in 5..<length + 5 { $0[length + place] = 0 } }, 1),
            ("infinity", { $0.replaceSubrange(2 * length - 5..<2 * length - 2, with: Array("900".utf8)) }, 0),
            ("a bit", { $0[length] ^= 1 }, 0),
            ("a byte less", { $0.remove(at: length + 1) }, 0),
            ("nothing but its end", { $0.removeSubrange(length..<2 * length - 1) }, 0),
        ]
        for (name, change, lost) in damages {
            // The checkpoint has seen the last line, or not; what it has not is taken again.
            for seen in [4, 5] {
                let folder = try TemporaryFolder()
                var bytes = Array(lines.joined().utf8)
                change(&bytes)
                let url = try folder.write(bytes, "metrics.jsonl")
                let log = try EventLog(url)
                let damage = try #require(try log.setDamagedAside(), "\(name)")
                let kept = [lines[0]] + lines[(2 + lost)...]
                #expect(try String(contentsOf: url, encoding: .utf8) == kept.joined(), "\(name)")
                let aside = try Data(contentsOf: folder.file("metrics.damaged"))
                #expect(aside.elementsEqual(bytes[length..<bytes.count - (3 - lost) * length]), "\(name)")
                #expect(damage.text.contains("line 2 of \(url.path) was no JSON object"), "\(damage.text)")
                let known = log.remains(of: damage.offset(of: UInt64(seen * length)), after: seen, isKnown: true)
                #expect(known.loss == nil, "\(name)")
                try log.truncate(to: known.offset)
                try log.append(["again": true])
                let all = [lines[0]] + lines[(2 + lost)..<seen] + [#"{"again":true}"# + "\n"]
                #expect(try String(contentsOf: url, encoding: .utf8) == all.joined(), "\(name)")
                #expect(try log.setDamagedAside() == nil && EventLog.read(url).count == all.count)
                // A process was killed before the log was written: what it had moved is not moved twice.
                try folder.write(bytes, "metrics.jsonl")
                _ = try EventLog(url).setDamagedAside()
                #expect(try Data(contentsOf: folder.file("metrics.damaged")) == aside)
                try folder.write("x\n", "metrics.jsonl")
                _ = try EventLog(url).setDamagedAside()
                #expect(try Data(contentsOf: folder.file("metrics.damaged")) == aside + Data("x\n".utf8))
            }
        }
    }

    // MARK: - What is asked for

    @Test func whatIsAskedForIsKept() throws {
        let folder = try TemporaryFolder()
        let run = try RunDirectory(folder.url, mode: .create)
        let configuration = try configuration()
        try run.prepare(configuration)
        let outlines = try configuration.method.chosen.phases(configuration.methodSettings())
        func kept(_ phases: Set<Phase>?, _ policy: SelectionPolicy? = nil) throws -> RunDirectory.Asked? {
            try run.keep(phases.map { RunDirectory.Asked(phases: $0, policy: policy) }, of: outlines)
            return try run.readAsked()
        }
        #expect(try kept(nil) == nil)
        #expect(try kept([.warmup])?.phases == [.warmup])
        // It is no step, so that the run may still be begun anew.
        #expect(try run.isUnbegun())
        // Phases that are over stay a part of the run.
        try Data().write(to: run.checkpoints.appendingPathComponent("warmup.safetensors"))
        #expect(try kept([.policy])?.phases == [.warmup, .policy])
        #expect(try kept([.policy, .retrain]) == nil && !folder.names.contains("asked.json"))
        let policy = SelectionPolicy(tasks: ["depth": [1, 0]])
        #expect(try kept([.retrain], policy)?.policy == policy)
        try folder.write("{", "asked.json")
        #expect(message { _ = try run.readAsked() }.contains("asked.json: found no file that `train` wrote"))
    }

    /// A folder that is there is not called missing, whatever keeps a file from being made in it.
    @Test func whyAFileIsNotMade() throws {
        for (name, found) in [("m.jsonl", "open failed"), ("new/m.jsonl", "found no folder /proc/new")] {
            let url = URL(fileURLWithPath: "/proc/\(name)")
            #expect(message { _ = try EventLog(url) }.contains(found))
            #expect(message { try AtomicFile.write(Data(), to: url) }.contains(found))
        }
    }

    @Test func freeSpaceIsThatOfTheDisk() throws {
        let folder = try TemporaryFolder()
        let free = try #require(DiskSpace.free(folder.url.path))
        // Others write there meanwhile.
        let below = try #require(DiskSpace.free(folder.file("not/there").path))
        #expect(free > 0 && abs(free - below) < 1 << 30)
        #expect(DiskSpace.free("/proc/self") == nil)
    }

    @Test func badLogsAreErrors() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write("{\"a\":1}\nnonsense\n{}\n", "m.jsonl")
        #expect(
            message { _ = try EventLog.read(url) }
                == "\(url.path): line 2: found no JSON object, expected a JSON object; `adashare train --resume` moves "
                + "such lines aside")
        #expect(
            message { _ = try EventLog(URL(fileURLWithPath: "/nonexistent/m.jsonl")) }.contains(
                "m.jsonl: found no folder /nonexistent"))
    }
}
