import Foundation

/// Which files make up an NYU v2 data set in the authors' format, and which splits they belong to.
struct NYUv2Index {
    /// The relative paths of one sample.
    struct Entry: Hashable {
        var image: String
        var labels: [LabelKind: String]

        /// The image's file name without its extension.
        var stem: String { ((image as NSString).lastPathComponent as NSString).deletingPathExtension }
    }

    /// The file that names the splits.
    static let splitFile = "nyu_v2_3task.json"
    /// Where each kind of label lies, with its file extension; `edges` is this project's addition to the format.
    static let folders: [LabelKind: (folder: String, suffix: String)] = [
        .segmentation: ("seg", "png"), .normals: ("normal_mask", "png"), .depth: ("depth", "npy"),
        .edges: ("edges", "png"),
    ]

    /// All samples, sorted by image path.
    let entries: [Entry]
    /// Split name → indices into `entries`.
    let named: [String: [Int]]
    let notices: [String]

    /// Reads the split file, or pairs the files of the folders by stem when there is none.
    ///
    /// - Throws: `DatasetError` naming the split, entry or file at fault.
    init(root: URL, labels: Set<LabelKind>) throws {
        let file = root.appendingPathComponent(Self.splitFile)
        if FileManager.default.fileExists(atPath: file.path) {
            try self.init(splitFile: file, root: root, labels: labels)
        } else {
            try self.init(pairing: root, labels: labels)
        }
    }

    private init(splitFile: URL, root: URL, labels: Set<LabelKind>) throws {
        let lists: [String: [[String]]]
        do {
            lists = try JSONDecoder().decode([String: [[String]]].self, from: readFile(splitFile))
        } catch let error as DatasetError {
            throw error
        } catch {
            throw DatasetError(
                "\(splitFile.path): expected a JSON object of split name → list of [img, seg, normal, depth] paths: "
                    + Self.reason(error))
        }
        var splits: [String: [Entry]] = [:]
        for (name, rows) in lists.sorted(by: { $0.key < $1.key }) {
            splits[name] = try rows.enumerated().map { number, row in
                let place = "\(splitFile.path): split '\(name)', entry \(number)"
                let entry = try Self.entry(row, labels: labels, place: place)
                for path in [entry.image] + labels.compactMap({ entry.labels[$0] }).sorted() {
                    guard FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path) else {
                        throw DatasetError("\(place): the file '\(path)' is missing below \(root.path)")
                    }
                }
                return entry
            }
        }
        entries = Set(splits.values.joined()).sorted { $0.image < $1.image }
        let position = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1, $0) })
        named = splits.mapValues { list in list.compactMap { position[$0] } }
        notices = []
    }

    private init(pairing root: URL, labels: Set<LabelKind>) throws {
        let images = try Self.stems(root.appendingPathComponent("img"), suffix: "png")
        guard !images.isEmpty else {
            throw DatasetError("\(root.appendingPathComponent("img").path): the folder has no *.png, expected images")
        }
        for (kind, place) in Self.folders.sorted(by: { $0.value.folder < $1.value.folder }) where labels.contains(kind)
        {
            let folder = root.appendingPathComponent(place.folder)
            let found = Set(try Self.stems(folder, suffix: place.suffix))
            if let missing = images.first(where: { !found.contains($0) }) {
                throw DatasetError(
                    "\(folder.path)/\(missing).\(place.suffix): the file is missing, expected one for img/\(missing).png"
                )
            }
        }
        entries = images.map { stem in
            Entry(
                image: "img/\(stem).png",
                labels: Self.folders.filter { labels.contains($0.key) }.mapValues {
                    "\($0.folder)/\(stem).\($0.suffix)"
                })
        }
        let all = Array(entries.indices)
        named = ["train": all, "train1": all, "train2": all, "test": all]
        notices = [
            "\(root.path): there is no \(Self.splitFile), so every file is in train, train1, train2 and test alike."
        ]
    }

    /// One row of the split file: [img, seg, normal, depth]; edges have the stem of the image.
    private static func entry(_ row: [String], labels: Set<LabelKind>, place: String) throws -> Entry {
        let columns: [(kind: LabelKind, column: Int)] = [(.segmentation, 1), (.normals, 2), (.depth, 3)]
        let needed = 1 + (columns.filter { labels.contains($0.kind) }.map(\.column).max() ?? 0)
        guard row.count >= needed else {
            throw DatasetError("\(place): \(row.count) paths, expected [img, seg, normal, depth]")
        }
        var entry = Entry(image: row[0], labels: [:])
        for (kind, column) in columns where labels.contains(kind) { entry.labels[kind] = row[column] }
        if labels.contains(.edges) { entry.labels[.edges] = "edges/\(entry.stem).png" }
        return entry
    }

    private static func stems(_ folder: URL, suffix: String) throws -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
            throw DatasetError("\(folder.path): the folder is missing or unreadable")
        }
        return names.filter { $0.hasSuffix(".\(suffix)") && !$0.hasPrefix(".") }.map {
            String($0.dropLast(suffix.count + 1))
        }
        .sorted()
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return error.localizedDescription }
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            let path = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
            return "at '\(path)': expected \(type)"
        case .keyNotFound(let key, _): return "missing key \(key.stringValue)"
        case .dataCorrupted(let context): return context.debugDescription
        @unknown default: return error.localizedDescription
        }
    }
}
