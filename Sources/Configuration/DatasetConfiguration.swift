import Datasets

/// The images and labels: `dataset` in the file.
public struct DatasetConfiguration: Sendable {
    /// Which reader; needed for training and evaluation only.
    public var kind: String?
    /// Folder of a data set on disk.
    public var root: String?
    /// Size of a training crop, pixels.
    public var crop = ImageSize(height: 321, width: 321)
    /// What is done to training images.
    public var augmentation = AugmentationKind.dense
    /// Whether each pass takes the images in a new order.
    public var shuffle = true
    /// Share of `train` that is kept for validation if the data set has no split of that name.
    public var validation = 0.1
    /// The keys of each reader, by its kind, whichever is chosen.
    public private(set) var readers: [String: any Reader]

    /// Creates the defaults.
    public init(readers: Readers = .standard) {
        self.readers = Dictionary(uniqueKeysWithValues: readers.all.map { ($0.kind, $0.init()) })
    }

    /// The chosen reader with its keys; nil where none is chosen.
    public var reader: (any Reader)? { kind.flatMap { readers[$0] } }

    /// The keys of one reader; its defaults where this configuration does not know it.
    public subscript<Kind: Reader>(_ type: Kind.Type) -> Kind {
        get { readers[Kind.kind] as? Kind ?? Kind() }
        set { readers[Kind.kind] = newValue }
    }
}
