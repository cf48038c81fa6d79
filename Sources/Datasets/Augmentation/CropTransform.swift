import AdaShareSupport

/// What images store of a colour.
protocol SampledValue {
    /// The same number.
    var float: Float { get }
}

extension UInt8: SampledValue {
    @inline(__always) var float: Float { Float(self) }
}

extension Float: SampledValue {
    @inline(__always) var float: Float { self }
}

/// Where each row or column of a crop comes from in the source.
package struct AxisMap: Sendable {
    /// Nearest source index for labels; -1 = padding.
    var nearest: [Int] = []
    /// The two source indices the image is interpolated between, and the second one's share.
    package private(set) var low: [Int] = []
    /// As ``low``.
    package private(set) var high: [Int] = []
    /// As ``low``.
    package private(set) var share: [Float] = []
    /// Length of the source.
    let source: Int
    /// The part of the crop that is not padding.
    let inside: Range<Int>

    /// Maps the whole of an axis to another length.
    package init(source: Int, scaled: Int) {
        self.init(crop: scaled, source: source, scaled: scaled, offset: 0, mirrored: false)
    }

    /// Maps an axis.
    ///
    /// Pixel centres are aligned: position i of the scaled axis lies at (i + ½) · source / scaled − ½ in the source.
    /// Labels take the source pixel that holds this centre, so they stay aligned with the interpolated image.
    ///
    /// - Parameters:
    ///   - crop: length of the result.
    ///   - source: length of the source.
    ///   - scaled: length the source is resized to before cropping.
    ///   - offset: where in the scaled axis the crop begins; negative, or too far, gives padding.
    ///   - mirrored: reverses the result.
    init(crop: Int, source: Int, scaled: Int, offset: Int, mirrored: Bool) {
        self.source = source
        let first = max(0, mirrored ? crop - scaled + offset : -offset)
        let end = min(crop, mirrored ? crop + offset : scaled - offset)
        inside = first..<max(first, end)
        for position in 0..<crop {
            let i = (mirrored ? crop - 1 - position : position) + offset
            guard (0..<scaled).contains(i) else {
                nearest.append(-1)
                low.append(0)
                high.append(0)
                share.append(0)
                continue
            }
            nearest.append((2 * i + 1) * source / (2 * scaled))
            let center = max(0, (Float(i) + 0.5) * Float(source) / Float(scaled) - 0.5)
            let base = min(source - 1, Int(center))
            low.append(base)
            high.append(min(source - 1, base + 1))
            share.append(scaled == source ? 0 : center - Float(base))
        }
    }
}

/// A row of an image, interpolated between columns.
private struct AcrossRow {
    /// Which one; −1 at first.
    var row = -1
    var values: [Float]

    init(count: Int) { values = Array(repeating: 0, count: count) }
}

extension AxisMap {
    /// Interpolates a row of an image between its columns, unless that has been done: three values for each position
    /// that is not padding.
    fileprivate func interpolate<Stored: SampledValue>(
        _ image: UnsafePointer<Stored>, _ row: Int, _ order: SIMD3<Int>, into result: inout AcrossRow
    ) {
        guard result.row != row else { return }
        result.row = row
        let pixels = image + 3 * row * source
        let channels = (order.x, order.y, order.z)
        result.values.withUnsafeMutableBufferPointer { values in
            var at = 0
            for x in inside {
                let (left, right, share) = (pixels + 3 * low[x], pixels + 3 * high[x], share[x])
                func value(_ channel: Int) -> Float {
                    left[channel].float + (right[channel].float - left[channel].float) * share
                }
                values[at] = value(channels.0)
                values[at + 1] = value(channels.1)
                values[at + 2] = value(channels.2)
                at += 3
            }
        }
    }
}

/// The geometric part of one sample's augmentation, the same for the image and all its labels.
///
/// Labels keep their values: depth in particular stays in metres and is not divided by the scale, about which the
/// method says nothing. What mirroring does to values is the label format's.
struct CropTransform: Sendable {
    var rows, columns: AxisMap
    var isMirrored: Bool

    /// The whole image as it is.
    init(identity height: Int, _ width: Int) {
        rows = AxisMap(source: height, scaled: height)
        columns = AxisMap(source: width, scaled: width)
        isMirrored = false
    }

    /// The whole image at another size, mirrored or not.
    init(height: Int, width: Int, scaled: (height: Int, width: Int), isMirrored: Bool) {
        rows = AxisMap(source: height, scaled: scaled.height)
        columns = AxisMap(crop: scaled.width, source: width, scaled: scaled.width, offset: 0, mirrored: isMirrored)
        self.isMirrored = isMirrored
    }

