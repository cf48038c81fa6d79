import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files that belong together: all of them appear, whole, or all places are what they were.
///
/// Each is written under a temporary name beside its place; when all are whole, they are renamed. What they replace
/// keeps a second name until then.
public final class AtomicFileSet {
    private var files: [(staged: URL, place: URL, name: String)] = []

    private init() {}

    /// Has `body` write files, each to where `staged` says, and then puts them into their places.
    ///
    /// - Throws: what `body` throws, about the file's own place; `InputError` if one cannot be put there. Then what was
    ///   in the places is there again, but for file systems without hard links, and no temporary file.
    public static func write(_ body: (AtomicFileSet) throws -> Void) throws {
        let set = AtomicFileSet()
        do {
            try body(set)
            try set.place()
        } catch {
            for file in set.files { unlink(file.staged.path) }
            throw set.located(error)
        }
    }

    /// Where to write a file.
    ///
    /// - Parameter url: its place.
    /// - Throws: `InputError` where something is in the place that a file cannot take, such as a link.
    public func staged(_ url: URL) throws -> URL {
        try AtomicFile.checkPlace(url)
        let staged = AtomicFile.temporary(in: url.deletingLastPathComponent())
        files.append((staged, url, url.path))
        return staged
    }

    private func place() throws {
        let folders = Set(files.map { $0.place.deletingLastPathComponent().path })
        let before = files.map { file -> String? in
            let second = AtomicFile.temporary(in: file.place.deletingLastPathComponent()).path
            return link(file.place.path, second) == 0 ? second : nil
        }
        defer {
            for second in before { if let second { unlink(second) } }
        }
        for (index, file) in files.enumerated() where rename(file.staged.path, file.place.path) != 0 {
            let error = InputError.system("rename", file.name, expected: "a file name that can be replaced")
            for (placed, second) in zip(files, before).prefix(index) {
                if second.map({ rename($0, placed.place.path) }) != 0 { unlink(placed.place.path) }
            }
            throw error
        }
        for folder in folders.sorted() { try AtomicFile.flush(folder: folder) }
    }

    /// The same error about a file's place, not about where it is written first.
    private func located(_ error: any Error) -> any Error {
        guard let error = error as? InputError, let file = files.first(where: { $0.staged.path == error.file }) else {
            return error
        }
        return InputError(file: file.name, place: error.place, found: error.found, expected: error.expected)
    }
}
