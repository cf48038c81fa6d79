import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation

/// The reader of Tiny-Taskonomy in the authors' format.
public struct Taskonomy: Reader {
    public static let kind = "taskonomy"
    public static let meaning = "Tiny-Taskonomy in the authors' format"
    public static var fields: [ConfigurationField<Taskonomy>] { [] }
    public static var published: PublishedDataset? {
        PublishedDataset(
            name: "Taskonomy", trainsColours: false, classWeights: "semseg_prior_factor.npy",
            remarks: ["checkpoints are chosen on split test_small; here on images held out of train"])
    }

    /// Depth is logarithmic, from 0 to 1.
    public var keepsUnits: Bool { false }

    public init() {}

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        try TaskonomyDataset(root: URL(fileURLWithPath: request.folder(for: Self.kind)), request)
    }
}

/// Tiny-Taskonomy in the authors' format: `taskonomy.json`, split name → list of [rgb, seg, normal, depth, keypoint,
/// edge] paths of PNG files, as Taskonomy distributes them.
///
/// Everything is brought to 256 × 256 by nearest neighbour, as the published code does. With v for what a file stores,
/// labels are
///
/// - `segmentation`, 8-bit: class v − 1; 0 is a pixel without a label.
/// - `normals`, 8-bit RGB: colours (n + 1) · 127.5. A channel of 255 is read as 254, because 255 means no label here;
///   that turns a direction by 0.04° at most. Pixels without a depth have no normal either.
/// - `depth`, 16-bit: log(1 + v) / log 2¹⁶, which is no distance but grows with it; pixels with v ≥ 64500, or 0, have
///   none.
/// - `keypoints` and `edges`, 16-bit: v / 2¹⁶, from 0...0.005 and 0...0.08 to −1...1, what lies beyond cut off.
public struct TaskonomyDataset: Dataset {
    /// Its labels, by name: classes, colours of normals, numbers.
    public static let offers: [String: LabelFormat] = [
        "segmentation": LabelFormat(.classes, absent: 255), "normals": LabelFormat(.numbers, channels: 3, absent: 255),
        "depth": LabelFormat(.numbers, absent: 0), "keypoints": LabelFormat(.numbers, absent: 255),
        "edges": LabelFormat(.numbers, absent: 255),
    ]
    /// Pixels on each side of every image.
    public static let side = 256

    public let name = Taskonomy.kind
    public let labels: Set<String>
    public let splits: DatasetSplits
    private let root: URL
    private let requests: [LabelRequest]
    private let entries: [SampleFiles]
    private let cache: SampleCache

    private static let splitFile = "taskonomy.json"
    private static let columns = ["segmentation": 1, "normals": 2, "depth": 3, "keypoints": 4, "edges": 5]
    /// Stored depths from here on are none.
    private static let noDepth: UInt16 = 64_500

    public var count: Int { entries.count }