    /// Draws a transform: a scale, whether to mirror, and where to crop, all three if any of them is random.
    ///
    /// Where the scaled image is smaller than the crop it is placed at random in it, or in its middle.
    init(
        _ augmentation: Augmentation, height: Int, width: Int, crop: (height: Int, width: Int),
        random: inout CounterRandom
    ) {
        var scale = augmentation.scale.smallest
        isMirrored = false
        if augmentation.movesPixels {
            scale = random.uniform(augmentation.scale.smallest...augmentation.scale.largest)
            let isChosen = random.next() >> 63 == 1
            isMirrored = augmentation.mirror && isChosen
        }
        let scaled = Self.scaled((height, width), by: scale)
        let surplus = (y: scaled.height - crop.height, x: scaled.width - crop.width)
        let offset =
            switch augmentation.crop {
            case .centre: (y: Self.half(surplus.y), x: Self.half(surplus.x))
            case .random: (y: Self.place(surplus.y, &random), x: Self.place(surplus.x, &random))
            }
        rows = AxisMap(crop: crop.height, source: height, scaled: scaled.height, offset: offset.y, mirrored: false)
        columns = AxisMap(crop: crop.width, source: width, scaled: scaled.width, offset: offset.x, mirrored: isMirrored)
    }

    /// A size times a factor, at least one pixel.
    static func scaled(_ size: (height: Int, width: Int), by factor: Double) -> (height: Int, width: Int) {
        (max(1, Int((Double(size.height) * factor).rounded())), max(1, Int((Double(size.width) * factor).rounded())))
    }

    /// Pixels of the crop.
    var pixelCount: Int { rows.nearest.count * columns.nearest.count }

    /// Whether a pixel of the crop, counted row by row, is one of the image; otherwise it is padding.
    func isImage(_ pixel: Int) -> Bool {
        let (row, column) = pixel.quotientAndRemainder(dividingBy: columns.nearest.count)
        return rows.nearest[row] >= 0 && columns.nearest[column] >= 0
    }

    /// Interpolates three values of each pixel; padding is left as it is.
    ///
    ///     y = (x − mean) · factor
    ///
    /// - Parameters:
    ///   - source: the image, shape [height, width, 3].
    ///   - order: which of the source's channels each of the crop's is.
    ///   - target: the crop, shape [rows, columns, 3].
    ///   - mean: of the crop's channels.
    ///   - factor: of the crop's channels.
    func interpolate<Stored: SampledValue>(
        _ source: UnsafeBufferPointer<Stored>, order: SIMD3<Int>, into target: UnsafeMutableBufferPointer<Float>,
        mean: SIMD3<Float> = .zero, factor: SIMD3<Float> = .one
    ) {
        precondition(
            source.count == 3 * rows.source * columns.source && target.count == 3 * pixelCount, "another image")
        let inside = columns.inside
        guard let from = source.baseAddress, !inside.isEmpty else { return }
        let numbers = 3 * inside.count
        func repeated(_ values: SIMD3<Float>) -> [Float] { (0..<numbers).map { values[$0 % 3] } }
        let (means, factors) = (repeated(mean), repeated(factor))
        // Rows of the source interpolated along, and which: the next row of the crop may lie between the same ones.
        var (upper, lower) = (AcrossRow(count: numbers), AcrossRow(count: numbers))
        for y in rows.nearest.indices where rows.nearest[y] >= 0 {
            if lower.row == rows.low[y] { swap(&upper, &lower) }
            columns.interpolate(from, rows.low[y], order, into: &upper)
            columns.interpolate(from, rows.high[y], order, into: &lower)
            let (down, start) = (rows.share[y], 3 * (y * columns.nearest.count + inside.lowerBound))
            upper.values.withUnsafeBufferPointer { above in
                lower.values.withUnsafeBufferPointer { below in
                    means.withUnsafeBufferPointer { means in
                        factors.withUnsafeBufferPointer { factors in
                            for i in 0..<numbers {
                                let colour = above[i] + (below[i] - above[i]) * down
                                target[start + i] = (colour - means[i]) * factors[i]
                            }
                        }
                    }
                }
            }
        }
    }

    /// For every pixel of the crop the pixel of the source it is nearest to, row-major; −1 for padding.
    ///
    /// - Parameter width: of the source.
    func sources(width: Int) -> [Int32] {
        [Int32](unsafeUninitializedCapacity: pixelCount) { pixels, initialized in
            for y in rows.nearest {
                for x in columns.nearest {
                    pixels[initialized] = y < 0 || x < 0 ? -1 : Int32(truncatingIfNeeded: y * width + x)
                    initialized += 1
                }
            }
        }
    }

    /// Half of a surplus, rounded down for deficits too.
    private static func half(_ surplus: Int) -> Int { surplus >> 1 }

    private static func place(_ surplus: Int, _ random: inout CounterRandom) -> Int {
        let offset = random.integer(below: abs(surplus) + 1)
        return surplus < 0 ? -offset : offset
    }
}
