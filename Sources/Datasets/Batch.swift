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
    mutating func append(_ sample: Sample, _ transform: CropTransform, colours: ColourTransform? = nil) {
        appendImage(sample, transform, colours)
        appendLabels(sample, transform)
    }

    /// Crops a sample's image, changes its colours and appends them as the network takes them.
    mutating func appendImage(_ sample: Sample, _ transform: CropTransform, _ colours: ColourTransform? = nil) {
        names.append(sample.name)
        let start = image.count
        image.append(contentsOf: repeatElement(0, count: 3 * transform.pixelCount))
        let (order, mean, factor) = (normalisation.order, normalisation.mean, normalisation.factor)
        image.withUnsafeMutableBufferPointer { image in
            let target = UnsafeMutableBufferPointer(rebasing: image[start...])
            sample.image.withUnsafeBufferPointer { source in
                guard let colours else {
                    transform.interpolate(source, order: order, into: target, mean: mean, factor: factor)
                    return
                }
                transform.interpolate(source, order: order, into: target)
                colours.apply(to: target, order: order, isImage: transform.isImage)
                for at in target.indices where transform.isImage(at / 3) {
                    target[at] = (target[at] - mean[at % 3]) * factor[at % 3]
                }
            }
        }
    }

    /// Crops a sample's labels and appends those that are asked for.
    mutating func appendLabels(_ sample: Sample, _ transform: CropTransform) {
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

    /// Images of several batches, one behind the other, without their labels.
    ///
    /// - Precondition: at least one batch, all of one data set and size.
    package init(joining batches: [Batch]) {
        let first = batches[0]
        self.init(
            count: batches.reduce(0) { $0 + $1.count }, height: first.height, width: first.width,
            indices: batches.flatMap(\.indices), dataset: first.dataset, normalisation: first.normalisation)
        image = batches.flatMap(\.image)
    }

    /// Some of the images, without their labels.
    ///
    /// - Parameter images: their places in the batch, in the order of the result.
    package func selecting(_ images: [Int]) -> Batch {
        let size = 3 * height * width
        var result = Batch(
            count: images.count, height: height, width: width, indices: images.map { indices[$0] }, dataset: dataset,
            normalisation: normalisation)
        result.image = images.flatMap { image[$0 * size..<($0 + 1) * size] }
        return result
    }

    /// The same images at another size, mirrored or not, without their labels.
    ///
    /// - Parameters:
    ///   - scale: factor on both sides, which are rounded to whole pixels; images are interpolated as in training.
    ///   - isMirrored: whether left and right are exchanged.
    package func viewed(scale: Double, isMirrored: Bool) -> Batch {
        let size = CropTransform.scaled((height, width), by: scale)
        let transform = CropTransform(height: height, width: width, scaled: size, isMirrored: isMirrored)
        var result = self
        (result.height, result.width, result.labels) = (size.height, size.width, [:])
        result.image = [Float](repeating: 0, count: 3 * count * transform.pixelCount)
        result.image.withUnsafeMutableBufferPointer { target in
            image.withUnsafeBufferPointer { source in
                for index in 0..<count {
                    let (from, to) = (3 * height * width, 3 * transform.pixelCount)
                    transform.interpolate(
                        UnsafeBufferPointer(rebasing: source[index * from..<(index + 1) * from]),
                        order: SIMD3(0, 1, 2),
                        into: UnsafeMutableBufferPointer(rebasing: target[index * to..<(index + 1) * to]))
                }
            }
        }
        return result
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
