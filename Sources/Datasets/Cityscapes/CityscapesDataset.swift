import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation

/// The reader of Cityscapes, in the authors' format or as it is distributed.
public struct CityscapesReader: Reader {
    public static let kind = "cityscapes"
    public static let meaning = "Cityscapes in the authors' format or as it is distributed"
    public static var fields: [ConfigurationField<CityscapesReader>] { [] }
    public static var published: PublishedDataset? { PublishedDataset(name: "CityScapes", ignoredClass: -1) }

    /// Depth is disparity.
    public var keepsUnits: Bool { false }

    public func classNames(of label: String, count: Int) -> [String]? {
        label == "segmentation" ? CityscapesClasses.names[count] : nil
    }

    public init() {}

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        try CityscapesDataset(root: URL(fileURLWithPath: request.folder(for: Self.kind)), request)
    }
}

/// Cityscapes: streets with classes and disparity, in whichever of two layouts its folder has.
///
/// **The authors'**: `cityscape.json`, split name → list of [image, depth, label2, label7, label19] paths of `.npy`
/// files: colours R,G,B of 0...1, shape [H, W, 3], which are rounded to 8 bits; depth [H, W] or [H, W, 1]; classes
/// [H, W], −1 for none.
///
/// **The official one**: `leftImg8bit/<split>/<city>/*_leftImg8bit.png`, `gtFine/…/*_gtFine_labelIds.png` and
/// `disparity/…/*_disparity.png`. `val` is split `test`, because labels of the official test images are not public;
/// validation is drawn from `train`.
///
/// Its labels are `segmentation`, of 19 classes, of 7 categories or (the authors' files alone) of 2, as many as the
/// task has channels, and `depth`, which as in the published code is the *disparity*, not a distance, 0 where there is
/// none. The official files hold (p − 1) / 256 pixels at the width of the files; the authors' hold it as they scaled
/// it, so that errors of one layout are not comparable with those of the other.
public struct CityscapesDataset: Dataset {
    /// Its labels, by name: classes and disparity.
    public static let offers: [String: LabelFormat] = [
        "segmentation": LabelFormat(.classes, absent: -1), "depth": LabelFormat(.numbers, absent: 0),
    ]

    public let name = CityscapesReader.kind
    public let labels: Set<String>
    public let splits: DatasetSplits
    private let root: URL
    private let requests: [LabelRequest]
    private let entries: [SampleFiles]
    private let layout: Layout
    private let cache: SampleCache

    private enum Layout { case authors, official }

    public var count: Int { entries.count }

