import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTensorBoard
@testable import AdaShareTraining

@Suite struct TensorBoardTests {
    /// A record's bytes, where both checksums are right.
    private func records(_ file: URL) throws -> [TBEvent] {
        let bytes = [UInt8](try Data(contentsOf: file))
        func number(_ at: Int, _ count: Int) -> UInt64 {
            bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        func isRight(_ part: ArraySlice<UInt8>) -> Bool {
            // Masked as the format says: turned right by 15 bits, plus a constant.
            let sum = bitwise(Array(part))
            return (sum >> 15 | sum << 17) &+ 0xa282_ead8 == number(part.endIndex, 4)
        }
        var (events, at): ([TBEvent], Int) = ([], 0)
        while at < bytes.count {
            let length = Int(number(at, 8))
            let data = bytes[at + 12..<at + 12 + length]
            #expect(isRight(bytes[at..<at + 8]) && isRight(data))
            events.append(try TBEvent(serializedBytes: Array(data)))
            at += length + 16
        }
        return events
    }

    /// The remainder bit by bit.
    private func bitwise(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in
            (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0x82f6_3b78 : sum >> 1 }
        }
    }

    private func log(_ folder: TemporaryFolder, nextStep: Int = 1, time: Double = 1_700_000_000) throws
        -> TensorBoardLog
    {
        try TensorBoardLog(folder.url, nextStep: nextStep, time: time)
    }

