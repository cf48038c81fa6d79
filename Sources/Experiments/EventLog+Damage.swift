import AdaShareSupport
import Foundation

/// Logs that a disk or a hand has damaged: a run goes on with what is left.
extension EventLog {
    /// Lines that were no JSON objects, and are in the log no more.
    package struct Damage: Sendable {
        /// What a person should know of them, one line.
        package let text: String
        /// Where they were.
        private let places: [Range<UInt64>]

        fileprivate init(_ lines: [(number: Int, place: Range<Int>)], of log: URL, in file: URL) {
            let (first, name) = ("line \(lines[0].number)", file.lastPathComponent)
            text =
                lines.count == 1
                ? "\(first) of \(log.path) was no JSON object: it is in \(name) beside it now"
                : "\(lines.count) lines of \(log.path) were no JSON objects, the first \(first): they are in \(name) "
                    + "beside it now"
            places = lines.map { UInt64($0.place.lowerBound)..<UInt64($0.place.upperBound) }
        }

        /// Where a place in the log of before is now.
        package func offset(of before: UInt64) -> UInt64 {
            places.reduce(before) { now, place in
                now - (min(place.upperBound, max(place.lowerBound, before)) - place.lowerBound)
            }
        }
    }

    /// Moves whole lines that are no JSON objects to the end of a file beside the log, so that no byte is lost and the
    /// log can be read again.
    ///
    /// - Returns: nil where there are none.
    /// - Throws: `InputError` if a file cannot be read or written; the log is then what it was.
    package func setDamagedAside() throws -> Damage? {
        let lines = try Lines(url)
        let damaged = lines.damaged()
        guard !damaged.isEmpty else { return nil }
        var (kept, moved, end) = (Data(), Data(), 0)
        for (_, place) in damaged {
            kept += lines.data[end..<place.lowerBound]
            moved += lines.data[place]
            end = place.upperBound
        }
        kept += lines.data[end...]
        let file = RunDirectory.Entry.damaged.url(in: url.deletingLastPathComponent())
        let known = try Lines(file).data
        // A process that was killed between the two files has moved them already.
        if known.suffix(moved.count) != moved { try AtomicFile.write(chunks: [known, moved], to: file) }
        try replace(with: kept)
        return Damage(damaged, of: url, in: file)
    }

    /// What a log still holds of what a checkpoint has seen.
    package struct Remains {
        /// Bytes of the lines to go on from.
        package let offset: UInt64
        /// What a person should know of what is lost; nil where nothing is.
        package let loss: String?
    }

    /// What the log holds of the steps before a checkpoint, also where a disk or a hand has left less of it than the
    /// checkpoint has seen.
    ///
    /// - Parameters:
    ///   - checkpoint: the `offset` that it stored, less what was set aside of what lies before it.
    ///   - step: of all phases, that it was written after.
    ///   - isKnown: whether it is said already that the log was damaged.
    package func remains(of checkpoint: UInt64, after step: Int, isKnown: Bool = false) -> Remains {
        let data = (try? Data(contentsOf: url)) ?? Data()
        let newline = Self.newline
        func place(_ event: JSONValue?) -> Int? { event?["global_step"]?.double.flatMap(Int.init(exactly:)) }
        if checkpoint == 0 { return Remains(offset: 0, loss: nil) }
        if checkpoint <= data.count, data[Int(checkpoint) - 1] == newline {
            let before = data[..<(Int(checkpoint) - 1)]
            let line = before[(before.lastIndex(of: newline).map { $0 + 1 } ?? 0)...]
            if place(try? JSONValue.parse(Data(line))) ?? 0 <= step { return Remains(offset: checkpoint, loss: nil) }
        }
        var (end, last, isAnew) = (UInt64(0), nil as Int?, true)
        for line in data.split(separator: newline, omittingEmptySubsequences: false).dropLast() {
            let event = try? JSONValue.parse(Data(line))
            // Steps from there on are taken again.
            if let place = place(event), place > step { break }
            if end == 0 { isAnew = event?["event"] == "resume" }
            end += UInt64(line.count) + 1
            last = place(event) ?? last
        }
        guard !isAnew else {
            return Remains(offset: end, loss: "\(url.path) is gone: it begins anew, without the steps before")
        }
        // Nothing of later steps is missing.
        if last == step {
            return Remains(offset: end, loss: isKnown ? nil : "\(url.path) was changed: it goes on after step \(step)")
        }
        let kept = last.map { "goes on after step \($0)" } ?? "goes on after what is left of it"
        return Remains(
            offset: end,
            loss: "\(url.path) was cut or changed: it \(kept), and what it said of later ones up to \(step) is lost")
    }
}

extension RunDirectory {
    /// Moves damaged lines of the run's log aside, as `EventLog.setDamagedAside`.
    ///
    /// - Returns: what a person should know of them; nil where there are none.
    /// - Throws: `InputError` if a file cannot be read or written.
    package func mendLog() throws -> String? {
        guard FileManager.default.fileExists(atPath: log.path) else { return nil }
        return try EventLog(log).setDamagedAside()?.text
    }
}
