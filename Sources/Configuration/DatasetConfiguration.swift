import AdaShareDatasets

/// The images and labels, and what is done to the images of every data set: `dataset` in the file.
public struct DatasetConfiguration: Sendable {
    /// The reader and its keys.
    public var source: ReaderConfiguration
    /// Size of a training crop, pixels.
    public var crop = ImageSize(height: 321, width: 321)
    /// What is done to training images.
    public var augmentation = Augmentation.dense
    /// Whether each pass takes the images in a new order.
    public var shuffle = true
    /// What is done about samples that cannot be decoded.
    public var onError = OnError.stop
    /// Share of `train` that is kept for validation if the data set has no split of that name.
    public var validation = 0.1

    /// Creates the defaults.
    public init(readers: Readers = .standard) { source = ReaderConfiguration(readers: readers) }

    /// Which reader; needed for training and evaluation only.
    public var kind: String? {
        get { source.kind }
        set { source.kind = newValue }
    }

    /// Folder of a data set on disk.
    public var root: String? {
        get { source.root }
        set { source.root = newValue }
    }

    /// The keys of one reader; its defaults where this configuration does not know it.
    public subscript<Kind: Reader>(_ type: Kind.Type) -> Kind {
        get { source[Kind.self] }
        set { source[Kind.self] = newValue }
    }
}
