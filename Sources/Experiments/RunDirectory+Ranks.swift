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
        /// Where a link leads, from its own folder.
        var target: String?
    }

    /// Bytes that are sent at once.
    private static let piece = 1 << 26

    /// Copies a run's folder from the first process to those of the others, without what only people look at.
    ///
    /// - Parameters:
    ///   - folder: of the first process the run's; of the others an empty one.
    ///   - ranks: the processes.
    /// - Throws: `RankError`, or what reading and writing throw.
    public static func copy(_ folder: URL, fromFirstOf ranks: RankGroup) throws {
        let items = try ranks.gather(ranks.isFirst ? try Self.items(of: folder) : [])[0]
        for item in items {
            let file = folder.appendingPathComponent(item.path)
            if let target = item.target {
                guard !ranks.isFirst else { continue }
                try makePlace(of: file, in: folder)
                try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: target)
                continue
            }
            let data = ranks.isFirst ? try Data(contentsOf: file, options: .mappedIfSafe) : Data()
            guard !ranks.isFirst || data.count == item.byteCount else {
                throw RankError(
                    "\(file.path): found another length than a moment ago; another process works on the run")
            }
            var pieces: [Data] = []
            for start in stride(from: 0, to: item.byteCount, by: piece) {
                let own = data.dropFirst(start).prefix(piece)
                let bytes = try ranks.first([UInt8](own))
                if !ranks.isFirst { pieces.append(Data(bytes)) }
            }
            guard !ranks.isFirst else { continue }
            try makePlace(of: file, in: folder)
            try AtomicFile.write(chunks: pieces, to: file)
        }
    }

    private static func makePlace(of file: URL, in folder: URL) throws {
        guard file.standardizedFileURL.path.hasPrefix(folder.standardizedFileURL.path + "/") else {
            throw RankError("\(file.path): a file of a run that lies outside its folder")
        }
        try AtomicFile.makeFolder(file.deletingLastPathComponent(), in: folder)
    }

    /// Files by their paths; links that lead elsewhere are what they lead to.
    private static func items(of folder: URL) throws -> [Item] {
        let files = FileManager.default
        func items(below path: String, _ parents: Int) throws -> [Item] {
            let place = path.isEmpty ? folder : folder.appendingPathComponent(path)
            return try files.contentsOfDirectory(atPath: place.path).sorted().flatMap { name -> [Item] in
                guard !isBoard(name), name != Entry.pictures.name, name != Entry.lock.name,
                    !AtomicFile.isTemporary(name)
                else { return [] }
                let (own, url) = (path.isEmpty ? name : "\(path)/\(name)", place.appendingPathComponent(name))
                // Beside itself, as runs of budgets that came to one policy have it.
                if let target = try? files.destinationOfSymbolicLink(atPath: url.path), !target.contains("/") {
                    return [Item(path: own, target: target)]
                }
                var isFolder: ObjCBool = false
                guard files.fileExists(atPath: url.path, isDirectory: &isFolder) else { return [] }
                if isFolder.boolValue { return parents > 0 ? try items(below: own, parents - 1) : [] }
                // No device, no pipe: what a run needs are files.
                let facts = try? files.attributesOfItem(atPath: url.resolvingSymlinksInPath().path)
                guard let facts, facts[.type] as? FileAttributeType == .typeRegular else { return [] }
                return [Item(path: own, byteCount: (facts[.size] as? NSNumber)?.intValue ?? 0)]
            }
        }
        // A run's own runs lie two folders below it.
        return files.fileExists(atPath: folder.path) ? try items(below: "", 4) : []
    }
}
