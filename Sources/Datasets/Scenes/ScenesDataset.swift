/// Generated rooms with boxes, spheres and cylinders, ray-cast on the host: images with exact labels and no download.
///
/// Sample i is a pure function of (seed, i, height, width), but for what its segmentation labels tell apart. Colours and
/// textures are drawn independently of shape, so segmentation by shape is blind to texture, by pattern to shape; normals
/// need shading, and depth needs layout.
///
/// Splits by index: the first 80 % are `train` (of these the first 80 % `train1`, the rest `train2`), then 10 %
/// `validation` and 10 % `test`.
public struct ScenesDataset: DenseDataset {
    /// The labels every scene can carry.
    public static let availableLabels: Set<LabelKind> = [.segmentation, .normals, .depth, .edges]

    public let name = "scenes"
    public let count: Int
    public let labels: Set<LabelKind>
    public let splits: DatasetSplits
    /// Size of every image, pixels.
    public let height, width: Int
    /// What the segmentation labels tell apart.
    public let classes: SceneClasses
    private let seed: UInt64
    private let cache: SampleCache

    /// Creates the data set; nothing is generated yet.
    ///
    /// - Parameters:
    ///   - count: number of scenes, at least 1.
    ///   - height: pixels, 8...4096.
    ///   - width: pixels, 8...4096.
    ///   - seed: another seed gives other scenes.
    ///   - classes: what the segmentation labels tell apart; everything else stays the same.
    ///   - labels: the labels to generate.
    ///   - cacheBytes: limit of host memory for generated samples.
    /// - Throws: `DatasetError` for a count or size out of range, or a label scenes do not have.
    public init(
        count: Int, height: Int, width: Int, seed: UInt64, classes: SceneClasses = .shape,
        labels: Set<LabelKind> = Self.availableLabels, cacheBytes: Int = 1 << 29
    ) throws {
        guard (1...1_000_000).contains(count) else {
            throw DatasetError("scenes: count \(count), expected 1...1000000")
        }
        guard (8...4096).contains(height), (8...4096).contains(width) else {
            throw DatasetError("scenes: size \(height) x \(width), expected 8...4096 pixels each way")
        }
        if let kind = labels.subtracting(Self.availableLabels).map(\.rawValue).min() {
            throw DatasetError("scenes: there are no \(kind) labels, expected segmentation, normals, depth or edges")
        }
        self.count = count
        self.height = height
        self.width = width
        self.seed = seed
        self.classes = classes
        self.labels = labels
        let held = count / 10
        let train = count - 2 * held
        let first = max(1, train * 4 / 5)
        splits = DatasetSplits(
            train: Array(0..<train), train1: Array(0..<first), train2: Array(first..<train),
            validation: Array(train..<train + held), test: Array(train + held..<count),
            notices: held == 0 ? ["scenes: \(count) scenes are too few for a validation and a test split."] : [])
        cache = SampleCache(limit: cacheBytes)
    }

    public func sample(_ index: Int) throws -> DenseSample {
        precondition((0..<count).contains(index), "scene \(index) of \(count)")
        return cache.sample(index) { generate(index) }
    }

    private func generate(_ index: Int) -> DenseSample {
        let noise = CounterRandom(seed: seed, name: "sensor", UInt64(index))
        let rendering = Scene(seed: seed, index: index).render(height: height, width: width, noise: noise)
        let segmentation =
            switch classes {
            case .shape: rendering.classes
            case .pattern: rendering.patterns
            }
        let digits = String(index)
        return DenseSample(
            name: String(repeating: "0", count: max(0, 6 - digits.count)) + digits, height: height, width: width,
            image: rendering.image, segmentation: labels.contains(.segmentation) ? segmentation : nil,
            normals: labels.contains(.normals) ? Self.colours(rendering.normals) : nil,
            depth: labels.contains(.depth) ? rendering.depth : nil,
            edges: labels.contains(.edges) ? SceneEdges.strengths(rendering, height: height, width: width) : nil)
    }

    /// Normals as colours (n + 1)·127.5, rounded; at most 254 because 255 means invalid.
    private static func colours(_ normals: [Vector3]) -> [UInt8] {
        var colours: [UInt8] = []
        colours.reserveCapacity(3 * normals.count)
        for normal in normals {
            for part in [normal.x, normal.y, normal.z] {
                colours.append(UInt8(max(0, min(254, ((part + 1) * 127.5).rounded()))))
            }
        }
        return colours
    }
}
