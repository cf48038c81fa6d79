import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareSupport
@testable import AdaShareTensorBoard
@testable import AdaShareTuning

/// Links that somebody else has put where files are written, and caches that somebody else can write to.
@Suite struct TrustTests {
    private let folder: TemporaryFolder
    /// A file of the user's, and a folder with one.
    private let (precious, elsewhere): (URL, URL)

    init() throws {
        folder = try TemporaryFolder()
        precious = try folder.write("precious", "precious.txt")
        elsewhere = folder.file("elsewhere")
        try FileManager.default.createDirectory(at: elsewhere, withIntermediateDirectories: false)
    }

    private func plant(_ link: URL, to target: URL) throws {
        try? FileManager.default.removeItem(at: link)
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: target)
    }

    /// Nothing has been written to what links lead to, and no link has been replaced.
    private func expectUntouched(_ link: URL, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try String(contentsOf: precious, encoding: .utf8) == "precious", sourceLocation: sourceLocation)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: elsewhere.path) == [], sourceLocation: sourceLocation)
        #expect(OrdinaryFile.target(ofLink: link.path) != nil, sourceLocation: sourceLocation)
    }

    // MARK: - Runs

    private func makeRun(_ name: String) throws -> URL {
        let url = folder.file(name)
        let run = try RunDirectory(url, mode: .create)
        try run.prepare(try ExperimentConfiguration.parse(yaml: ConfigurationTests.three, file: "c.yml"))
        try EventLog(run.log).append(.object(["event": "step"]))
        return url
    }

    /// Whatever `train` writes in a run's folder, in place or not.
    @Test func aRunWithLinksIsNotGoneOnWith() throws {
        let run = try makeRun("run")
        for entry in RunDirectory.Entry.all where entry.name != RunDirectory.Entry.configuration.name {
            let place = entry.url(in: run)
            let isThere = FileManager.default.fileExists(atPath: place.path)
            if isThere { try FileManager.default.moveItem(at: place, to: folder.file("aside")) }
            for target in [precious, elsewhere, folder.file("new")] {
                try plant(place, to: target)
                let found = message { _ = try RunDirectory(run, mode: .resume) }
                #expect(found.hasPrefix("\(place.path): found a link to \(target.path), expected a f"), "\(found)")
                try expectUntouched(place)
                #expect(!FileManager.default.fileExists(atPath: folder.file("new").path))
            }
            try FileManager.default.removeItem(at: place)
            if isThere { try FileManager.default.moveItem(at: folder.file("aside"), to: place) }
        }
        #expect(message { _ = try RunDirectory(run, mode: .resume) } == "no error", "negative control")
        // The run's own folder may be called by a link.
        try plant(folder.file("latest"), to: run)
        #expect(message { _ = try RunDirectory(folder.file("latest"), mode: .resume) } == "no error")
    }

    /// A new run in a folder that is empty but for what a killed one may leave.
    @Test func aNewRunDoesNotFollowLinks() throws {
        for name in ["run.lock", "checkpoints"] {
            let run = folder.file("new-\(name)")
            try FileManager.default.createDirectory(at: run, withIntermediateDirectories: false)
            let link = run.appendingPathComponent(name)
            try plant(link, to: name == "run.lock" ? precious : elsewhere)
            #expect(message { _ = try RunDirectory(run, mode: .create) }.contains("found a link to"))
            try expectUntouched(link)
        }
    }

    /// What killed processes seem to have left is removed, not what it leads to.
    @Test func temporaryFilesAreNotFollowed() throws {
        let run = try makeRun("run")
        let link = run.appendingPathComponent("checkpoints/.latest.json.partial-1")
        try plant(link, to: precious)
        _ = try RunDirectory(run, mode: .resume)
        #expect(OrdinaryFile.target(ofLink: link.path) == nil)
        #expect(try String(contentsOf: precious, encoding: .utf8) == "precious")
    }

    @Test func eventsGoToNewFiles() throws {
        let taken = ["events.out.tfevents.1700000000.adashare", "events.out.tfevents.9223372036854775807.x"]
        for name in taken { try plant(folder.file(name), to: folder.file("planted")) }
        let log = try TensorBoardLog(folder.url, nextStep: 1, time: 1_700_000_000)
        try log.write([("loss", 1)], step: 1, time: 1_700_000_000)
        #expect(!FileManager.default.fileExists(atPath: folder.file("planted").path))
        #expect(folder.names.contains("events.out.tfevents.1700000001.adashare"))
    }

    // MARK: - Files

    /// Replaced, appended to, or put in place with others.
    @Test func filesAreNotWrittenThroughLinks() throws {
        let link = folder.file("link")
        for target in [precious, elsewhere, folder.file("new")] {
            try plant(link, to: target)
            for write in [
                { try AtomicFile.write(Data("x".utf8), to: link) },
                { try AtomicFileSet.write { try AtomicFile.write(Data("x".utf8), to: try $0.staged(link)) } },
                { _ = try EventLog(link) },
                { _ = try FolderLock(folder.url, name: "link", of: "run") },
                { try AtomicFile.makeFolder(link.appendingPathComponent("below"), in: folder.url) },
            ] { #expect(message(write).hasPrefix("\(link.path): found a link to \(target.path), expected a f")) }
            #expect(FolderLock.isHeld(folder.url, name: "link") == false)
            try expectUntouched(link)
        }
        #expect(folder.names == ["elsewhere", "link", "precious.txt"])
        // Links above are the user's.
        try plant(link, to: elsewhere)
        try AtomicFile.write(Data("x".utf8), to: link.appendingPathComponent("file"))
        try AtomicFile.makeFolder(link.appendingPathComponent("a/b"), in: link)
        #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere.path).sorted() == ["a", "file"])
    }

    /// What is changed in place has no other name, which may lie anywhere.
    @Test func onlyPlainFilesAreChangedInPlace() throws {
        let place = folder.file("metrics.jsonl")
        #expect(link(precious.path, place.path) == 0)
        #expect(message { _ = try EventLog(place) }.contains("found a file with 2 names (hard links)"))
        #expect(try String(contentsOf: precious, encoding: .utf8) == "precious")
        unlink(place.path)
        #expect(mkfifo(place.path, 0o600) == 0)
        #expect(message { _ = try EventLog(place) }.contains("found no ordinary file"))
        unlink(place.path)
        #expect(message { _ = try EventLog(place) } == "no error", "negative control")
    }

    // MARK: - Caches

    @Test func privateFoldersAreTheUsersAlone() throws {
        let cache = folder.file("a/b")
        #expect(PrivateFolder.make(cache) == nil)
        for name in ["a", "a/b"] {
            let mode = try FileManager.default.attributesOfItem(atPath: folder.file(name).path)[.posixPermissions]
            #expect(mode as? Int == 0o700)
        }
        let file = cache.appendingPathComponent("file")
        try AtomicFile.write(Data("x".utf8), to: file)
        #expect(PrivateFolder.contents(file) == Data("x".utf8))
        chmod(file.path, 0o666)
        #expect(PrivateFolder.contents(file) == nil)
        chmod(file.path, 0o600)
        try plant(cache.appendingPathComponent("link"), to: file)
        #expect(PrivateFolder.contents(cache.appendingPathComponent("link")) == nil)
        chmod(cache.path, 0o777)
        #expect(PrivateFolder.make(cache)?.contains("mode 777") == true)
        // Somebody else's, or open to a group that is not the user's own.
        var status = stat()
        #expect(stat(file.path, &status) == 0)
        #expect(PrivateFolder.problem(status, user: status.st_uid, group: status.st_gid) == nil)
        #expect(PrivateFolder.problem(status, user: status.st_uid + 1, group: status.st_gid) != nil)
        status.st_mode = S_IFDIR | 0o775
        #expect(PrivateFolder.problem(status, user: status.st_uid, group: status.st_gid) == nil)
        #expect(PrivateFolder.problem(status, user: status.st_uid, group: status.st_gid + 1) != nil)
    }

    @Test func entriesOfCachesAreVerified() throws {
        let place = folder.file("cache/entry.json")
        func entry() -> [String: Double]? { AlgorithmDatabase.read([String: Double].self, from: place) }
        try AlgorithmDatabase.write(["milliseconds": 12.5], to: place)
        #expect(entry() == ["milliseconds": 12.5])
        let text = try String(contentsOf: place, encoding: .utf8)
        // A digit that a disk has changed.
        try Data(text.replacing("12.5", with: "13.5").utf8).write(to: place)
        #expect(entry() == nil)
        try Data(text.utf8).write(to: place)
        #expect(entry() != nil)
        let cache = place.deletingLastPathComponent().path
        chmod(cache, 0o777)
        #expect(entry() == nil)
        let error = message { try AlgorithmDatabase.write(["milliseconds": 1.0], to: place) }
        #expect(error.contains("others may write to it"))
        chmod(cache, 0o700)
        #expect(entry() == ["milliseconds": 12.5], "nothing was written")
    }
}
