import Foundation

/// Reads a whole file.
///
/// - Throws: `DatasetError` naming the file and the system's reason.
func readFile(_ url: URL) throws -> Data {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
        throw DatasetError("\(url.path): the file is missing")
    }
    guard !isDirectory.boolValue else { throw DatasetError("\(url.path): found a folder, expected a file") }
    do {
        return try Data(contentsOf: url)
    } catch {
        throw DatasetError("\(url.path): the file cannot be read: \(error.localizedDescription)")
    }
}

/// Writes a whole file under a temporary name in the same folder and renames it.
///
/// - Throws: `DatasetError` naming the file and the system's reason.
func writeFile(_ data: Data, to url: URL) throws {
    do {
        try data.write(to: url, options: .atomic)
    } catch {
        throw DatasetError("\(url.path): the file cannot be written: \(error.localizedDescription)")
    }
}

/// Creates a folder and those above it.
///
/// - Throws: `DatasetError` naming the folder and the system's reason.
func makeFolder(_ url: URL) throws {
    do {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
        throw DatasetError("\(url.path): the folder cannot be made: \(error.localizedDescription)")
    }
}
