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

    /// Writes `data` under a temporary name in the same folder, flushes it to disk, renames it to `url` and flushes
    /// the folder. Whatever interrupts this, `url` holds either the old contents or the new.
    ///
    /// - Throws: `InputError` if a system call fails; the temporary file is then removed.
    public static func write(_ data: Data, to url: URL) throws {
        try write(chunks: [data], to: url)
    }

    /// As `write(_:to:)`, for contents in pieces, which are never joined in memory.
    public static func write(chunks: [Data], to url: URL) throws {
        let folder = url.deletingLastPathComponent().path
        let temporary =
            folder + "/." + url.lastPathComponent + marker + String(UInt64.random(in: 0 ... .max), radix: 36)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else { throw InputError.system("open", url.path, expected: "a folder that can be written") }
        do {
            defer { close(file) }
            for chunk in chunks { try writeAll(chunk, to: file, path: url.path) }
            guard fsync(file) == 0 else {
                throw InputError.system("fsync", url.path, expected: "a disk with space left")
            }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, url.path) == 0 else {
            let error = InputError.system("rename", url.path, expected: "a file name that can be replaced")
            unlink(temporary)
            throw error
        }
        let directory = open(folder, O_RDONLY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }

    /// Makes a folder, and those it lies in, where they are missing.
    ///
    /// - Throws: `InputError` where that cannot be.
    public static func makeFolder(_ url: URL) throws {
        guard (try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)) == nil else {
            return
        }
        // The outermost one that is missing, or what stands in its place, says why.
        var (place, isFolder): (URL, ObjCBool) = (url.standardizedFileURL, false)
        while !FileManager.default.fileExists(atPath: place.deletingLastPathComponent().path), place.path != "/" {
            place.deleteLastPathComponent()
        }
        let parent = place.deletingLastPathComponent().path
        if FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder), !isFolder.boolValue {
            throw InputError(file: place.path, found: "a file", expected: "a folder, or a place for one")
        }
        if FileManager.default.fileExists(atPath: parent, isDirectory: &isFolder), !isFolder.boolValue {
            throw InputError(file: parent, found: "a file", expected: "a folder, to make \(url.path) in")
        }
        // Made meanwhile, where this succeeds.
        guard mkdir(place.path, 0o777) == 0 else {
            throw InputError.system("mkdir", place.path, expected: "a place that can be written")
        }
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
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
                #if canImport(Glibc)
                    let count = Glibc.write(file, base + done, bytes.count - done)
                #else
                    let count = Darwin.write(file, base + done, bytes.count - done)
                #endif
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw InputError.system("write", path, expected: "a disk with space left") }
                done += count
            }
        }
    }
}
