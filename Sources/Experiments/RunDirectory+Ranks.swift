import AdaShareRanks
import AdaShareSupport
import Foundation

/// Runs that several processes work on: the first one's folder is the run's, the others have copies of what they need.
extension RunDirectory {
    /// Writes a file of the first process into the folders of the others; nothing where there are none.
    ///
    /// - Throws: `RankError`, or what reading and writing throw.
    package func take(_ file: URL, fromFirstOf ranks: RankGroup?) throws {
        guard let ranks, ranks.count > 1 else { return }
        let bytes = try ranks.first([UInt8](try Data(contentsOf: file)))
        if !ranks.isFirst { try AtomicFile.write(Data(bytes), to: file) }
    }

    /// One file or link of a copied folder.
    private struct Item: Codable {
        let path: String
        var byteCount = 0
        /// Where a link leads.
        var target: String?
    }

    /// Copies a run's folder from the first process to those of the others, without what only people look at.
    ///
    /// - Parameters:
    ///   - folder: of the first process the run's; of the others an empty one.
    ///   - ranks: the processes.
    /// - Throws: `RankError`, or what reading and writing throw.
    public static func copy(_ folder: URL, fromFirstOf ranks: RankGroup) throws {
        let bytes = try ranks.first(packed(folder))
        if !ranks.isFirst { try unpack(bytes, into: folder) }
    }

    private static func packed(_ folder: URL) throws -> [UInt8] {
        let files = FileManager.default
        var items: [Item] = []
        var contents: [UInt8] = []
        let names = files.fileExists(atPath: folder.path) ? try files.subpathsOfDirectory(atPath: folder.path) : []
        for path in names.sorted() {
            let parts = path.split(separator: "/").map(String.init)
            guard let name = parts.last, !isBoard(name), !parts.contains(Entry.pictures.name), name != Entry.lock.name,
                !AtomicFile.isTemporary(name)
            else { continue }
            let url = folder.appendingPathComponent(path)
            if let target = try? files.destinationOfSymbolicLink(atPath: url.path) {
                items.append(Item(path: path, target: target))
                continue
            }
            var isFolder: ObjCBool = false
            guard files.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue else { continue }
            let data = try Data(contentsOf: url, options: .mappedIfSafe)
            items.append(Item(path: path, byteCount: data.count))
            contents += data
        }
        let header = try JSONEncoder().encode(items)
        let length = UInt64(header.count).littleEndian
        return withUnsafeBytes(of: length, Array.init) + header + contents
    }

    private static func unpack(_ bytes: [UInt8], into folder: URL) throws {
        func fail() -> InputError {
            InputError(file: folder.path, found: "a damaged copy of a run", expected: "the first process's")
        }
        guard bytes.count >= 8 else { throw fail() }
        let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(bytes.count - 8) else { throw fail() }
        var start = 8 + Int(length)
        let items = try JSONDecoder().decode([Item].self, from: Data(bytes[8..<start]))
        for item in items {
            let url = folder.appendingPathComponent(item.path)
            guard !item.path.split(separator: "/").contains(".."), item.byteCount <= bytes.count - start else {
                throw fail()
            }
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            if let target = item.target {
                try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
                continue
            }
            try AtomicFile.write(Data(bytes[start..<start + item.byteCount]), to: url)
            start += item.byteCount
        }
    }
}
