import AdaShareDeviceLayer
import AdaShareSupport
import Foundation

extension ProfileReport {
    /// Writes the trace in the Trace Event Format of Chrome (`chrome://tracing`, Perfetto), whole or not at all.
    ///
    /// One track per queue; one complete event per launch, named by its label, with times in µs from the first one.
    /// Its arguments: the kernel, and where known `macs`, `gflops`, `bytes` and `gigabytes_per_second`.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func writeTrace(to url: URL) throws {
        try AtomicFile.write(chunks: traceChunks(), to: url)
    }

    /// The trace as JSON text, in pieces.
    func traceChunks() -> [Data] {
        let process: JSONValue = [
            "ph": "M", "pid": 0, "name": "process_name", "args": ["name": "adashare"],
        ]
        let tracks = queues.enumerated().map { track, name -> JSONValue in
            [
                "ph": "M", "pid": 0, "tid": .integer(track), "name": "thread_name",
                "args": ["name": .string("queue \(name)")],
            ]
        }
        let header: JSONValue = ["launches_dropped": .integer(dropped)]
        var chunks: [Data] = []
        var text =
            "{\"displayTimeUnit\":\"ms\",\"otherData\":\(header.text),\"traceEvents\":[\n"
            + ([process] + tracks).map(\.text).joined(separator: ",\n")
        let origin = kept.map(\.entry.startNanoseconds).min() ?? 0
        for (track, entry) in kept {
            text += ",\n"
            text += Self.event(entry, track: track, origin: origin).text
            guard text.utf8.count > 1 << 20 else { continue }
            chunks.append(Data(text.utf8))
            text = ""
        }
        chunks.append(Data((text + "\n]}\n").utf8))
        return chunks
    }

    private static func event(_ entry: ProfileEntry, track: Int, origin: UInt64) -> JSONValue {
        var total = Total()
        total.add(entry)
        var arguments: [String: JSONValue] = ["kernel": .string(entry.kernelName)]
        if total.multiplyAccumulates > 0 { arguments["macs"] = .integer(total.multiplyAccumulates) }
        if let rate = total.gigaflops { arguments["gflops"] = .number(rounded(rate)) }
        if total.bytes > 0 { arguments["bytes"] = .integer(total.bytes) }
        if let rate = total.gigabytes { arguments["gigabytes_per_second"] = .number(rounded(rate)) }
        return [
            "ph": "X", "pid": 0, "tid": .integer(track), "name": .string(entry.label),
            "cat": .string(category(entry.label)), "ts": .number(Double(entry.startNanoseconds - origin) / 1000),
            "dur": .number(Double(entry.durationNanoseconds) / 1000), "args": .object(arguments),
        ]
    }

    /// Three decimals: what a viewer shows.
    private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

    /// What a viewer can filter by: the part of the step a label belongs to.
    private static func category(_ label: String) -> String {
        ["backward", "update", "recompute"].first { label.hasPrefix($0 + "/") } ?? "forward"
    }
}