    /// Opens a data set: finds its files, but decodes none.
    ///
    /// - Parameters:
    ///   - root: the folder that holds `cityscape.json` or `leftImg8bit`.
    ///   - request: the labels to read; only their files need to exist.
    /// - Throws: `InputError` naming the file, split or label at fault.
    public init(root: URL, _ request: DatasetRequest) throws {
        try request.check(against: Self.offers, source: name)
        let hint =
            "the authors' archive, cityscape.json beside the .npy files it names (the link is in the README of "
            + "github.com/sunxm2357/AdaShare), or leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip and "
            + "disparity_trainvaltest.zip of cityscapes-dataset.com, unpacked there: "
            + "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
        try SplitFile.checkFolder(root, expected: "a folder with " + hint)
        func has(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: root.appendingPathComponent(name).path)
        }
        let index: (entries: [SampleFiles], named: [String: [Int]], notices: [String])
        if has(Self.splitFile) {
            layout = .authors
            index = try Self.authors(root, request.labels, wanted: request.splits)
        } else if has("leftImg8bit") {
            layout = .official
            index = try Self.official(root, request.labels)
        } else {
            throw InputError(
                file: root.path, found: "neither \(Self.splitFile) nor a folder leftImg8bit", expected: hint)
        }
        entries = index.entries
        splits = try DatasetSplits(
            named: index.named, source: root.path, seed: request.seed, validation: request.validation
        ).adding(notices: index.notices)
        self.root = root
        labels = Set(request.labels.map(\.name))
        requests = request.labels
        cache = SampleCache(limit: request.cacheBytes)
    }

    public func carries(_ label: String, at index: Int) -> Bool { entries[index].labels[label] != nil }

    public func imageFile(at index: Int) -> URL? { root.file(entries[index].image) }

    public func sample(_ index: Int) throws -> Sample {
        precondition(entries.indices.contains(index), "sample \(index) of \(entries.count)")
        return try cache.sample(index) {
            switch layout {
            case .authors: try readArrays(entries[index])
            case .official: try readImages(entries[index])
            }
        }
    }

    // MARK: - The authors' layout

    private static let splitFile = "cityscape.json"

    private static func authors(
        _ root: URL, _ labels: [LabelRequest], wanted: Set<String>?
    ) throws -> (entries: [SampleFiles], named: [String: [Int]], notices: [String]) {
        var columns: [String: Int] = [:]
        for label in labels {
            guard label.format.element == .classes else {
                columns[label.name] = 1
                continue
            }
            columns[label.name] = try column(of: label, among: [2: 2, 7: 3, 19: 4], "the authors' files")
        }
        let url = root.appendingPathComponent(splitFile)
        let file = try SplitFile(
            url, root: root, row: "[image, depth, label2, label7, label19]", columns: columns,
            wanted: wanted)
        try SplitFile.check(columns.keys, in: file.entries, file: url.path)
        return (file.entries, file.named, [])
    }

    /// What belongs to the number of classes that a task has.
    private static func column<Value>(
        of label: LabelRequest, among choices: [Int: Value], _ source: String
    ) throws -> Value {
        guard let choice = label.classes.flatMap({ choices[$0] }) else {
            throw InputError(
                file: "configuration", place: "\(label.place).channels",
                found: label.classes.map(String.init) ?? "none",
                expected: choices.keys.sorted().map(String.init).joined(separator: " or ")
                    + ", which \(source) of Cityscapes tell apart")
        }
        return choice
    }

    private func readArrays(_ entry: SampleFiles) throws -> Sample {
        let url = root.file(entry.image)
        let array = try NPYArray.read(url)
        guard array.shape.count == 3, array.shape[2] == 3, !array.values.isEmpty else {
            throw InputError(file: url.path, found: "shape \(array.shape)", expected: "[height, width, 3], R,G,B")
        }
        let size = (height: array.shape[0], width: array.shape[1])
        // Interpolation may leave the range by a little.
        if let at = array.values.firstIndex(where: { !(-0.01...1.01 ~= $0) }) {
            throw InputError(
                file: url.path, place: "row \(at / 3 / size.width), column \(at / 3 % size.width)",
                found: "\(array.values[at])", expected: "colours from 0 to 1")
        }
        var sample = Sample(
            name: entry.key, height: size.height, width: size.width,
            image: array.values.map { UInt8((max(0, min(1, $0)) * 255).rounded()) })
        for request in requests {
            guard let path = entry.labels[request.name] else { continue }
            let file = LabelFile(invalid: request.format.element == .classes ? -1 : nil)
            sample.labels[request.name] = try file.read(root.file(path), as: request, size: size)
        }
        return sample
    }

    // MARK: - The official layout

    private static func official(
        _ root: URL, _ labels: [LabelRequest]
    ) throws -> (entries: [SampleFiles], named: [String: [Int]], notices: [String]) {
        var patterns: [(label: String, folder: String, suffix: String)] = []
        for label in labels {
            guard label.format.element == .classes else {
                patterns.append((label.name, "disparity", "disparity"))
                continue
            }
            _ = try column(of: label, among: CityscapesClasses.all, "the official files")
            patterns.append((label.name, "gtFine", "gtFine_labelIds"))
        }
        var entries: [SampleFiles] = []
        var named: [String: [Int]] = [:]
        for (folder, split) in [("train", "train"), ("val", "test")] {
            func files(_ kind: String, _ suffix: String) throws -> [String: String] {
                try FilePattern("\(kind)/\(folder)/*/*_\(suffix).png", suffixes: [], place: "dataset.root")
                    .files(below: root)
            }
            // Only those who train alone have no use for the other images.
            if folder == "val",
                !FileManager.default.fileExists(atPath: root.appendingPathComponent("leftImg8bit/val").path)
            {
                continue
            }
            let images = try files("leftImg8bit", "leftImg8bit")
            let found = try patterns.map { ($0.label, try files($0.folder, $0.suffix)) }
            named[split] = Array(entries.count..<entries.count + images.count)
            for (key, image) in images.sorted(by: { $0.key < $1.key }) {
                var entry = SampleFiles(image: image, labels: [:])
                for (label, paths) in found { entry.labels[label] = paths[key] }
                entries.append(entry)
            }
        }
        try SplitFile.check(patterns.map(\.label), in: entries, file: root.path)
        let notices = patterns.compactMap { pattern -> String? in
            let lacking = entries.count { $0.labels[pattern.label] == nil }
            return lacking == 0
                ? nil : "\(root.path): \(lacking) of \(entries.count) images have no file in \(pattern.folder)."
        }
        return (entries, named, notices)
    }

    private func readImages(_ entry: SampleFiles) throws -> Sample {
        let image = try Image.read(root.file(entry.image), channels: 3)
        let size = (image.height, image.width)
        var sample = Sample(name: entry.key, height: image.height, width: image.width, image: image.pixels)
        for request in requests {
            guard let path = entry.labels[request.name] else { continue }
            var file = LabelFile()
            if request.format.element == .classes {
                file.classes = request.classes.flatMap { CityscapesClasses.all[$0] }
            } else {
                (file.scale, file.offset, file.invalid) = (1 / 256, -1 / 256, 0)
            }
            sample.labels[request.name] = try file.read(root.file(path), as: request, size: size)
        }
        return sample
    }
}

/// Classes by the ids that the official label images store; other ids have none.
enum CityscapesClasses {
    /// By how many classes there are.
    static let all = [19: classes, 7: categories]

    /// The ids of the 19 classes in order, from road to bicycle, by category: flat, construction, object, nature, sky,
    /// human, vehicle.
    ///
    /// - Source: the table of labels in the data set's own scripts; ids that it leaves out of evaluation have no class
    ///   here and no category either, so that both know the same pixels.
    private static let ids = [
        [7, 8], [11, 12, 13], [17, 19, 20], [21, 22], [23], [24, 25], [26, 27, 28, 31, 32, 33],
    ]

    /// What classes are called, by how many there are.
    static let names = [
        19: [
            "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
            "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
        ],
        7: ["flat", "construction", "object", "nature", "sky", "human", "vehicle"],
    ]

    private static let classes = Dictionary(uniqueKeysWithValues: ids.joined().enumerated().map { ($1, $0) })

    private static let categories = Dictionary(
        uniqueKeysWithValues: ids.enumerated().flatMap { category, ids in ids.map { ($0, category) } })
}
