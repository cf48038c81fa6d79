import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files that appear whole or not at all.
public enum AtomicFile {
    private static let marker = ".partial-"
    /// What a file may be used for, less the user's umask.
    package static let mode: mode_t = 0o666
    /// Smaller pieces are joined up to so many bytes: checkpoints have hundreds of tensors, most of them tiny.
    private static let joined = 1 << 20
    /// Bytes of a file's name that leave room for what a temporary name has more, where names have 255.
    package static let longestName = 255 - 24

    /// Writes `data` under a temporary name in the same folder, flushes it to disk, renames it to `url` and flushes
    /// the folder. Whatever interrupts this, `url` holds either the old contents or the new.
    ///
    /// - Throws: `InputError` if a system call fails; the temporary file is then removed. Where only the folder could
    ///   not be flushed, the new contents are in place and may be lost with the machine's power.
    public static func write(_ data: Data, to url: URL) throws {
        try write(chunks: [data], to: url)
    }

    /// As `write(_:to:)`, for contents in pieces, which are never joined in memory.
    ///
    /// - Throws: also where a link, a device or a pipe is in the place, which a rename would remove.
    public static func write(chunks: [Data], to url: URL) throws {
        try checkPlace(url)
        let temporary = temporary(in: url.deletingLastPathComponent(), for: url.lastPathComponent).path
        let file = uninterrupted { open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode) }
        guard file >= 0 else { throw InputError.unwritable(url, reason: errno) }
        do {
            defer { close(file) }
            var waiting = Data()
            for chunk in chunks {
                if waiting.count + chunk.count > joined {
                    try writeAll(waiting, to: file, path: url.path)
                    waiting.removeAll(keepingCapacity: true)
                }
                if chunk.count > joined {
                    try writeAll(chunk, to: file, path: url.path)
                } else {
                    waiting.append(chunk)
                }
            }
            try writeAll(waiting, to: file, path: url.path)
            try flush(file, of: url.path)
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, url.path) == 0 else {
            let error = InputError.system("rename", url.path, expected: "a file name that can be replaced")
            unlink(temporary)
            throw error
        }
        try flush(folder: url.deletingLastPathComponent().path)
    }

    /// A place for what is to be renamed within a folder.
    static func temporary(in folder: URL, for name: String = "") -> URL {
        let stem = name.isEmpty ? "" : "." + name
        return folder.appendingPathComponent(stem + marker + String(UInt64.random(in: 0 ... .max), radix: 36))
    }

    /// Has what is written to a file reach the disk.
    ///
    /// - Throws: `InputError` if the disk refuses.
    package static func flush(_ file: Int32, of path: String) throws {
        guard uninterrupted({ fsync(file) }) == 0 else {
            throw InputError.system("fsync", path, expected: "a disk with space left")
        }
    }

    /// Has the names in a folder reach the disk, as far as it can be read and its file system does that.
    ///
    /// - Throws: `InputError` if the disk refuses.
    package static func flush(folder: String) throws {
        let directory = uninterrupted { open(folder, O_RDONLY | O_CLOEXEC) }
        guard directory >= 0 else { return }
        defer { close(directory) }
        guard uninterrupted({ fsync(directory) }) != 0, ![EINVAL, ENOTSUP, EBADF, EROFS].contains(errno) else { return }
        throw InputError.system("fsync", folder, expected: "a disk that keeps the names of files")
    }

    /// Refuses what a rename would remove, or cannot replace.
    ///
    /// - Throws: `InputError` naming what is in the place.
    static func checkPlace(_ url: URL) throws {
        try OrdinaryFile.refuseLink(at: url)
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
        guard let kind = exists && isFolder.boolValue ? "a folder" : special(url.path) else { return }
        throw InputError(file: url.path, found: kind, expected: "a file, or a name for a new one")
    }

    /// What a path leads to that is neither a file nor a folder, in words; nil where it is one of them, or nothing.
    package static func special(_ path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        case S_IFCHR, S_IFBLK: "a device"
        default: nil
        }
    }

    /// Makes a folder, and those it lies in, where they are missing, and has their names reach the disk.
    ///
    /// - Throws: `InputError` where that cannot be.
    public static func makeFolder(_ url: URL) throws {
        let parents = parentsOfMissing(url)
        guard (try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)) == nil else {
            for parent in parents { try flush(folder: parent) }
            return
        }
        // What stands in its place, or the outermost one that is missing, says why.
        var place = url.standardizedFileURL
        while place.path != "/", !FileManager.default.fileExists(atPath: place.deletingLastPathComponent().path) {
            place.deleteLastPathComponent()
        }
        let cause: String
        if let file = [place, place.deletingLastPathComponent()].first(where: isFile) {
            cause = "\(file.path) is a file"
        } else {
            // Made meanwhile, where this succeeds.
            if mkdir(place.path, 0o777) == 0 {
                try flush(folder: place.deletingLastPathComponent().path)
                return try makeFolder(url)
            }
            cause = String(cString: strerror(errno))
        }
        throw InputError(
            file: url.path, found: "a folder that cannot be made (\(cause))", expected: "a place that can be written")
    }

    /// Where the names of a folder, and of those it lies in, are to be, as far as they are missing.
    private static func parentsOfMissing(_ url: URL) -> [String] {
        var (place, parents) = (url.standardizedFileURL, [String]())
        while place.path != "/", !FileManager.default.fileExists(atPath: place.path) {
            place.deleteLastPathComponent()
            parents.append(place.path)
        }
        return parents
    }

    private static func isFile(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && !isFolder.boolValue
    }

    /// Whether `name` (without folder) is that of a temporary file, perhaps left behind by a killed process.
    public static func isTemporary(_ name: String) -> Bool {
        name.hasPrefix(".") && name.contains(marker)
    }

    /// Removes the temporary files that killed processes left in `folder`.
    ///
    /// - Parameters:
    ///   - folder: where they lie.
    ///   - seconds: only those that old.
    /// - Precondition: no other process writes there (the run's lock is held), or the age tells what is in use.
    public static func removeLeftovers(in folder: URL, olderThan seconds: Double = 0) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names where isTemporary(name) {
            let path = folder.path + "/" + name
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            let written = attributes?[.modificationDate] as? Date
            if seconds > 0, (written?.timeIntervalSinceNow ?? 0) > -seconds { continue }
            unlink(path)
        }
    }

    /// Writes all bytes, whatever pieces the system takes.
    package static func writeAll(_ data: Data, to file: Int32, path: String) throws {
        try data.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count, let base = bytes.baseAddress {
                let count = uninterrupted { SystemCalls.write(file, base + done, bytes.count - done) }
                guard count > 0 else { throw InputError.system("write", path, expected: "a disk with space left") }
                done += count
            }
        }
    }
}
