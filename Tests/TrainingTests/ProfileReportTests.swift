import AdaShareDeviceLayer
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareProfiling
@testable import AdaShareTraining

@Suite struct ProfileReportTests {
    private func entry(
        _ label: String, _ kernel: String, start: UInt64, end: UInt64, macs: Int = 0, bytes: Int = 0
    ) -> ProfileEntry {
        ProfileEntry(
            label: label, kernelName: kernel, queuedNanoseconds: start, startNanoseconds: start, endNanoseconds: end,
            multiplyAccumulates: macs, byteCount: bytes)
    }

    private func events(_ report: ProfileReport) throws -> [JSONValue] {
        let trace = try JSONValue.parse(report.traceChunks().reduce(Data(), +))
        guard case .array(let events) = trace["traceEvents"] else { return [] }
        return events
    }

    @Test func totalsGiveRates() {
        var report = ProfileReport()
        report.add(
            [
                entry("layer1.conv1 @a", "gather", start: 1000, end: 3000, macs: 4000, bytes: 1000),
                entry("layer1.conv2 @b", "gather", start: 3000, end: 5000, macs: 12000, bytes: 3000),
                entry("relu", "relu", start: 5000, end: 6000, bytes: 500),
            ], queue: "compute")
        let gather = report.kernels["gather"]
        #expect(gather?.launches == 2)
        #expect(gather?.nanoseconds == 4000)
        #expect(gather?.gigaflops == 8)
        #expect(gather?.gigabytes == 1)
        #expect(report.kernels["relu"]?.gigaflops == nil)
        #expect(report.total.nanoseconds == 5000)
        #expect(report.sites.count == 3)
    }

    @Test func theTraceHasOneTrackPerQueueAndStartsAtZero() throws {
        var report = ProfileReport()
        report.add(
            [entry("backward/conv \"x\" @a+b", "gather", start: 5_000_500, end: 5_002_000, macs: 3, bytes: 64)],
            queue: "compute")
        report.add([entry("copy", "copy", start: 5_000_000, end: 5_001_000)], queue: "transfer")
        let events = try events(report)
        let names = events.compactMap { $0["name"]?.string }
        #expect(names == ["process_name", "thread_name", "thread_name", "backward/conv \"x\" @a+b", "copy"])
        let first = events[3]
        #expect(first["ph"]?.string == "X")
        #expect(first["ts"]?.double == 0.5)
        #expect(first["dur"]?.double == 1.5)
        #expect(first["tid"]?.double == 0)
        #expect(first["cat"]?.string == "backward")
        #expect(first["args"]?["kernel"]?.string == "gather")
        #expect(first["args"]?["macs"]?.double == 3)
        #expect(first["args"]?["bytes"]?.double == 64)
        #expect(events[4]["tid"]?.double == 1)
        #expect(events[4]["ts"]?.double == 0)
        #expect(events[4]["args"]?["macs"] == nil)
    }

    @Test func launchesBeyondTheLimitAreCountedButNotKept() throws {
        var report = ProfileReport(limit: 2)
        for start in UInt64(0)..<5 { report.add([entry("a", "k", start: start, end: start + 1)], queue: "compute") }
        #expect(report.dropped == 3)
        #expect(report.kernels["k"]?.launches == 5)
        #expect(try events(report).count == 4)
    }

    @Test func anEmptyProfileIsAValidTrace() throws {
        #expect(try events(ProfileReport()).count == 1)
        #expect(ProfileReport().text().contains("all"))
    }

    @Test func tablesSortByTimeAndSumUp() {
        var report = ProfileReport()
        report.add(
            [
                entry("short", "copy", start: 0, end: 1_000_000, bytes: 1_000_000),
                entry("long @all", "gather", start: 1_000_000, end: 4_000_000, macs: 3_000_000, bytes: 6_000_000),
                entry("middle", "sum", start: 4_000_000, end: 6_000_000),
            ], queue: "compute")
        let lines = report.text(top: 2).split(separator: "\n").map(String.init)
        #expect(lines[2].hasPrefix("gather"))
        #expect(
            lines[2].split(separator: " ").map(String.init) == ["gather", "1", "3.000", "50.00", "%", "2.000", "2.000"])
        #expect(lines[3].hasPrefix("sum"))
        #expect(lines[4].hasPrefix("all 3"))
        #expect(lines[7].hasPrefix("long @all gather"))
    }

    @Test func theFileAppearsWhole() throws {
        let folder = try TemporaryFolder()
        var report = ProfileReport()
        report.add([entry("a", "k", start: 10, end: 20)], queue: "compute")
        let url = folder.file("trace.json")
        try report.writeTrace(to: url)
        #expect(try JSONValue.parse(Data(contentsOf: url))["displayTimeUnit"]?.string == "ms")
        #expect(folder.names == ["trace.json"])
        #expect(throws: InputError.self) {
            try report.writeTrace(to: folder.file("missing/trace.json"))
        }
    }
}
