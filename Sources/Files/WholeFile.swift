import AdaShareSupport
import Foundation

/// Files that are read in one piece.
package enum WholeFile {
    /// Reads a whole file.
    ///
    /// - Throws: `InputError` naming the file and the system's reason.
    package static func read(_ url: URL) throws -> Data {
        try check(url)
        do {
            return try Data(contentsOf: url)
        } catch {
            throw InputError.unreadable(url, expected: "one that can")
        }
    }

    /// Checks that a path leads to a file: reading a pipe or a device might wait for ever, or find no end.
    ///
    /// - Throws: `InputError` naming what is there.
    static func check(_ url: URL) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue else {
            throw InputError.unreadable(url, expected: "a file")
        }
        if let kind = AtomicFile.special(url.path) {
            throw InputError(file: url.path, found: kind, expected: "a file")
        }
    }
}