    /// The check value of the polynomial, and RFC 3720's vectors; every length and place against single bits.
    @Test func checksumsAreThoseOfCastagnoli() {
        func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes(CRC32C.checksum) }
        #expect(checksum(Array("123456789".utf8)) == 0xe306_9283)
        #expect(checksum([]) == 0)
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(checksum([UInt8](repeating: 255, count: 32)) == 0x62a8_ab43)
        #expect(checksum(Array(0..<32)) == 0x46dd_794e)
        #expect(checksum((0..<32).reversed()) == 0x113f_db5c)
        let bytes = (0..<100).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
        for (first, count) in [(0, 7), (1, 8), (3, 9), (5, 16), (2, 63), (7, 93)] {
            let part = bytes.withUnsafeBytes {
                CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[first..<first + count]))
            }
            #expect(part == bitwise(Array(bytes[first..<first + count])))
        }
        #expect(checksum(Array("123456788".utf8)) != 0xe306_9283)
    }

    @Test func recordsHoldWhatIsWritten() throws {
        let folder = try TemporaryFolder()
        let board = try log(folder)
        try board.write([("loss/a", 1.5), ("loss/b", .nan)], step: 7, time: 1_700_000_001)
        try board.write([], step: 8, time: 0)
        let picture = Image(width: 2, height: 1, channels: 3, pixels: [1, 2, 3, 4, 5, 6])
        try board.write(picture, tag: "p", description: "d", step: 9, time: 0)
        try board.write(text: "*t*", tag: "words", step: 0, time: 0)
        try board.write(hyperparameters: ["a": 1, "b": "x", "c": true, "d": .null], time: 5)
        try board.writeSuccess(time: 6)
        #expect(folder.names == ["events.out.tfevents.1700000000.adashare"])
        let events = try records(folder.file(folder.names[0]))
        #expect(events.count == 7 && events[0].fileVersion == "brain.Event:2")
        #expect(events[1].sessionLog.status == .start && events[1].step == 1)
        let scalars = events[2].summary.value
        #expect(events[2].step == 7 && events[2].wallTime == 1_700_000_001)
        #expect(scalars.map(\.tag) == ["loss/a", "loss/b"] && scalars[0].simpleValue == 1.5)
        #expect(scalars[1].simpleValue.isNaN)
        let image = events[3].summary.value[0]
        #expect(image.tensor.stringVal.prefix(2) == [Data("2".utf8), Data("1".utf8)])
        #expect(image.metadata.pluginData.pluginName == "images" && image.metadata.summaryDescription == "d")
        try image.tensor.stringVal[2].write(to: folder.file("p.png"))
        #expect(try Image.read(folder.file("p.png"), channels: 3) == picture)
        #expect(events[4].summary.value[0].tensor.stringVal == [Data("*t*".utf8)])
        let start = try TBHParamsPluginData(
            serializedBytes: events[5].summary.value[0].metadata.pluginData.content
        ).sessionStartInfo
        #expect(start.hparams.keys.sorted() == ["a", "b", "c"] && start.hparams["a"]?.numberValue == 1)
    }

    /// Files are read in the order of their names, and a later one hides what is done again.
    @Test func whoGoesOnBeginsALaterFile() throws {
        let folder = try TemporaryFolder()
        for (next, time) in [(1, 1_700_000_000.0), (5, 1_700_000_000), (9, 1_600_000_000)] {
            try log(folder, nextStep: next, time: time).write([("a", 1)], step: next, time: time)
        }
        #expect(folder.names == (0..<3).map { "events.out.tfevents.170000000\($0).adashare" })
        let all = try folder.names.map { try records(folder.file($0)) }
        #expect(all.map(\.count) == [3, 3, 3])
        #expect(all[1][1].sessionLog.status == .start && all[1][1].step == 5 && all[2][1].step == 9)
        #expect(all.allSatisfy { $0[0].fileVersion == "brain.Event:2" })
    }

    /// Whoever clears a folder while a run goes on loses what was shown, not what follows.
    @Test func aRemovedFileIsMadeAgain() throws {
        let folder = try TemporaryFolder()
        let run = try RunDirectory(folder.file("run"), mode: .create)
        let configuration = try ExperimentConfiguration.parse(
            yaml: ConfigurationTests.three, file: "c.yml", overrides: [])
        let board = RunBoard(run, try Experiment(configuration), nextStep: 1, of: 9)
        func boards() throws -> [URL] {
            try FileManager.default.contentsOfDirectory(atPath: run.url.path).filter(TensorBoardLog.isName).sorted()
                .map { run.url.appendingPathComponent($0) }
        }
        func add(_ step: Int) throws {
            try board.add(
                ["event": "step", "global_step": .integer(step), "time": 1_700_000_000, "loss": ["depth": 0.5]])
        }
        for step in 1...2 { try add(step) }
        #expect(try boards().count == 1)
        try FileManager.default.removeItem(at: try boards()[0])
        for step in 3...4 { try add(step) }
        try board.succeed()
        let events = try records(try #require(try boards().first))
        #expect(events[0].fileVersion == "brain.Event:2" && events[1].sessionLog.status == .start)
        #expect(events[1].step == 3 && events.map(\.step) == [0, 3, 2, 0, 3, 4, 0])
        let moved = folder.file("moved")
        try FileManager.default.moveItem(at: try boards()[0], to: moved)
        try add(5)
        #expect(try records(moved).count == 7 && boards().count == 1)
    }

    @Test func eventsOfTheLogBecomeTags() throws {
        let event = try JSONValue.parse(
            Data(
                #"""
                {"event": "step", "phase": "policy", "iteration": 4, "global_step": 9, "time": 12.5, "temperature": 5,
                 "step": "weights", "loss": {"depth": 0.5, "total": 1}, "objective": {"learned": {"s": [1, [2]]}},
                 "probabilities": {"depth": [0.5, 1]}, "isOn": true, "none": null}
                """#.utf8))
        let scalars = EventScalars.of(event, without: ["probabilities"])
        #expect(
            scalars.map { "\($0.tag) \($0.value)" } == [
                "loss/depth 0.5", "loss/total 1.0", "objective/learned/s/0 1.0", "objective/learned/s/1/0 2.0",
                "step/temperature 5.0",
            ])
    }

    @Test func whatCannotBeWrittenIsAnErrorAndLeavesWholeRecords() throws {
        #expect(throws: InputError.self) { try TensorBoardLog(URL(fileURLWithPath: "/proc"), nextStep: 1, time: 1) }
        let folder = try TemporaryFolder()
        let board = try log(folder)
        let file = folder.file(folder.names[0])
        let values = (0..<100).map { (tag: "value/\($0)", value: Double($0)) }
        try board.write(values, step: 1, time: 0)
        let size = try Data(contentsOf: file).count
        // As on a full disk: the file may not grow by as much.
        signal(SIGXFSZ, SIG_IGN)
        let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        var limit = rlimit()
        getrlimit(resource, &limit)
        let soft = limit.rlim_cur
        limit.rlim_cur = rlim_t(size + 100)
        setrlimit(resource, &limit)
        let error = #expect(throws: InputError.self) { try board.write(values, step: 2, time: 0) }
        limit.rlim_cur = soft
        setrlimit(resource, &limit)
        #expect("\(try #require(error))".contains(file.path))
        #expect(try Data(contentsOf: file).count == size)
        try board.write(values, step: 3, time: 0)
        #expect(try records(file).map(\.step) == [0, 1, 1, 3])
    }
}
