import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Places that are written to: nothing goes through a link, which whoever has filled a folder may have put there and
/// which may lead to any file of the user's.
package enum OrdinaryFile {
    /// Refuses a link in a place; what else is there, or nothing, is left to who writes.
    ///
    /// - Parameters:
    ///   - url: the place; links among the folders above are the user's.
    ///   - expected: what belongs there.
    /// - Throws: `InputError` naming where the link leads.
    package static func refuseLink(at url: URL, expected: String = "a file, or a name for a new one") throws {
        guard let target = target(ofLink: url.path) else { return }
        throw InputError(
            file: url.path, found: "a link to \(target)", expected: "\(expected): nothing is written through a link")
    }

    /// Where a link leads, as it says itself; nil where there is none.
    package static func target(ofLink path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    /// Opens a file that is changed in place, and makes sure that this is the only name it has: another one may be
    /// anywhere.
    ///
    /// - Parameters:
    ///   - path: of the file, made where there is none.
    ///   - flags: of `open`, beside those that keep links and pipes out.
    ///   - expected: what the system's errors ask for.
    /// - Returns: a descriptor, which the caller closes.
    /// - Throws: `InputError` where something else is in the place, or it cannot be opened.
    package static func open(_ path: String, _ flags: Int32, expected: String) throws -> Int32 {
        try refuseLink(at: URL(fileURLWithPath: path), expected: "a file")
        let all = flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        let file = uninterrupted { SystemCalls.open(path, all, AtomicFile.mode) }
        let reason = errno
        guard file >= 0 else {
            throw InputError.unwritable(URL(fileURLWithPath: path), reason: reason, expected: expected)
        }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(file)
            throw InputError(file: path, found: "no ordinary file", expected: "one")
        }
        // 0 where it has been removed meanwhile.
        guard status.st_nlink <= 1 else {
            close(file)
            throw InputError(
                file: path, found: "a file with \(status.st_nlink) names (hard links)",
                expected: "one that has this name alone: it is changed in place")
        }
        return file
    }
}

extension AtomicFile {
    /// Makes a folder within another one, and those between, none of which may be a link.
    ///
    /// - Parameters:
    ///   - url: the folder.
    ///   - parent: lies above it, and may be a link.
    /// - Throws: `InputError` where that cannot be.
    package static func makeFolder(_ url: URL, in parent: URL) throws {
        var (place, links) = (url.standardizedFileURL, [URL]())
        let top = parent.standardizedFileURL.path
        while place.path != top, place.path != "/" {
            links.append(place)
            place.deleteLastPathComponent()
        }
        for place in links.reversed() { try OrdinaryFile.refuseLink(at: place, expected: "a folder") }
        try makeFolder(url)
    }
}
