import AdaShareFiles
import AdaShareSupport
import Foundation

/// Which files make up an NYU v2 data set in the authors' format, and which splits they belong to.
struct NYUv2Index {
    /// The file that names the splits.
    static let splitFile = "nyu_v2_3task.json"
    /// Where each kind of label lies, with its file extension; `edges` is this project's addition to the format.
    static let folders: [String: (folder: String, suffix: String)] = [
        "segmentation": ("seg", "png"), "normals": ("normal_mask", "png"), "depth": ("depth", "npy"),
        "edges": ("edges", "png"),
    ]

    /// All samples, sorted by image path.
    let entries: [SampleFiles]
    /// Split name → indices into `entries`.
    let named: [String: [Int]]
    let notices: [String]

    /// Reads the split file, or pairs the files of the folders by stem when there is none.
    ///
    /// - Parameters:
    ///   - root: the folder.
    ///   - labels: whose files are looked for.
    ///   - wanted: the splits whose files have to be there; nil for all.
    /// - Throws: `InputError` naming the split, entry or file at fault.
    init(root: URL, labels: Set<String>, wanted: Set<String>? = nil) throws {
        let file = root.appendingPathComponent(Self.splitFile)
        if FileManager.default.fileExists(atPath: file.path) {
            try self.init(splitFile: file, root: root, labels: labels, wanted: wanted)
        } else {
            try self.init(pairing: root, labels: labels)
        }
    }

    private init(splitFile: URL, root: URL, labels: Set<String>, wanted: Set<String>?) throws {
        let columns = ["segmentation": 1, "normals": 2, "depth": 3].filter { labels.contains($0.key) }
        let file = try SplitFile(
            splitFile, root: root, row: "[img, seg, normal, depth]", columns: columns, wanted: wanted
        ) { entry in
            // Edges have the stem of the image.
            let path = "edges/\(entry.stem).png"
            if labels.contains("edges"), FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
            {
                entry.labels["edges"] = path
            }
        }
        try SplitFile.check(labels, in: file.entries, file: splitFile.path)
        (entries, named, notices) = (file.entries, file.named, [])
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
            SampleFiles(image: path, labels: found.compactMapValues { $0[stem] })
        }
        let all = Array(entries.indices)
        named = ["train": all, "train1": all, "train2": all, "test": all]
        notices = [
            "\(root.path): there is no \(Self.splitFile), so every file is in train, train1, train2 and test alike."
        ]
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

extension SampleFiles {
    /// The image's file name without its extension.
    var stem: String { ((image as NSString).lastPathComponent as NSString).deletingPathExtension }
}
