import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation

/// The reader of images and labels in folders, described by keys alone.
public struct Folders: Reader {
    public static let kind = "folders"
    public static let meaning = "images and labels in folders, described by `dataset.images`, `labels` and `splits`"

    /// Folder or pattern of the images.
    var images = "images"
    /// The labels.
    var labels: [FolderLabel] = []
    /// Which images belong to which split.
    var splits = FolderSplits()

    public init() {}

    public static var fields: [ConfigurationField<Folders>] {
        let source = "Folders: images of the split: a share, a .txt file below the root with an image in each line, "
        return [
            .key(
                "images", \.images,
                "Folders: where the images lie below the root: a folder, or a pattern with `*` for a part of a name "
                    + "and `**` for folders. PNG of any colour type, which is read as 8-bit RGB, or JPEG; an "
                    + "orientation in Exif data is not applied."),
            .list(
                "labels", \.labels, of: FolderLabel.fields, empty: FolderLabel(), isRequired: false,
                "Folders: the labels that tasks may learn. An image without a file lacks the label."),
            .key(
                "splits.train", \.splits.train, defaultText: "what the others leave",
                source + "or a folder, relative to the root."),
            .key("splits.train1", \.splits.train1, defaultText: "80 % of train", "Folders: the same for `train1`."),
            .key("splits.train2", \.splits.train2, defaultText: "the rest of train", "Folders: the same for `train2`."),
            .key(
                "splits.validation", \.splits.validation, defaultText: "dataset.validation of train",
                "Folders: the same for `validation`."),
            .key("splits.test", \.splits.test, defaultText: "null", "Folders: the same for `test`."),
        ]
    }

    public func validate(chosen: String?, file: String) throws {
        guard chosen == Self.kind else { return }
        var seen: Set<String> = []
        for (index, label) in labels.enumerated() where !seen.insert(label.name).inserted {
            throw InputError(
                file: file, place: "dataset.labels.\(index).name", found: "'\(label.name)' again",
                expected: "a name of its own")
        }
    }

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        try FolderDataset(root: URL(fileURLWithPath: request.folder(for: Self.kind)), self, request)
    }
}

/// Images and labels in folders.
struct FolderDataset: Dataset {
    let name: String
    let labels: Set<String>
    let splits: DatasetSplits
    private let root: URL
    private let images: [(key: String, path: String)]
    private let sources: [Source]
    private let cache: SampleCache

    /// Where one label comes from.
    private struct Source: Sendable {
        let request: LabelRequest
        let reader: LabelFile
        /// Files of pixels by the images' keys.
        var files: [String: String] = [:]
        /// Of whole images.
        var whole = ImageLabels(values: [:])

        var values: [String: LabelMap.Values] { whole.values }

        func carries(_ key: String) -> Bool { files[key] != nil || values[key] != nil }
    }

    var count: Int { images.count }

    /// - Throws: `InputError` naming the folder, file or key.
    init(root: URL, _ description: Folders, _ request: DatasetRequest) throws {
        self.root = root
        name = Folders.kind
        let pattern = try FilePattern(description.images, suffixes: ["png", "jpg", "jpeg"], place: "dataset.images")
        let found = try pattern.files(below: root)
        images = found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        guard !images.isEmpty else {
            throw InputError(
                file: root.path, found: "no image of '\(description.images)'",
                expected: "*.png, *.jpg or *.jpeg, as dataset.images says")
        }
        var notices: [String] = []
        var sources: [Source] = []
        for wanted in request.labels {
            guard let label = description.labels.first(where: { $0.name == wanted.name }) else {
                throw InputError(
                    file: "configuration", place: "\(wanted.place).label", found: "'\(wanted.name)'",
                    expected: "a name in dataset.labels: " + description.labels.map(\.name).joined(separator: ", "))
            }
            sources.append(try Self.source(label, wanted, images: found, root: root, notices: &notices))
        }
        self.sources = sources
        labels = Set(sources.map(\.request.name))
        let named = try description.splits.named(images, root: root, seed: request.seed)
        splits = try DatasetSplits(
            named: named, source: root.path, seed: request.seed, validation: request.validation
        ).adding(notices: notices)
        cache = SampleCache(limit: request.cacheBytes)
    }

