import AdaShareFiles
import AdaShareSupport

/// Images and labels of one training step in the layout and value range the network takes.
public struct Batch: Sendable, Equatable {
    /// Number of images N.
    public var count: Int
    /// Size of every image, pixels.
    public var height, width: Int
    /// Which samples of the data set these are.
    public var indices: [Int]
    /// Samples that others stand in for.
    public internal(set) var skipped: [SkippedSample] = []
    /// Name of the data set, for errors.
    public var dataset = ""
    /// Names of the samples, for errors.
    public private(set) var names: [String] = []
    /// How colours became numbers.
    public var normalisation: ImageNormalisation
    /// Normalised colours, shape [N, height, width, 3]; padding is 0.
    public var image: [Float] = []
    /// Labels by name, those that were asked for.
    public var labels: [String: BatchLabels] = [:]

    /// Creates a batch without pixels.
    public init(
        count: Int, height: Int, width: Int, indices: [Int], dataset: String = "",
        normalisation: ImageNormalisation = .published
    ) {
        self.normalisation = normalisation
        self.dataset = dataset
        self.count = count
        self.height = height
        self.width = width
        self.indices = indices
    }

    /// Makes room for all images, so that appending never moves what is there, and for the labels that are asked for.
    mutating func reserve(_ requests: [LabelRequest]) {
        let pixels = height * width
        image.reserveCapacity(3 * count * pixels)
        for request in requests {
            var label = BatchLabels(format: request.format)
            label.reserve(images: count, pixels: pixels)
            labels[request.name] = label
        }
    }

    /// Crops a sample and appends its pixels and, of the labels that are asked for, those it has.
    mutating func append(_ sample: Sample, _ transform: CropTransform) {
        names.append(sample.name)
        appendImage(sample, transform)
        let sources = transform.sources(width: sample.width)
        for name in labels.keys {
            labels[name]?.append(sample.labels[name], at: sources, isMirrored: transform.isMirrored)
        }
    }

    /// Checks that every class label is a class of a task or to be ignored, whoever made the data set.
    ///
    /// - Parameters:
    ///   - task: the task that reads the label, for the message.
    ///   - label: the label's name.
    ///   - classes: number of classes C: 0 to C − 1 are classes.
    ///   - ignored: the value that stands for no label.
    /// - Throws: `InputError` naming data set, sample and pixel, what was found and what was expected.
    public func checkClasses(of task: String, label: String, count classes: Int, ignoring ignored: Int) throws {
        guard let labels = labels[label], labels.format.element == .classes else { return }
        func isBad(_ value: Int32) -> Bool { !(0..<classes ~= Int(value)) && Int(value) != ignored }
        guard let place = labels.classes.firstIndex(where: isBad) else { return }
        let perImage = labels.format.extent == .pixels ? height * width : 1
        let (image, pixel) = place.quotientAndRemainder(dividingBy: perImage)
        let sample = names.indices.contains(image) ? names[image] : "image \(image) of a batch"
        let spot =
            labels.format.extent == .pixels ? " at row \(pixel / width), column \(pixel % width) of the crop" : ""
        throw InputError(
            file: dataset.isEmpty ? "data set" : dataset, place: sample,
            found: "\(label) label \(labels.classes[place])\(spot)",
            expected: "0 to \(classes - 1), the classes of task \(task), or \(ignored) for none")
    }

    private mutating func appendImage(_ sample: Sample, _ transform: CropTransform) {
        let (rows, columns) = (transform.rows, transform.columns)
        let (order, mean, factor) = (normalisation.order, normalisation.mean, normalisation.factor)
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
                    image.append((blend(order.x) - mean.x) * factor.x)
                    image.append((blend(order.y) - mean.y) * factor.y)
                    image.append((blend(order.z) - mean.z) * factor.z)
                }
            }
        }
    }
}

extension Batch {
    /// One whole, unaugmented image with its labels as a batch of one.
    ///
    /// - Throws: what reading the sample throws.
    public init(whole index: Int, of dataset: any Dataset, labels: [LabelRequest]) throws {
        let sample = try dataset.sample(index)
        self.init(
            count: 1, height: sample.height, width: sample.width, indices: [index], dataset: dataset.name,
            normalisation: dataset.normalisation)
        reserve(labels)
        append(sample, CropTransform(identity: sample.height, sample.width))
    }
}

/// An image alone as the network's input, shape [1, height, width, 3].
///
/// - Precondition: the image has three channels.
public func networkInput(_ image: Image, _ normalisation: ImageNormalisation = .published) -> [Float] {
    precondition(image.channels == 3, "found \(image.channels) channels, expected 3")
    let (order, mean, factor) = (normalisation.order, normalisation.mean, normalisation.factor)
    var input: [Float] = []
    input.reserveCapacity(image.pixels.count)
    for at in stride(from: 0, to: image.pixels.count, by: 3) {
        input.append((Float(image.pixels[at + order.x]) - mean.x) * factor.x)
        input.append((Float(image.pixels[at + order.y]) - mean.y) * factor.y)
        input.append((Float(image.pixels[at + order.z]) - mean.z) * factor.z)
    }
    return input
}
