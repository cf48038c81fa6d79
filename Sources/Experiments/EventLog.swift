import AdaShareSupport
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The log of a run, `metrics.jsonl`: one JSON object per line, keys sorted, each line handed to the system at once.
///
/// A killed process leaves at most one half-written line, which the next `EventLog` on the file removes. A checkpoint
/// stores `offset`; resuming from it calls `truncate(to:)`, so that the log holds exactly the steps up to it.
/// Not safe for use from several threads.
public final class EventLog {
    /// The file.
    public let url: URL
    /// Bytes in the log, always at the end of a line.
    public private(set) var offset: UInt64
    private var file: Int32

    /// What ends a line.
    static let newline = UInt8(ascii: "\n")

    /// Members that differ between two runs of the same bits: when a line was written, in seconds since 1970-01-01 UTC;
    /// seconds that the run has been worked on; images per second, and the share of their time that steps waited for
    /// images.
    package static let (time, seconds, imagesPerSecond, dataWait) = (
        "time", "seconds", "images_per_second", "data_wait"
    )

    /// A line without these.
    package static func withoutTimes(_ event: JSONValue) -> JSONValue {
        guard case .object(let members) = event else { return event }
        return .object(members.filter { ![time, seconds, imagesPerSecond, dataWait].contains($0.key) })
    }

    /// Opens or creates the log and removes a half-written last line.
    ///
    /// - Throws: `InputError` if the file cannot be opened or written.
    public init(_ url: URL) throws {
        self.url = url
        file = try Self.opened(url)
        offset = 0
        let length = UInt64(max(0, lseek(file, 0, SEEK_END)))
        offset = endOfLastLine(before: length)
        if offset < length { try cut(to: offset) }
    }

    deinit { close(file) }

    private static func opened(_ url: URL) throws -> Int32 {
        // What a link leads to may be no log, and would be cut.
        let file = open(url.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, AtomicFile.mode)
        if file < 0, errno == ELOOP { throw InputError(file: url.path, found: "a link", expected: "a file, or none") }
        guard file >= 0 else { throw InputError.system("open", url.path, expected: "a file that can be written") }
        return file
    }

    /// Puts other whole lines in the place of all there are, at once.
    ///
    /// - Throws: `InputError` if they cannot be written; the log is then what it was.
    func replace(with lines: Data) throws {
        try AtomicFile.write(lines, to: url)
        let other = try Self.opened(url)
        close(file)
        (file, offset) = (other, UInt64(lines.count))
    }

    /// Appends one line.
    ///
    /// - Precondition: `event` is an object.
    /// - Throws: `InputError` if the line cannot be written.
    public func append(_ event: JSONValue) throws {
        guard case .object = event else { preconditionFailure("an event is a JSON object") }
        let line = Data((event.text + "\n").utf8)
        do {
            try AtomicFile.writeAll(line, to: file, path: url.path)
        } catch {
            ftruncate(file, off_t(offset))
            throw error
        }
        offset += UInt64(line.count)
    }

    /// Flushes the log to disk; to be called before a checkpoint stores `offset`.
    ///
    /// - Throws: `InputError` if the disk refuses.
    public func synchronize() throws {
        guard fsync(file) == 0 else { throw InputError.system("fsync", url.path, expected: "a disk with space left") }
    }

    /// Cuts the log back to an `offset` that a checkpoint stored.
    ///
    /// - Throws: `InputError` if the log is shorter than that or no line ends there: it is then not the log of the
    ///   checkpoint's run.
    public func truncate(to checkpoint: UInt64) throws {
        guard checkpoint <= offset else {
            throw InputError(
                file: url.path, found: "\(offset) bytes of whole lines",
                expected: "at least the \(checkpoint) bytes that the checkpoint has seen")
        }
        guard endOfLastLine(before: checkpoint) == checkpoint else {
            throw InputError(
                file: url.path, found: "no end of a line at byte \(checkpoint)",
                expected: "the log that the checkpoint belongs to")
        }
        try cut(to: checkpoint)
    }

    /// The events in the whole lines after an `offset` that a checkpoint stored; lines that are no JSON are left out.
    package func events(after checkpoint: UInt64) throws -> [JSONValue] {
        guard let data = try? Data(contentsOf: url), checkpoint < offset, Int(offset) <= data.count else { return [] }
        return data[Int(checkpoint)..<Int(offset)].split(separator: Self.newline).compactMap {
            try? JSONValue.parse(Data($0))
        }
    }

    /// All whole lines of a log; a half-written last line is left out.
    ///
    /// - Throws: `InputError` if the file cannot be read or a whole line is not a JSON object.
    public static func read(_ url: URL) throws -> [JSONValue] {
        guard let data = try? Data(contentsOf: url) else { throw unreadable(url) }
        let lines = data.split(separator: newline, omittingEmptySubsequences: false).dropLast()
        return try lines.enumerated().map { index, line in
            guard let value = try? JSONValue.parse(Data(line)), case .object = value else {
                throw damaged(url, line: index + 1)
            }
            return value
        }
    }

    private func cut(to length: UInt64) throws {
        guard ftruncate(file, off_t(length)) == 0 else {
            throw InputError.system("ftruncate", url.path, expected: "a file that can be written")
        }
        offset = length
    }

    /// Where the last line that ends at or before `length` ends.
    private func endOfLastLine(before length: UInt64) -> UInt64 {
        var block = [UInt8](repeating: 0, count: 1 << 16)
        var end = length
        while end > 0 {
            let count = Int(min(end, UInt64(block.count)))
            let start = end - UInt64(count)
            guard pread(file, &block, count, off_t(start)) == count else { return end }
            if let last = block[..<count].lastIndex(of: Self.newline) { return start + UInt64(last) + 1 }
            end = start
        }
        return end
    }
}