    private static func source(
        _ label: FolderLabel, _ wanted: LabelRequest, images: [String: String], root: URL, notices: inout [String]
    ) throws -> Source {
        let isClass = wanted.format.element == .classes
        try label.check(for: wanted.format, place: "dataset.labels")
        // The usual code, where it is no class.
        let usual: Double? = isClass && label.values.isEmpty && (wanted.classes ?? 0) <= 255 ? 255 : nil
        let reader = LabelFile(
            scale: Float(label.scale), offset: Float(label.offset), invalid: (label.invalid ?? usual).map { Float($0) },
            classes: label.values.isEmpty
                ? nil : Dictionary(uniqueKeysWithValues: label.values.enumerated().map { (Int($1), $0) }),
            isOfAnySize: true)
        var source = Source(request: wanted, reader: reader)
        if wanted.format.extent == .image {
            if let path = label.path {
                guard label.isTable else {
                    throw InputError(
                        file: "configuration", place: "dataset.labels", found: "'\(path)' for \(label.name)",
                        expected: "a .csv file, or no path for the folder of an image: \(wanted.format.summary)")
                }
                source.whole = try ImageLabels.values(
                    of: label, in: root.appendingPathComponent(path), images: images, isClass: isClass)
            } else {
                guard isClass else {
                    throw InputError(
                        file: "configuration", place: "dataset.labels", found: "no path for \(label.name)",
                        expected: "a .csv file: \(wanted.format.summary)")
                }
                source.whole = ImageLabels.classes(foldersOf: images)
            }
            for (key, value) in source.values.sorted(by: { $0.key < $1.key }) {
                guard case .integers(let classes) = value, let limit = wanted.classes, classes[0] >= limit else {
                    continue
                }
                throw InputError(
                    file: root.path, place: key, found: "class \(classes[0]) of label \(label.name)",
                    expected: "0...\(limit - 1), as \(wanted.place).channels says")
            }
        } else {
            guard !label.isTable else {
                throw InputError(
                    file: "configuration", place: "dataset.labels", found: "a table for \(label.name)",
                    expected: "a folder or pattern of files: \(wanted.format.summary)")
            }
            let pattern = try FilePattern(label.path ?? label.name, suffixes: ["png", "npy"], place: "dataset.labels")
            let files = try pattern.files(below: root)
            source.files = files.filter { images[$0.key] != nil }
            let others = files.count - source.files.count
            if others > 0 {
                notices.append("\(root.path): \(others) files of '\(pattern.text)' belong to no image.")
            }
            guard !source.files.isEmpty else {
                let key = images.keys.min() ?? ""
                throw InputError(
                    file: root.path, place: "dataset.labels, \(label.name)",
                    found: "no file of '\(pattern.text)' for any of \(images.count) images",
                    expected: "one with '\(key)' where the image \(images[key] ?? "") has it, *.png or *.npy")
            }
        }
        guard !source.files.isEmpty || !source.values.isEmpty else {
            throw InputError(
                file: root.path, place: "dataset.labels, \(label.name)", found: "no image with a value",
                expected: "at least one")
        }
        return source
    }

    var classNames: [String: [String]] {
        sources.reduce(into: [:]) { $0[$1.request.name] = $1.whole.names }
    }

    func carries(_ label: String, at index: Int) -> Bool {
        sources.first { $0.request.name == label }?.carries(images[index].key) ?? false
    }

    func imageFile(at index: Int) -> URL? { root.appendingPathComponent(images[index].path) }

    func sample(_ index: Int) throws -> Sample {
        precondition(images.indices.contains(index), "sample \(index) of \(images.count)")
        return try cache.sample(index) {
            let (key, path) = images[index]
            let image = try Image.read(root.appendingPathComponent(path), channels: 3)
            var sample = Sample(name: key, height: image.height, width: image.width, image: image.pixels)
            for source in sources {
                if let file = source.files[key] {
                    sample.labels[source.request.name] = try source.reader.read(
                        root.appendingPathComponent(file), as: source.request, size: (image.height, image.width))
                } else if let value = source.values[key] {
                    sample.labels[source.request.name] = LabelMap(value)
                }
            }
            return sample
        }
    }
}
