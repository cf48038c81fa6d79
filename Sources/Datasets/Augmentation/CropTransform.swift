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
    /// - Parameters:
    ///   - source: the image, shape [height, width, 3].
    ///   - order: which of the source's channels each of the crop's is.
    ///   - target: the crop, shape [rows, columns, 3].
    ///   - finish: makes of an interpolated value and its channel in the crop what is kept.
    @inline(__always)
    func interpolate<Stored: SampledValue>(
        _ source: UnsafeBufferPointer<Stored>, order: SIMD3<Int>, into target: UnsafeMutableBufferPointer<Float>,
        finish: (Float, Int) -> Float
    ) {
        precondition(
            source.count == 3 * rows.source * columns.source && target.count == 3 * pixelCount, "another image")
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        let width = columns.nearest.count
        columns.low.withUnsafeBufferPointer { left in
            columns.high.withUnsafeBufferPointer { right in
                columns.share.withUnsafeBufferPointer { along in
                    for y in rows.nearest.indices where rows.nearest[y] >= 0 {
                        let top = from + 3 * rows.low[y] * columns.source
                        let bottom = from + 3 * rows.high[y] * columns.source
                        let down = rows.share[y]
                        let row = to + 3 * y * width
                        for x in columns.inside {
                            let (a, b) = (top + 3 * left[x], top + 3 * right[x])
                            let (c, d) = (bottom + 3 * left[x], bottom + 3 * right[x])
                            for channel in 0..<3 {
                                let at = order[channel]
                                let upper = a[at].float + (b[at].float - a[at].float) * along[x]
                                let lower = c[at].float + (d[at].float - c[at].float) * along[x]
                                row[3 * x + channel] = finish(upper + (lower - upper) * down, channel)
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
    func sources(width: Int) -> [Int] {
        [Int](unsafeUninitializedCapacity: pixelCount) { pixels, initialized in
            for y in rows.nearest {
                for x in columns.nearest {
                    pixels[initialized] = y < 0 || x < 0 ? -1 : y * width + x
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
