import AdaShareSupport
import Foundation

extension EventLog {
    /// The whole lines of a log as they lie in its file, for who looks for few of them: logs of long runs are large.
    package struct Lines {
        private let url: URL
        private let data: Data
        private static let newline = UInt8(ascii: "\n")

        /// Reads a log; one that is not there has no lines.
        ///
        /// - Throws: `InputError` if it cannot be read.
        package init(_ url: URL) throws {
            self.url = url
            guard FileManager.default.fileExists(atPath: url.path) else {
                data = Data()
                return
            }
            // Not mapped: a run that goes on cuts its log.
            guard let data = try? Data(contentsOf: url) else { throw EventLog.unreadable(url) }
            self.data = data
        }

        /// - Throws: `InputError` naming the first line that is no JSON object, as `EventLog.read` does.
        package func check() throws {
            try data.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                var (start, number) = (0, 1)
                while start < bytes.count, let hit = memchr(base + start, Int32(Self.newline), bytes.count - start) {
                    let end = base.distance(to: UnsafeRawPointer(hit))
                    guard JSONSyntax.isObject(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) else {
                        throw EventLog.damaged(url, line: number)
                    }
                    (start, number) = (end + 1, number + 1)
                }
            }
        }

        /// Where the last line says that the run stands; nil without one.
        ///
        /// - Throws: `InputError` if it does not say that.
        package func last() throws -> (phase: String, iteration: Int)? {
            guard let end = data.lastIndex(of: Self.newline) else { return nil }
            let start = data[..<end].lastIndex(of: Self.newline).map { $0 + 1 } ?? data.startIndex
            guard let event = try? JSONValue.parse(Data(data[start..<end])), let phase = event["phase"]?.string,
                let iteration = event["iteration"]?.double.flatMap(Int.init(exactly:))
            else {
                throw InputError(
                    file: url.path, place: "last line", found: "no event of a run",
                    expected: "a JSON object with its phase")
            }
            return (phase, iteration)
        }

        /// Whether there is an event of a kind.
        package func hold(event kind: String) -> Bool {
            first(among: "\"\(kind)\"") { $0["event"]?.string == kind ? true : nil } ?? false
        }

        /// The events of a kind, in order.
        package func events(_ kind: String) -> [JSONValue] {
            var found: [JSONValue] = []
            _ = first(among: "\"\(kind)\"") { event -> Bool? in
                if event["event"]?.string == kind { found.append(event) }
                return nil
            }
            return found
        }

        /// What the first line that holds a word gives; lines that are no JSON are passed over.
        private func first<Result>(among word: String, _ body: (JSONValue) -> Result?) -> Result? {
            let word = Array(word.utf8)
            // Few letters are as rare as this one, and the system finds one fast.
            let rare = word.firstIndex(of: UInt8(ascii: "v")) ?? 0
            return data.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return nil }
                var position = 0
                while position < bytes.count,
                    let hit = memchr(base + position, Int32(word[rare]), bytes.count - position)
                {
                    let place = base.distance(to: UnsafeRawPointer(hit)) - rare
                    position = place + rare + 1
                    guard place >= 0, place + word.count <= bytes.count,
                        memcmp(base + place, word, word.count) == 0
                    else { continue }
                    let start = bytes[..<place].lastIndex(of: Self.newline).map { $0 + 1 } ?? 0
                    guard let end = bytes[place...].firstIndex(of: Self.newline) else { return nil }
                    if let event = try? JSONValue.parse(Data(bytes[start..<end])), let result = body(event) {
                        return result
                    }
                    position = end + 1
                }
                return nil
            }
        }
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
    ///   - checkpoint: the `offset` that it stored.
    ///   - step: of all phases, that it was written after.
    package func remains(of checkpoint: UInt64, after step: Int) -> Remains {
        let data = (try? Data(contentsOf: url)) ?? Data()
        let newline = UInt8(ascii: "\n")
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
        // Without a damaged line, say: nothing of later steps is missing.
        if last == step { return Remains(offset: end, loss: "\(url.path) was changed: it goes on after step \(step)") }
        let kept = last.map { "goes on after step \($0)" } ?? "goes on after what is left of it"
        return Remains(
            offset: end,
            loss: "\(url.path) was cut or changed: it \(kept), and what it said of later ones up to \(step) is lost")
    }

    static func unreadable(_ url: URL) -> InputError {
        InputError(file: url.path, found: "no readable file", expected: "a log of JSON lines")
    }

    static func damaged(_ url: URL, line: Int) -> InputError {
        InputError(
            file: url.path, place: "line \(line)", found: "no JSON object",
            expected: "a JSON object; without the line the others are read")
    }
}
