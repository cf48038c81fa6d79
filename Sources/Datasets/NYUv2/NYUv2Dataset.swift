import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation

/// The reader of NYU v2 in the authors' format.
public struct NYUv2: Reader {
    public static let kind = "nyu_v2"
    public static let meaning = "NYU v2 in the authors' format"
    public static var fields: [ConfigurationField<NYUv2>] { [] }
    public static var published: PublishedDataset? { PublishedDataset(name: "NYU_v2") }

    public init() {}

    public func classNames(of label: String, count: Int) -> [String]? {
        label == "segmentation" && count == Self.classNames.count ? Self.classNames : nil
    }

    /// The 40 classes that its labels are usually merged into.
    ///
    /// - Source: Gupta, Arbelaez, Malik 2013, "Perceptual organization and recognition of indoor scenes".
    private static let classNames = [
        "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
        "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes",
        "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard",
        "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "other structure", "other furniture",
        "other prop",
    ]

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        try NYUv2Dataset(root: URL(fileURLWithPath: request.folder(for: Self.kind)), request)
    }
}

/// NYU v2 in the authors' format: `img/*.png` or `*.jpg`, `seg/*.png`, `normal_mask/*.png`, `depth/*.npy` and a split
/// file.
///
/// The split file is `nyu_v2_3task.json`: split name → list of [img, seg, normal, depth] relative paths, null for a
/// label that an image has not. Without it files are paired by stem, an image without a file in a label's folder lacks
/// that label, and every image is in every split (but for validation, see ``DatasetSplits``).
///
/// One addition to the format: `edges/<stem of the image>.png`, 8-bit grey, where value v means an edge strength of
/// v / 127 − 1 and 255 is invalid.
public struct NYUv2Dataset: Dataset {
    /// Its labels, by name: classes, colours of normals, metres, strengths.
    public static let offers: [String: LabelFormat] = [
        "segmentation": LabelFormat(.classes, absent: 255), "normals": LabelFormat(.numbers, channels: 3, absent: 255),
        "depth": LabelFormat(.numbers, absent: 0), "edges": LabelFormat(.numbers, absent: 255),
    ]

    public let name = "nyu_v2"
    public let labels: Set<String>
    public let splits: DatasetSplits
    private let root: URL
    private let requests: [LabelRequest]
    private let entries: [SampleFiles]
    private let cache: SampleCache

    public var count: Int { entries.count }

    /// Opens a data set: reads the split file and checks that every file it names exists, but decodes none.
    ///
    /// - Parameters:
    ///   - root: the folder that holds `img`.
    ///   - request: the labels to read; only their files need to exist.
    /// - Throws: `InputError` naming the file, split or label at fault.
    public init(root: URL, _ request: DatasetRequest) throws {
        try request.check(against: Self.offers, source: name)
        try SplitFile.checkFolder(root, expected: "the folder of the data set")
        let labels = Set(request.labels.map(\.name))
        let index = try NYUv2Index(root: root, labels: labels, wanted: request.splits)
        let splits = try DatasetSplits(
            named: index.named, source: root.path, seed: request.seed, validation: request.validation)
        self.splits = splits.adding(notices: index.notices)
        self.root = root
        self.labels = labels
        requests = request.labels
        entries = index.entries
        cache = SampleCache(limit: request.cacheBytes)
    }

    public func carries(_ label: String, at index: Int) -> Bool { entries[index].labels[label] != nil }

    public func imageFile(at index: Int) -> URL? { url(entries[index].image) }

    public func sample(_ index: Int) throws -> Sample {
        precondition(entries.indices.contains(index), "sample \(index) of \(entries.count)")
        return try cache.sample(index) { try read(entries[index]) }
    }

    private func read(_ entry: SampleFiles) throws -> Sample {
        let image = try Image.read(url(entry.image), channels: 3)
        let size = (image.height, image.width)
        var sample = Sample(name: entry.stem, height: image.height, width: image.width, image: image.pixels)
        for request in requests {
            guard let path = entry.labels[request.name] else { continue }
            if request.name == "edges" {
                sample.labels[request.name] = LabelMap(.numbers(try edges(path, size: size)))
                continue
            }
            let file = LabelFile(invalid: request.format.element == .classes ? 255 : nil)
            sample.labels[request.name] = try file.read(url(path), as: request, size: size)
        }
        return sample
    }

    private func url(_ path: String) -> URL { root.file(path) }

    private func edges(_ path: String, size: (height: Int, width: Int)) throws -> [Float] {
        let label = try Image.read(url(path), channels: 1)
        try LabelFile.check(url(path), (label.height, label.width), size)
        return label.pixels.map(EdgeCode.strength)
    }
}
