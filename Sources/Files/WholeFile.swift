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
            throw InputError(
                file: url.path, found: "a file that cannot be read: \(error.localizedDescription)",
                expected: "one that can")
        }
    }

    /// Checks that a path leads to a file: reading a pipe or a device might wait for ever, or find no end.
    ///
    /// - Throws: `InputError` naming what is there.
    static func check(_ url: URL) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
            throw InputError(file: url.path, found: "no such file", expected: "a file")
        }
        if let kind = isDirectory.boolValue ? "a folder" : AtomicFile.special(url.path) {
            throw InputError(file: url.path, found: kind, expected: "a file")
        }
    }
}
