/// Images and labels of one training step in the layout and value range the network takes.
///
/// Label arrays that were not asked for are empty.
public struct Batch: Sendable, Equatable {
    /// Blue, green and red means that are subtracted from 0...255 values.
    public static let meanBGR: (blue: Float, green: Float, red: Float) = (104.00698793, 116.66876762, 122.67891434)

    /// Number of images N.
    public var count: Int
    /// Size of every image, pixels.
    public var height, width: Int
    /// Which samples of the data set these are.
    public var indices: [Int]
    /// Names of the data set and of the samples, for errors.
    public var dataset = ""
    public private(set) var names: [String] = []
    /// B,G,R 0...255 minus ``meanBGR``, shape [N, height, width, 3]; padding is 0.
    public var image: [Float] = []
    /// Classes, shape [N, height, width]; 255 = ignore and padding.
    public var segmentation: [Int32] = []
    /// Normals as raw colours R,G,B 0...255, shape [N, height, width, 3]; padding is 255.
    public var normals: [Float] = []
    /// Metres, shape [N, height, width]; padding is 0.
    public var depth: [Float] = []
    /// Strengths in -1...1, shape [N, height, width]; 255 = invalid and padding.
    public var keypoints: [Float] = []
    /// Strengths in -1...1, shape [N, height, width]; 255 = invalid and padding.
    public var edges: [Float] = []

    /// Creates a batch without pixels.
    public init(count: Int, height: Int, width: Int, indices: [Int], dataset: String = "") {
        self.dataset = dataset
        self.count = count
        self.height = height
        self.width = width
        self.indices = indices
    }

    /// Makes room for all images, so that appending never moves what is there.
    mutating func reserve(_ labels: Set<LabelKind>) {
        let pixels = count * height * width
        image.reserveCapacity(3 * pixels)
        if labels.contains(.segmentation) { segmentation.reserveCapacity(pixels) }
        if labels.contains(.normals) { normals.reserveCapacity(3 * pixels) }
        if labels.contains(.depth) { depth.reserveCapacity(pixels) }
        if labels.contains(.keypoints) { keypoints.reserveCapacity(pixels) }
        if labels.contains(.edges) { edges.reserveCapacity(pixels) }
    }

    /// Crops a sample and appends its pixels.
    ///
    /// - Throws: `DatasetError` if the sample lacks a label that was asked for.
    mutating func append(_ sample: DenseSample, _ transform: CropTransform, labels: Set<LabelKind>) throws {
        func required<T>(_ kind: LabelKind, _ values: [T]?) throws -> [T] {
            guard let values else { throw DatasetError("\(sample.name): the sample has no \(kind.rawValue) label") }
            return values
        }
        names.append(sample.name)
        appendImage(sample, transform)
        if labels.contains(.segmentation) {
            let source = try required(.segmentation, sample.segmentation)
            Self.gather(sample, transform, padding: 255, into: &segmentation) { Int32(source[$0]) }
        }
        if labels.contains(.normals) {
            appendNormals(try required(.normals, sample.normals), sample, transform)
        }
        if labels.contains(.depth) {
            let source = try required(.depth, sample.depth)
            Self.gather(sample, transform, padding: 0, into: &depth) { source[$0] }
        }
        if labels.contains(.keypoints) {
            let source = try required(.keypoints, sample.keypoints)
            Self.gather(sample, transform, padding: 255, into: &keypoints) { source[$0] }
        }
        if labels.contains(.edges) {
            let source = try required(.edges, sample.edges)
            Self.gather(sample, transform, padding: 255, into: &edges) { source[$0] }
        }
    }

    /// Checks that every class label is a class of a task or to be ignored, whoever made the data set.
    ///
    /// - Throws: `DatasetError` naming data set, sample and pixel, what was found and what was expected.
    public func checkClasses(of task: String, count classes: Int, ignoring ignored: Int) throws {
        func isBad(_ label: Int32) -> Bool { !(0..<classes ~= Int(label)) && Int(label) != ignored }
        guard let place = segmentation.firstIndex(where: isBad) else { return }
        let (image, pixel) = place.quotientAndRemainder(dividingBy: height * width)
        let sample = names.indices.contains(image) ? names[image] : "image \(image) of a batch"
        throw DatasetError(
            (dataset.isEmpty ? "" : dataset + ": ")
                + "\(sample): segmentation label \(segmentation[place]) at row \(pixel / width), "
                + "column \(pixel % width) of the crop, expected 0 to \(classes - 1), the classes of task \(task), or \(ignored) for none"
        )
    }

