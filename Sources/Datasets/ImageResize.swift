import Foundation

/// Images and labels brought to another size.
enum ImageResize {
    /// Smooth: every pixel is the mean of those below a triangle as wide as two pixels of the smaller image, so that
    /// shrinking loses no detail to chance.
    ///
    /// - Parameters:
    ///   - pixels: shape [height, width, 3], row-major.
    ///   - size: of the image.
    ///   - wanted: of the result.
    static func smooth(
        _ pixels: [UInt8], _ size: (height: Int, width: Int), to wanted: (height: Int, width: Int)
    ) -> [UInt8] {
        guard size != wanted else { return pixels }
        let (columns, rows) = (weights(size.width, wanted.width), weights(size.height, wanted.height))
        // [height, wanted.width, 3]
        var across = [Float](repeating: 0, count: size.height * wanted.width * 3)
        for y in 0..<size.height {
            for (x, (first, shares)) in columns.enumerated() {
                let target = (y * wanted.width + x) * 3
                for (offset, share) in shares.enumerated() {
                    let source = (y * size.width + first + offset) * 3
                    for channel in 0..<3 { across[target + channel] += share * Float(pixels[source + channel]) }
                }
            }
        }
        var result: [UInt8] = []
        result.reserveCapacity(wanted.height * wanted.width * 3)
        for (first, shares) in rows {
            for column in 0..<wanted.width * 3 {
                var sum: Float = 0
                for (offset, share) in shares.enumerated() {
                    sum += share * across[(first + offset) * wanted.width * 3 + column]
                }
                result.append(UInt8(max(0, min(255, sum.rounded()))))
            }
        }
        return result
    }

    /// For each pixel of a resized image the one it is taken from, row-major: ⌊i · source / wanted⌋ on both axes.
    static func nearest(_ size: (height: Int, width: Int), to wanted: (height: Int, width: Int)) -> [Int] {
        (0..<wanted.height).flatMap { y in
            let row = y * size.height / wanted.height * size.width
            return (0..<wanted.width).map { x in row + x * size.width / wanted.width }
        }
    }

    /// The first source pixel of each wanted one, and the shares of it and those after it; shares add up to 1.
    private static func weights(_ source: Int, _ wanted: Int) -> [(first: Int, shares: [Float])] {
        let step = Double(source) / Double(wanted)
        let reach = max(1, step)
        return (0..<wanted).map { index in
            let center = (Double(index) + 0.5) * step
            let first = max(0, Int((center - reach + 0.5).rounded(.down)))
            let end = min(source, Int((center + reach + 0.5).rounded(.down)))
            let shares = (first..<max(end, first + 1)).map { max(0, 1 - abs(Double($0) + 0.5 - center) / reach) }
            let sum = shares.reduce(0, +)
            return (first, shares.map { Float($0 / sum) })
        }
    }
}

extension Sample {
    /// The same image, smoothly brought to a size; labels of pixels are those of the nearest pixel, with their values
    /// as they are.
    func resized(to wanted: (height: Int, width: Int)) -> Sample {
        guard (height, width) != wanted else { return self }
        let pixels = ImageResize.nearest((height, width), to: wanted)
        var sample = Sample(
            name: name, height: wanted.height, width: wanted.width,
            image: ImageResize.smooth(image, (height, width), to: wanted))
        // A label of the whole image has no pixels; of an image of one pixel either reading is right.
        sample.labels = labels.mapValues {
            height * width > 1 && $0.count == $0.channels ? $0 : $0.taken(pixels)
        }
        return sample
    }
}

extension LabelMap {
    /// The label with a pixel for each of `pixels`, which is the one it is taken from.
    func taken(_ pixels: [Int]) -> LabelMap {
        func taken<Value>(_ values: [Value]) -> [Value] {
            guard channels > 1 else { return pixels.map { values[$0] } }
            var result: [Value] = []
            result.reserveCapacity(pixels.count * channels)
            for pixel in pixels { result += values[pixel * channels..<(pixel + 1) * channels] }
            return result
        }
        let all: Values =
            switch values {
            case .bytes(let values): .bytes(taken(values))
            case .integers(let values): .integers(taken(values))
            case .numbers(let values): .numbers(taken(values))
            }
        return LabelMap(all, channels: channels, absent: absent)
    }
}

/// A data set whose images are brought to one size as they are read.
struct ResizedDataset: Dataset {
    private let base: any Dataset
    private let size: ImageSize
    private let cache: SampleCache

    /// - Parameters:
    ///   - base: should keep no samples itself: those of the wanted size are kept here.
    ///   - cacheBytes: limit of host memory for them.
    init(_ base: any Dataset, to size: ImageSize, cacheBytes: Int) {
        self.base = base
        self.size = size
        cache = SampleCache(limit: cacheBytes)
    }

    var name: String { base.name }
    var count: Int { base.count }
    var labels: Set<String> { base.labels }
    var splits: DatasetSplits { base.splits }
    var normalisation: ImageNormalisation { base.normalisation }
    var classNames: [String: [String]] { base.classNames }

    func carries(_ label: String, at index: Int) -> Bool { base.carries(label, at: index) }

    func imageFile(at index: Int) -> URL? { base.imageFile(at: index) }

    func sample(_ index: Int) throws -> Sample {
        try cache.sample(index) { try base.sample(index).resized(to: (size.height, size.width)) }
    }
}
