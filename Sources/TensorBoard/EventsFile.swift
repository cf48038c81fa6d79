import AdaShareSupport
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file of events that TensorBoard reads while it grows: records, each a length, its checksum, bytes and theirs.
///
/// A file is never taken up again. A record that a killed process has left half-written is the last of its file, which
/// readers pass over once there is a later one.
final class EventsFile {
    /// What the names of such files begin with.
    static let prefix = "events.out.tfevents."
    /// Names of later ones are nobody's clock's.
    private static let lastSecond = 1 << 40

    let url: URL
    private let file: Int32
    /// Bytes in the file, always at the end of a record.
    private var length: off_t = 0

    /// Makes a file in a folder, whose name sorts behind those of all others there: that is the order of reading.
    ///
    /// - Throws: `InputError` if there can be none.
    init(in folder: URL, at time: Double) throws {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let taken = names.filter { $0.hasPrefix(Self.prefix) }.compactMap {
            Int($0.dropFirst(Self.prefix.count).prefix { $0 != "." })
        }.filter { $0 < Self.lastSecond }
        let seconds = max(Int(time), (taken.max() ?? 0) + 1)
        url = folder.appendingPathComponent("\(Self.prefix)\(seconds).adashare")
        let path = url.path
        file = uninterrupted {
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_CLOEXEC, AtomicFile.mode)
        }
        guard file >= 0 else { throw InputError.unwritable(url, reason: errno) }
        try AtomicFile.flush(folder: folder.path)
    }

    deinit {
        if file >= 0 { close(file) }
    }

    /// Whether it has been removed, or given another name, so that nobody would read what is appended.
    var isGone: Bool {
        var (mine, there) = (stat(), stat())
        guard fstat(file, &mine) == 0, stat(url.path, &there) == 0 else { return true }
        return mine.st_ino != there.st_ino || mine.st_dev != there.st_dev
    }

    /// Appends a record, whole or not at all.
    ///
    /// - Throws: `InputError` if it cannot be written.
    func append(_ event: TBEvent) throws {
        let bytes: Data
        do {
            bytes = try event.serializedData()
        } catch {
            preconditionFailure("messages of plain values can be encoded: \(error)")
        }
        let record = Self.record(bytes)
        do {
            try AtomicFile.writeAll(record, to: file, path: url.path)
        } catch {
            _ = uninterrupted { ftruncate(file, length) }
            throw error
        }
        length += off_t(record.count)
    }

    /// Flushes the file to disk.
    ///
    /// - Throws: `InputError` if the disk refuses.
    func synchronize() throws { try AtomicFile.flush(file, of: url.path) }

    /// Some bytes as a record.
    static func record(_ bytes: Data) -> Data {
        var record = Data(capacity: bytes.count + 16)
        func append<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.littleEndian) { record.append(contentsOf: $0) }
        }
        append(UInt64(bytes.count))
        append(record.withUnsafeBytes(CRC32C.masked))
        record.append(bytes)
        append(bytes.withUnsafeBytes(CRC32C.masked))
        return record
    }
}