    /// Appends the nearest source pixel for every pixel of the crop.
    private static func gather<T>(
        _ sample: DenseSample, _ transform: CropTransform, padding: T, into target: inout [T], _ value: (Int) -> T
    ) {
        for y in transform.rows.nearest {
            for x in transform.columns.nearest {
                target.append(y < 0 || x < 0 ? padding : value(y * sample.width + x))
            }
        }
    }

    private mutating func appendNormals(_ source: [UInt8], _ sample: DenseSample, _ transform: CropTransform) {
        for y in transform.rows.nearest {
            for x in transform.columns.nearest {
                guard y >= 0, x >= 0 else {
                    normals.append(255)
                    normals.append(255)
                    normals.append(255)
                    continue
                }
                let at = 3 * (y * sample.width + x)
                var red = source[at]
                if transform.isMirrored, max(red, source[at + 1], source[at + 2]) < 255 {
                    // 255 would make a valid pixel invalid.
                    red = min(254, 255 - red)
                }
                normals.append(Float(red))
                normals.append(Float(source[at + 1]))
                normals.append(Float(source[at + 2]))
            }
        }
    }

    private mutating func appendImage(_ sample: DenseSample, _ transform: CropTransform) {
        let (rows, columns, mean) = (transform.rows, transform.columns, Self.meanBGR)
        sample.image.withUnsafeBufferPointer { source in
            for y in rows.nearest.indices {
                let top = rows.low[y] * sample.width
                let bottom = rows.high[y] * sample.width
                let down = rows.share[y]
                for x in columns.nearest.indices {
                    guard rows.nearest[y] >= 0, columns.nearest[x] >= 0 else {
                        image.append(0)
                        image.append(0)
                        image.append(0)
                        continue
                    }
                    let (left, right, along) = (columns.low[x], columns.high[x], columns.share[x])
                    let corners = (3 * (top + left), 3 * (top + right), 3 * (bottom + left), 3 * (bottom + right))
                    func blend(_ channel: Int) -> Float {
                        let a = Float(source[corners.0 + channel])
                        let b = Float(source[corners.1 + channel])
                        let c = Float(source[corners.2 + channel])
                        let d = Float(source[corners.3 + channel])
                        let upper = a + (b - a) * along
                        return upper + (c + (d - c) * along - upper) * down
                    }
                    image.append(blend(2) - mean.blue)
                    image.append(blend(1) - mean.green)
                    image.append(blend(0) - mean.red)
                }
            }
        }
    }
}

/// One whole, unaugmented image with its labels as a batch of one.
///
/// - Throws: what reading the sample throws, or `DatasetError` if the data set lacks a label.
public func evaluationBatch(dataset: any DenseDataset, index: Int, labels: Set<LabelKind>) throws -> Batch {
    let sample = try dataset.sample(index)
    var batch = Batch(
        count: 1, height: sample.height, width: sample.width, indices: [index], dataset: dataset.name)
    try batch.append(sample, CropTransform(identity: sample.height, sample.width), labels: labels)
    return batch
}

/// An image alone as the network's input, shape [1, height, width, 3]: B,G,R 0...255 minus ``Batch/meanBGR``.
///
/// - Precondition: the image has three channels.
public func networkInput(_ image: PNGImage) -> [Float] {
    precondition(image.channels == 3, "found \(image.channels) channels, expected 3")
    let mean = Batch.meanBGR
    var input: [Float] = []
    input.reserveCapacity(image.pixels.count)
    for at in stride(from: 0, to: image.pixels.count, by: 3) {
        input.append(Float(image.pixels[at + 2]) - mean.blue)
        input.append(Float(image.pixels[at + 1]) - mean.green)
        input.append(Float(image.pixels[at]) - mean.red)
    }
    return input
}
