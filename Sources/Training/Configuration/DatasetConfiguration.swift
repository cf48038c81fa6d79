import Datasets

/// Where images come from.
public enum DatasetKind: String, Sendable, CaseIterable, ConfigurationChoice {
    /// NYU v2 in the format of the AdaShare authors.
    case nyuV2 = "nyu_v2"
    /// Rooms generated on the host.
    case scenes
}

/// The space in which normals are trained.
public enum NormalSpace: String, Sendable, CaseIterable, ConfigurationChoice {
    /// Decoded to [−1, 1], order (n_x, n_y, n_z).
    case exact
    /// Raw colours 0…255, order B, G, R, as the published code does.
    case published
}

/// A size in pixels, `[H, W]` in the file, or one number for a square.
public struct ImageSize: Sendable, Equatable {
    public var height: Int
    public var width: Int

    /// Creates a size.
    public init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }
}

/// The images and labels: `dataset` in the file.
public struct DatasetConfiguration: Sendable, Equatable {
    /// Which reader; needed for training and evaluation only.
    public var kind: DatasetKind?
    /// Folder of a data set on disk.
    public var root: String?
    /// Size of a training crop, pixels.
    public var crop = ImageSize(height: 321, width: 321)
    /// What is done to training images.
    public var augmentation = AugmentationKind.dense
    /// Whether each pass takes the images in a new order.
    public var shuffle = true
    /// The space in which normals are trained.
    public var normals = NormalSpace.exact
    /// Share of `train` that is kept for validation if the data set has no split of that name.
    public var validation = 0.1
    /// Scenes: number of images.
    public var count = 500
    /// Scenes: image size, pixels.
    public var size = ImageSize(height: 96, width: 128)
    /// Scenes: seed of the generator.
    public var seed = 1
    /// Scenes: what segmentation tells apart.
    public var classes = SceneClasses.shape

    /// Creates the defaults.
    public init() {}
}