    /// Opens a data set: reads the split file and checks that every file it names exists, but decodes none.
    ///
    /// - Parameters:
    ///   - root: the folder that holds `taskonomy.json`.
    ///   - request: the labels to read; only their files need to exist, and for normals those of depth.
    /// - Throws: `InputError` naming the file, split or label at fault.
    public init(root: URL, _ request: DatasetRequest) throws {
        try request.check(against: Self.offers, source: name)
        let hint =
            "the authors' Tiny-Taskonomy: \(Self.splitFile), split → list of [rgb, seg, normal, depth, keypoint, edge] "
            + "paths below the folder, beside the PNG files (see github.com/sunxm2357/AdaShare for the list and "
            + "github.com/StanfordVL/taskonomy for the images)"
        try SplitFile.checkFolder(root, expected: "a folder with " + hint)
        let url = root.appendingPathComponent(Self.splitFile)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw InputError(file: root.path, found: "no \(Self.splitFile)", expected: hint)
        }
        labels = Set(request.labels.map(\.name))
        // Where there is no depth there is no normal.
        let needed = labels.contains("normals") ? labels.union(["depth"]) : labels
        let file = try SplitFile(
            url, root: root, row: "[rgb, seg, normal, depth, keypoint, edge]",
            columns: Self.columns.filter { needed.contains($0.key) }, wanted: request.splits)
        try SplitFile.check(labels, in: file.entries, file: url.path)
        entries = file.entries
        splits = try DatasetSplits(
            named: file.named, source: root.path, seed: request.seed, validation: request.validation)
        self.root = root
        requests = request.labels
        cache = SampleCache(limit: request.cacheBytes)
    }

    public func carries(_ label: String, at index: Int) -> Bool { entries[index].labels[label] != nil }

    public func imageFile(at index: Int) -> URL? { root.file(entries[index].image) }

    public func sample(_ index: Int) throws -> Sample {
        precondition(entries.indices.contains(index), "sample \(index) of \(entries.count)")
        return try cache.sample(index) { try read(entries[index]) }
    }

    private func read(_ entry: SampleFiles) throws -> Sample {
        let side = (height: Self.side, width: Self.side)
        let image = try Image.read(root.file(entry.image), channels: 3)
        let shape = (height: image.height, width: image.width)
        let colours = LabelMap(.bytes(image.pixels), channels: 3).taken(ImageResize.nearest(shape, to: side))
        guard case .bytes(let pixels) = colours.values else { preconditionFailure("bytes stay bytes") }
        var sample = Sample(name: entry.key, height: side.height, width: side.width, image: pixels)
        let wantsDepth = requests.contains { ["depth", "normals"].contains($0.name) }
        let depth = wantsDepth ? try entry.labels["depth"].map { try numbers($0, shape) } : nil
        for request in requests {
            guard let path = entry.labels[request.name] else { continue }
            sample.labels[request.name] =
                switch request.name {
                case "segmentation": try classes(path, shape, count: request.classes ?? 0)
                case "normals": try normals(path, shape, depth: depth)
                case "depth": LabelMap(.numbers((depth ?? []).map(Self.depth)))
                case "keypoints": try strengths(path, shape, upTo: 0.005)
                default: try strengths(path, shape, upTo: 0.08)
                }
        }
        return sample
    }

    // MARK: - Labels

    /// What a file of one channel stores, at the size of samples.
    private func numbers(_ path: String, _ image: (height: Int, width: Int)) throws -> [UInt16] {
        let url = root.file(path)
        let stored = try Image.readNumbers(url)
        return try places(url, (stored.height, stored.width), image).map { stored.values[$0] }
    }

    /// For each pixel of a sample the one of a label it is taken from.
    ///
    /// - Throws: `InputError` where a label shows something else than the image, as far as sizes tell.
    private func places(
        _ url: URL, _ label: (height: Int, width: Int), _ image: (height: Int, width: Int)
    ) throws -> [Int] {
        try LabelFile.check(url, label, image, isOfAnySize: true)
        return ImageResize.nearest(label, to: (Self.side, Self.side))
    }

    private func classes(_ path: String, _ image: (height: Int, width: Int), count: Int) throws -> LabelMap {
        let values = try numbers(path, image).map { $0 == 0 ? ClassLabels.none : Int32($0) }
        if let at = values.firstIndex(where: { $0 != ClassLabels.none && $0 > count }) {
            throw InputError(
                file: root.file(path).path,
                place: "row \(at / Self.side), column \(at % Self.side) of "
                    + dimensions(height: Self.side, width: Self.side), found: "\(values[at])",
                expected: "1...\(count), the classes counted from 1, or 0 for none")
        }
        return try ClassLabels.map(
            values.map { $0 == ClassLabels.none ? $0 : $0 - 1 }, count: count, width: Self.side, file: path,
            absent: nil)
    }

    private func normals(_ path: String, _ image: (height: Int, width: Int), depth: [UInt16]?) throws -> LabelMap {
        let url = root.file(path)
        let stored = try Image.readColours(url)
        var colours: [UInt8] = []
        colours.reserveCapacity(Self.side * Self.side * 3)
        for (index, place) in try places(url, (stored.height, stored.width), image).enumerated() {
            let isMissing = depth.map { $0[index] >= Self.noDepth } ?? false
            for channel in 0..<3 { colours.append(isMissing ? 255 : min(254, stored.pixels[3 * place + channel])) }
        }
        return LabelMap(.bytes(colours), channels: 3)
    }

    private static func depth(_ stored: UInt16) -> Float {
        stored >= noDepth ? 0 : Float(log(1 + Double(stored)) / log(65_536))
    }

    private func strengths(_ path: String, _ image: (height: Int, width: Int), upTo limit: Double) throws -> LabelMap {
        LabelMap(
            .numbers(try numbers(path, image).map { Float(min(Double($0) / 65_536, limit) / limit * 2 - 1) }))
    }
}
