/// A kind of dense label; one task learns one kind.
public enum LabelKind: String, Sendable, CaseIterable, Codable {
    case segmentation, normals, depth, keypoints, edges
}

/// One decoded, unaugmented image with its labels, all of the same height and width, row-major.
///
/// Labels that were not asked for are nil.
public struct DenseSample: Sendable, Equatable {
    /// The file stem or generated name, unique within its data set.
    public var name: String
    /// Pixels from top to bottom.
    public var height: Int
    /// Pixels from left to right.
    public var width: Int
    /// Colours R,G,B, shape [height, width, 3].
    public var image: [UInt8]
    /// Class of each pixel, shape [height, width]; 255 = ignore.
    public var segmentation: [UInt8]?
    /// Normals as colours R,G,B = (n + 1)·127.5 rounded, shape [height, width, 3]; a largest channel of 255 = invalid.
    public var normals: [UInt8]?
    /// Depth in metres, shape [height, width]; at most 3e-5 = invalid.
    public var depth: [Float]?
    /// Keypoint strength in -1...1, shape [height, width]; 255 = invalid.
    public var keypoints: [Float]?
    /// Edge strength in -1...1, shape [height, width]; 255 = invalid.
    public var edges: [Float]?

    /// Creates a sample; shapes are as documented on the properties.
    public init(
        name: String, height: Int, width: Int, image: [UInt8], segmentation: [UInt8]? = nil, normals: [UInt8]? = nil,
        depth: [Float]? = nil, keypoints: [Float]? = nil, edges: [Float]? = nil
    ) {
        self.name = name
        self.height = height
        self.width = width
        self.image = image
        self.segmentation = segmentation
        self.normals = normals
        self.depth = depth
        self.keypoints = keypoints
        self.edges = edges
    }

    /// Host memory the pixels take, bytes.
    var byteCount: Int {
        let bytes = image.count + (segmentation?.count ?? 0) + (normals?.count ?? 0)
        let floats = (depth?.count ?? 0) + (keypoints?.count ?? 0) + (edges?.count ?? 0)
        return bytes + 4 * floats
    }
}

/// Images with dense labels, addressed by index.
public protocol DenseDataset: Sendable {
    /// The data set's kind, for logs.
    var name: String { get }
    /// Number of samples.
    var count: Int { get }
    /// The labels every sample carries.
    var labels: Set<LabelKind> { get }
    /// Which samples belong to which split.
    var splits: DatasetSplits { get }
    /// Decodes or generates one sample; the same index always gives the same sample.
    ///
    /// - Throws: `DatasetError` naming the file at fault.
    /// - Precondition: `index` lies in `0..<count`.
    func sample(_ index: Int) throws -> DenseSample
}
