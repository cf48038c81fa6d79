import AdaShareSchema
import AdaShareSupport

/// The reader that generates rooms instead of reading them.
public struct Scenes: Reader {
    public static let kind = "scenes"
    public static let meaning = "rooms generated on the host"
    public static let needsRoot = false

    /// Number of images.
    public var count = 500
    /// Image size, pixels.
    public var size = ImageSize(height: 96, width: 128)
    /// Seed of the generator.
    public var seed = 1
    /// What the labels `segmentation` tell apart.
    public var classes = SceneClasses.shape

    public init() {}

    public static var fields: [ConfigurationField<Scenes>] {
        [
            .key("count", \.count, in: 1...1_000_000, "Scenes: number of images."),
            .key("size", \.size, in: 8...4096, "Scenes: size of the images."),
            .key("seed", \.seed, in: .seeds, "Scenes: seed of the generator."),
            .key(
                "classes", \.classes,
                "Scenes: what segmentation tells apart. `shape`: floor, wall, ceiling, box, sphere, cylinder, 6 "
                    + "classes. `pattern`: plain, checker, stripes, noise, 4 classes, drawn independently of shape, "
                    + "so that segmentation must see what normals and depth must be blind to. Images and other "
                    + "labels are the same."
            ),
        ]
    }

    public func classNames(of label: String, count: Int) -> [String]? {
        label == "segmentation" && count == classes.names.count ? classes.names : nil
    }

    public func validate(chosen: String?, file: String) throws {
        guard classes != .shape, let chosen, chosen != Self.kind else { return }
        throw InputError(
            file: file, place: "dataset.classes", found: "\(classes.rawValue) with dataset.kind \(chosen)",
            expected: "no such key, or dataset.kind scenes: only generated scenes have a choice of classes")
    }

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        try request.check(against: ScenesDataset.offers, source: Self.kind)
        let names = classes.names.count
        for label in request.labels {
            guard let found = label.classes, found < names else { continue }
            throw InputError(
                file: "configuration", place: "\(label.place).channels", found: "\(found)",
                expected: "at least \(names), the classes of generated scenes with dataset.classes "
                    + classes.rawValue)
        }
        return try ScenesDataset(
            count: count, height: size.height, width: size.width, seed: UInt64(seed), classes: classes,
            labels: Set(request.labels.map(\.name)), cacheBytes: request.cacheBytes)
    }
}

extension SceneClasses: ConfigurationChoice {}

/// Generated rooms with boxes, spheres and cylinders, ray-cast on the host: images with exact labels and no download.
///
/// Sample i is a pure function of (seed, i, height, width), but for what its segmentation labels tell apart. Colours
/// and textures are drawn independently of shape, so segmentation by shape is blind to texture, by pattern to shape;
/// normals need shading, and depth needs layout.
///
/// Splits by index: the first 80 % are `train` (of these the first 80 % `train1`, the rest `train2`), then 10 %
/// `validation` and 10 % `test`.
public struct ScenesDataset: Dataset {
    /// The labels every scene can carry, by name: classes, colours of normals, metres, strengths.
    public static let offers = NYUv2Dataset.offers

    public let name = "scenes"
    public let count: Int
    public let labels: Set<String>
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
    /// - Throws: `InputError` for a count or size out of range, or a label scenes do not have.
    public init(
        count: Int, height: Int, width: Int, seed: UInt64, classes: SceneClasses = .shape,
        labels: Set<String> = Set(Self.offers.keys), cacheBytes: Int = 1 << 29
    ) throws {
        guard (1...1_000_000).contains(count) else {
            throw InputError(file: "scenes", place: "count", found: "\(count)", expected: "1...1000000")
        }
        guard (8...4096).contains(height), (8...4096).contains(width) else {
            throw InputError(
                file: "scenes", place: "size", found: dimensions(height: height, width: width),
                expected: "8...4096 pixels each way")
        }
        if let name = labels.subtracting(Self.offers.keys).min() {
            throw InputError(
                file: "scenes", found: "no \(name) labels", expected: Self.offers.keys.sorted().joined(separator: ", "))
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

    public func sample(_ index: Int) throws -> Sample {
        precondition((0..<count).contains(index), "scene \(index) of \(count)")
        return cache.sample(index) { generate(index) }
    }

    private func generate(_ index: Int) -> Sample {
        let noise = CounterRandom(seed: seed, name: "sensor", UInt64(index))
        let rendering = Scene(seed: seed, index: index).render(height: height, width: width, noise: noise)
        let segmentation =
            switch classes {
            case .shape: rendering.classes
            case .pattern: rendering.patterns
            }
        let digits = String(index)
        var sample = Sample(
            name: String(repeating: "0", count: max(0, 6 - digits.count)) + digits, height: height, width: width,
            image: rendering.image)
        for label in labels {
            sample.labels[label] =
                switch label {
                case "segmentation": LabelMap(.bytes(segmentation), absent: 255)
                case "normals": LabelMap(.bytes(Self.colours(rendering.normals)), channels: 3)
                case "depth": LabelMap(.numbers(rendering.depth))
                default: LabelMap(.numbers(SceneEdges.strengths(rendering, height: height, width: width)))
                }
        }
        return sample
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
