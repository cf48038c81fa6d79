import AdaShareSupport
import Foundation

/// Files that are read in one piece.
package enum WholeFile {
    /// Reads a whole file.
    ///
    /// - Throws: `InputError` naming the file and the system's reason.
    package static func read(_ url: URL) throws -> Data {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
            throw InputError(file: url.path, found: "no such file", expected: "a file")
        }
        guard !isDirectory.boolValue else { throw InputError(file: url.path, found: "a folder", expected: "a file") }
        do {
            return try Data(contentsOf: url)
        } catch {
            throw InputError(
                file: url.path, found: "a file that cannot be read: \(error.localizedDescription)",
                expected: "one that can")
        }
    }
}
