import AdaShareSupport
import Foundation

extension EventLog {
    /// The whole lines of a log as they lie in its file, for who looks for few of them: logs of long runs are large.
    package struct Lines {
        private let url: URL
        let data: Data

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
            if let line = damaged(most: 1).first { throw EventLog.damaged(url, line: line.number) }
        }

        /// The lines that are no JSON objects: by number, from 1, and where they lie, with what ends them.
        ///
        /// - Parameter most: of them; the others are not looked for.
        func damaged(most: Int = .max) -> [(number: Int, place: Range<Int>)] {
            data.withUnsafeBytes { bytes in
                var found: [(number: Int, place: Range<Int>)] = []
                guard let base = bytes.baseAddress else { return found }
                var (start, number) = (0, 1)
                while start < bytes.count, found.count < most,
                    let hit = memchr(base + start, Int32(EventLog.newline), bytes.count - start)
                {
                    let end = base.distance(to: UnsafeRawPointer(hit))
                    if !JSONSyntax.isObject(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) {
                        found.append((number, start..<end + 1))
                    }
                    (start, number) = (end + 1, number + 1)
                }
                return found
            }
        }

        /// Where the last line says that the run stands; nil without one.
        ///
        /// - Throws: `InputError` if it does not say that.
        package func last() throws -> (phase: String, iteration: Int)? {
            guard let end = data.lastIndex(of: EventLog.newline) else { return nil }
            let start = data[..<end].lastIndex(of: EventLog.newline).map { $0 + 1 } ?? data.startIndex
            guard let event = try? JSONValue.parse(Data(data[start..<end])), let phase = event["phase"]?.string,
                let iteration = event["iteration"]?.double.flatMap(Int.init(exactly:))
            else {
                throw InputError(
                    file: url.path, place: "last line", found: "no event of a run",
                    expected: "a JSON object with its phase")
            }
            return (phase, iteration)
        }

        /// The same; nil also where it does not say that.
        package var lastPlace: (phase: String, iteration: Int)? { try? last() }

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
                    let start = bytes[..<place].lastIndex(of: EventLog.newline).map { $0 + 1 } ?? 0
                    guard let end = bytes[place...].firstIndex(of: EventLog.newline) else { return nil }
                    if let event = try? JSONValue.parse(Data(bytes[start..<end])), let result = body(event) {
                        return result
                    }
                    position = end + 1
                }
                return nil
            }
        }
    }

    static func unreadable(_ url: URL) -> InputError {
        InputError(file: url.path, found: "no readable file", expected: "a log of JSON lines")
    }

    static func damaged(_ url: URL, line: Int) -> InputError {
        InputError(
            file: url.path, place: "line \(line)", found: "no JSON object",
            expected: "a JSON object; `adashare train --resume` moves such lines aside")
    }
}
