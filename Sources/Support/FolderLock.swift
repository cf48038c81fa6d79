import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Keeps a folder to one working process.
///
/// `flock` on a file in the folder, which holds the number of the process: the system releases it however the process
/// ends, so a leftover file is harmless.
package final class FolderLock: Sendable {
    private let file: Int32
    /// Whether the file system has no locks, as network folders without a lock service: then nothing is kept from it.
    package let hasNone: Bool

    /// Takes the lock, until the object is let go.
    ///
    /// - Parameters:
    ///   - folder: what is worked on; it exists.
    ///   - name: of the file in it.
    ///   - what: the folder holds, a run for example.
    /// - Throws: `InputError` if another process holds it, or the file cannot be made.
    package init(_ folder: URL, name: String, of what: String) throws {
        let path = folder.appendingPathComponent(name).path
        // What a link leads to is nobody's to write here.
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, AtomicFile.mode)
        if file < 0, errno == ELOOP { throw InputError(file: path, found: "a link", expected: "a file, or none") }
        guard file >= 0 else { throw InputError.system("open", path, expected: "a folder that can be written") }
        var code = flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno
        // Somebody may just be looking whether it is held.
        if code == EWOULDBLOCK {
            usleep(50_000)
            code = flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno
        }
        hasNone = code != 0
        if code == EWOULDBLOCK {
            let process = (try? String(contentsOfFile: path, encoding: .utf8))?
                .trimmingCharacters(in: .whitespacesAndNewlines)
            throw InputError(
                file: folder.path,
                found: "another process on this \(what)"
                    + (process.map { $0.isEmpty ? "" : " (process \($0))" } ?? ""),
                expected: "one process per \(what): wait for it or end it")
        }
        ftruncate(file, 0)
        try? AtomicFile.writeAll(Data("\(getpid())\n".utf8), to: file, path: path)
    }

    /// Whether a process works on a folder now; false where there is no lock file, or the file system has no locks.
    ///
    /// - Parameters:
    ///   - folder: that is asked about.
    ///   - name: of the lock file in it.
    package static func isHeld(_ folder: URL, name: String) -> Bool {
        let file = open(folder.appendingPathComponent(name).path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    // Also where the lock was refused.
    deinit {
        if file >= 0 { close(file) }
    }
}
