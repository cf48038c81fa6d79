import Foundation

/// NYU v2 in the authors' format: `img/*.png`, `seg/*.png`, `normal_mask/*.png`, `depth/*.npy` and a split file.
///
/// The split file is `nyu_v2_3task.json`: split name → list of [img, seg, normal, depth] relative paths. Without it files
/// are paired by stem and every file is in every split (but for validation, see ``DatasetSplits``).
///
/// One addition to the format: `edges/<stem of the image>.png`, 8-bit grey, where value v means an edge strength of
/// v / 127 − 1 and 255 is invalid.
public struct NYUv2Dataset: DenseDataset {
    public let name = "nyu_v2"
    public let labels: Set<LabelKind>
    public let splits: DatasetSplits
    private let root: URL
    private let classes: Int
    private let entries: [NYUv2Index.Entry]
    private let cache: SampleCache

    public var count: Int { entries.count }

    /// Opens a data set: reads the split file and checks that every file exists, but decodes none.
    ///
    /// - Parameters:
    ///   - root: the folder that holds `img`.
    ///   - labels: the labels to read; only their files need to exist.
    ///   - seed: drives the drawing of splits the data set does not name.
    ///   - validation: share of `train` held out when the data set names no validation split.
    ///   - classes: segmentation labels must be below this, or 255.
    ///   - cacheBytes: limit of host memory for decoded samples.
    /// - Throws: `DatasetError` naming the file, split or label kind at fault.
    public init(
        root: URL, labels: Set<LabelKind>, seed: UInt64, validation: Double = 0.1, classes: Int = 40,
        cacheBytes: Int = 1 << 29
    ) throws {
        if let kind = labels.sorted(by: { $0.rawValue < $1.rawValue }).first(where: { NYUv2Index.folders[$0] == nil }) {
            throw DatasetError(
                "\(root.path): NYU v2 has no \(kind.rawValue) labels, expected segmentation, normals, depth or edges")
        }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: root.path, isDirectory: &isDirectory), isDirectory.boolValue else {
            throw DatasetError("\(root.path): the data set's folder is missing")
        }
        let index = try NYUv2Index(root: root, labels: labels)
        let splits = try DatasetSplits(named: index.named, source: root.path, seed: seed, validation: validation)
        self.splits = splits.adding(notices: index.notices)
        self.root = root
        self.labels = labels
        self.classes = classes
        entries = index.entries
        cache = SampleCache(limit: cacheBytes)
    }

    public func sample(_ index: Int) throws -> DenseSample {
        precondition(entries.indices.contains(index), "sample \(index) of \(entries.count)")
        return try cache.sample(index) { try read(entries[index]) }
    }

    private func read(_ entry: NYUv2Index.Entry) throws -> DenseSample {
        let image = try PNGImage.read(url(entry.image), channels: 3)
        let size = (image.height, image.width)
        var sample = DenseSample(name: entry.stem, height: image.height, width: image.width, image: image.pixels)
        if let path = entry.labels[.segmentation] {
            sample.segmentation = try classMap(path, size: size)
        }
        if let path = entry.labels[.normals] {
            sample.normals = try labelImage(path, channels: 3, size: size)
        }
        if let path = entry.labels[.depth] {
            sample.depth = try depthMap(path, size: size)
        }
        if let path = entry.labels[.edges] {
            sample.edges = try labelImage(path, channels: 1, size: size).map(EdgeCode.strength)
        }
        return sample
    }

    private func url(_ path: String) -> URL { root.appendingPathComponent(path) }

    private func labelImage(_ path: String, channels: Int, size: (height: Int, width: Int)) throws -> [UInt8] {
        let label = try PNGImage.read(url(path), channels: channels)
        guard (label.height, label.width) == size else {
            throw DatasetError(
                "\(url(path).path): \(label.height) x \(label.width) pixels, expected \(size.height) x \(size.width) "
                    + "as in the image")
        }
        return label.pixels
    }

    private func classMap(_ path: String, size: (height: Int, width: Int)) throws -> [UInt8] {
        let pixels = try labelImage(path, channels: 1, size: size)
        var seen = [Bool](repeating: false, count: 256)
        for label in pixels { seen[Int(label)] = true }
        if let label = (0..<255).first(where: { seen[$0] && $0 >= classes }) {
            throw DatasetError("\(url(path).path): found label \(label), expected 0...\(classes - 1) or 255 (ignore)")
        }
        return pixels
    }

    private func depthMap(_ path: String, size: (height: Int, width: Int)) throws -> [Float] {
        let array = try NPYArray.read(url(path))
        guard array.shape == [size.height, size.width] else {
            throw DatasetError(
                "\(url(path).path): shape \(array.shape), expected [\(size.height), \(size.width)] as in the image")
        }
        if let at = array.values.firstIndex(where: { !$0.isFinite }) {
            throw DatasetError(
                "\(url(path).path): found \(array.values[at]) at row \(at / size.width), column \(at % size.width), "
                    + "expected finite metres")
        }
        return array.values
    }
}

/// The 8-bit code of edge strengths: v / 127 − 1 for v in 0...254, 255 = invalid.
enum EdgeCode {
    /// The strength of a code; 255 stays 255.
    static func strength(_ code: UInt8) -> Float {
        code == 255 ? 255 : Float(code) / 127 - 1
    }

    /// The nearest code of a strength in -1...1; 255 stays 255.
    static func code(_ strength: Float) -> UInt8 {
        strength == 255 ? 255 : UInt8(((max(-1, min(1, strength)) + 1) * 127).rounded())
    }
}

extension DatasetSplits {
    /// The same splits with notices put before their own.
    func adding(notices more: [String]) -> DatasetSplits {
        DatasetSplits(
            train: train, train1: train1, train2: train2, validation: validation, test: test, notices: more + notices)
    }

    /// Splits that need no completing.
    init(train: [Int], train1: [Int], train2: [Int], validation: [Int], test: [Int], notices: [String]) {
        self.train = train
        self.train1 = train1
        self.train2 = train2
        self.validation = validation
        self.test = test
        self.notices = notices
    }
}
