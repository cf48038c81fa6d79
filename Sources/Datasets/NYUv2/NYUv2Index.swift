import AdaShareFiles
import AdaShareSupport
import Foundation

/// Which files make up an NYU v2 data set in the authors' format, and which splits they belong to.
struct NYUv2Index {
    /// The relative paths of one sample.
    struct Entry: Hashable {
        var image: String
        var labels: [String: String]

        /// The image's file name without its extension.
        var stem: String { ((image as NSString).lastPathComponent as NSString).deletingPathExtension }
    }

    /// The file that names the splits.
    static let splitFile = "nyu_v2_3task.json"
    /// Where each kind of label lies, with its file extension; `edges` is this project's addition to the format.
    static let folders: [String: (folder: String, suffix: String)] = [
        "segmentation": ("seg", "png"), "normals": ("normal_mask", "png"), "depth": ("depth", "npy"),
        "edges": ("edges", "png"),
    ]

    /// All samples, sorted by image path.
    let entries: [Entry]
    /// Split name → indices into `entries`.
    let named: [String: [Int]]
    let notices: [String]

    /// Reads the split file, or pairs the files of the folders by stem when there is none.
    ///
    /// - Throws: `InputError` naming the split, entry or file at fault.
    init(root: URL, labels: Set<String>) throws {
        let file = root.appendingPathComponent(Self.splitFile)
        if FileManager.default.fileExists(atPath: file.path) {
            try self.init(splitFile: file, root: root, labels: labels)
        } else {
            try self.init(pairing: root, labels: labels)
        }
    }

    private init(splitFile: URL, root: URL, labels: Set<String>) throws {
        let lists: [String: [[String?]]]
        do {
            lists = try JSONDecoder().decode([String: [[String?]]].self, from: WholeFile.read(splitFile))
        } catch let error as DecodingError {
            throw InputError(
                file: splitFile.path, found: error.summary,
                expected: "a JSON object of split name → list of [img, seg, normal, depth] paths")
        }
        var splits: [String: [Entry]] = [:]
        for (name, rows) in lists.sorted(by: { $0.key < $1.key }) {
            splits[name] = try rows.enumerated().map { number, row in
                let place = "split '\(name)', entry \(number)"
                let entry = try Self.entry(row, labels: labels, root: root, file: splitFile.path, place: place)
                for path in [entry.image] + entry.labels.values.sorted() {
                    guard FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path) else {
                        throw InputError(
                            file: splitFile.path, place: place, found: "'\(path)'",
                            expected: "a file below \(root.path)")
                    }
                }
                return entry
            }
        }
        entries = Set(splits.values.joined()).sorted { a, b in
            func order(_ entry: Entry) -> [String] {
                [entry.image] + entry.labels.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
            }
            return order(a).lexicographicallyPrecedes(order(b))
        }
        for label in labels.sorted() where !entries.isEmpty && !entries.contains(where: { $0.labels[label] != nil }) {
            throw InputError(
                file: splitFile.path, found: "no \(label) label in any of \(entries.count) entries",
                expected: "at least one")
        }
        let position = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1, $0) })
        named = splits.mapValues { list in list.compactMap { position[$0] } }
        notices = []
    }

    private init(pairing root: URL, labels: Set<String>) throws {
        let images = try Self.files(in: root, "img", suffixes: ["png", "jpg", "jpeg"])
        guard let first = images.keys.min() else {
            throw InputError(
                file: root.appendingPathComponent("img").path, found: "no *.png, *.jpg or *.jpeg", expected: "images")
        }
        var found: [String: [String: String]] = [:]
        for (label, place) in Self.folders.sorted(by: { $0.value.folder < $1.value.folder })
        where labels.contains(label) {
            let files = try Self.files(in: root, place.folder, suffixes: [place.suffix])
            guard images.keys.contains(where: { files[$0] != nil }) else {
                throw InputError(
                    file: root.appendingPathComponent(place.folder).path,
                    found: "no *.\(place.suffix) with the name of an image",
                    expected: "\(first).\(place.suffix) and others, for the images in img")
            }
            found[label] = files
        }
        entries = images.sorted { $0.key < $1.key }.map { stem, path in
            Entry(image: path, labels: found.compactMapValues { $0[stem] })
        }
        let all = Array(entries.indices)
        named = ["train": all, "train1": all, "train2": all, "test": all]
        notices = [
            "\(root.path): there is no \(Self.splitFile), so every file is in train, train1, train2 and test alike."
        ]
    }

    /// One row of the split file: [img, seg, normal, depth]; edges have the stem of the image.
    private static func entry(
        _ row: [String?], labels: Set<String>, root: URL, file: String, place: String
    ) throws -> Entry {
        let columns: [(label: String, column: Int)] = [("segmentation", 1), ("normals", 2), ("depth", 3)]
        let needed = 1 + (columns.filter { labels.contains($0.label) }.map(\.column).max() ?? 0)
        guard row.count >= needed, let image = row[0] else {
            throw InputError(
                file: file, place: place, found: row.first == .some(nil) ? "no image" : "\(row.count) paths",
                expected: "[img, seg, normal, depth]")
        }
        var entry = Entry(image: image, labels: [:])
        for (label, column) in columns where labels.contains(label) { entry.labels[label] = row[column] }
        if labels.contains("edges") {
            let path = "edges/\(entry.stem).png"
            if FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path) {
                entry.labels["edges"] = path
            }
        }
        return entry
    }

    /// Paths of a folder's files relative to the root, by their names without suffix.
    private static func files(in root: URL, _ folder: String, suffixes: [String]) throws -> [String: String] {
        let place = root.appendingPathComponent(folder)
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: place.path) else {
            throw InputError(file: place.path, found: "no readable folder", expected: "one with *.\(suffixes[0])")
        }
        var files: [String: String] = [:]
        for name in names where !name.hasPrefix(".") {
            guard let suffix = suffixes.first(where: { name.lowercased().hasSuffix(".\($0)") }) else { continue }
            let stem = String(name.dropLast(suffix.count + 1))
            if let other = files.updateValue("\(folder)/\(name)", forKey: stem) {
                let both = [other, "\(folder)/\(name)"].sorted().joined(separator: " and ")
                throw InputError(file: root.path, found: both, expected: "one file of the name \(stem)")
            }
        }
        return files
    }
}
