import AdaShareSchema
import AdaShareSupport

/// How the augmentation of images is done.
public enum AugmentationKind: String, Codable, Sendable, ConfigurationChoice {
    /// Centre crop, padded evenly where the image is smaller; no scaling, no mirroring.
    case none
    /// Scale 0.5–1.5, mirror, pad, random crop.
    case dense
}

/// Where each row or column of a crop comes from in the source.
struct AxisMap: Sendable {
    /// Nearest source index for labels; -1 = padding.
    var nearest: [Int] = []
    /// The two source indices the image is interpolated between, and the second one's share.
    var low: [Int] = []
    var high: [Int] = []
    var share: [Float] = []

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
        rows = AxisMap(crop: height, source: height, scaled: height, offset: 0, mirrored: false)
        columns = AxisMap(crop: width, source: width, scaled: width, offset: 0, mirrored: false)
        isMirrored = false
    }

    /// Draws a transform, or takes the centre for `.none`, which draws nothing.
    ///
    /// The scale is uniform in 0.5...1.5. Where the scaled image is smaller than the crop it is placed at random in it.
    init(
        _ kind: AugmentationKind, height: Int, width: Int, crop: (height: Int, width: Int), random: inout CounterRandom
    ) {
        var scaled = (height: height, width: width)
        var offset: (y: Int, x: Int)
        switch kind {
        case .none:
            offset = (Self.half(height - crop.height), Self.half(width - crop.width))
            isMirrored = false
        case .dense:
            let scale = random.uniform(0.5...1.5)
            scaled.height = max(1, Int((Double(height) * scale).rounded()))
            scaled.width = max(1, Int((Double(width) * scale).rounded()))
            isMirrored = random.next() >> 63 == 1
            offset.y = Self.place(scaled.height - crop.height, &random)
            offset.x = Self.place(scaled.width - crop.width, &random)
        }
        rows = AxisMap(crop: crop.height, source: height, scaled: scaled.height, offset: offset.y, mirrored: false)
        columns = AxisMap(crop: crop.width, source: width, scaled: scaled.width, offset: offset.x, mirrored: isMirrored)
    }

    /// For every pixel of the crop the pixel of the source it is nearest to, row-major; −1 for padding.
    ///
    /// - Parameter width: of the source.
    func sources(width: Int) -> [Int] {
        var pixels: [Int] = []
        pixels.reserveCapacity(rows.nearest.count * columns.nearest.count)
        for y in rows.nearest {
            for x in columns.nearest { pixels.append(y < 0 || x < 0 ? -1 : y * width + x) }
        }
        return pixels
    }

    /// Half of a surplus, rounded down for deficits too.
    private static func half(_ surplus: Int) -> Int { surplus >> 1 }

    private static func place(_ surplus: Int, _ random: inout CounterRandom) -> Int {
        let offset = random.integer(below: abs(surplus) + 1)
        return surplus < 0 ? -offset : offset
    }
}
