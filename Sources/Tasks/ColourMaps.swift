import Foundation

/// Colours for label maps and predictions, as 8-bit R, G, B.
public enum ColourMap {
    /// A distinct colour per class: hues a golden angle apart, three levels of brightness.
    public static func classColour(_ index: Int) -> (UInt8, UInt8, UInt8) {
        let hue = (Double(index) * 0.618_033_988_75).truncatingRemainder(dividingBy: 1) * 6
        let value = [0.95, 0.7, 0.5][index / 2 % 3]
        func channel(_ offset: Double) -> UInt8 {
            let k = (offset + hue).truncatingRemainder(dividingBy: 6)
            return UInt8((value * (1 - 0.75 * max(0, min(k, 4 - k, 1))) * 255).rounded())
        }
        return (channel(5), channel(3), channel(1))
    }

    /// A colour for a number in 0…1, from dark violet over teal to light yellow: lightness grows all along, and equal
    /// differences of `t` look equally large. Numbers beyond take the colour of the end, NaN that of no label.
    ///
    /// The path in OKLab, of which colours are taken at equal distances:
    ///
    ///     L = 0.25 + 0.67 s,  hue = 290° − 185° s,  chroma = 0.086 + 0.2 (s − ½)²
    ///
    /// It lies within sRGB, so nothing is clipped.
    ///
    /// - Source: OKLab and its matrices: Ottosson 2020, "A perceptual color space for image processing".
    public static func scale(_ t: Double) -> (UInt8, UInt8, UInt8) {
        guard !t.isNaN else { return Pictures.withoutLabel }
        return table[Int((max(0, min(1, t)) * Double(table.count - 1)).rounded())]
    }

    private static let table: [(UInt8, UInt8, UInt8)] = {
        let steps = 2048
        let points = (0...steps).map { path(Double($0) / Double(steps)) }
        var lengths = [0.0]
        for (a, b) in zip(points, points.dropFirst()) {
            lengths.append(lengths[lengths.count - 1] + ((b - a) * (b - a)).sum().squareRoot())
        }
        var at = 0
        return (0..<256).map { entry in
            let wanted = lengths[steps] * Double(entry) / 255
            while at < steps, lengths[at] < wanted { at += 1 }
            return colour(oklab: points[at])
        }
    }()

    private static func path(_ s: Double) -> SIMD3<Double> {
        let hue = (290 - 185 * s) * .pi / 180
        let chroma = 0.086 + 0.2 * (s - 0.5) * (s - 0.5)
        return SIMD3(0.25 + 0.67 * s, chroma * cos(hue), chroma * sin(hue))
    }

    private static func colour(oklab: SIMD3<Double>) -> (UInt8, UInt8, UInt8) {
        func cone(_ a: Double, _ b: Double) -> Double {
            let root = oklab.x + a * oklab.y + b * oklab.z
            return root * root * root
        }
        let long = cone(0.396_337_777_4, 0.215_803_757_3)
        let medium = cone(-0.105_561_345_8, -0.063_854_172_8)
        let short = cone(-0.089_484_177_5, -1.291_485_548)
        func channel(_ l: Double, _ m: Double, _ s: Double) -> UInt8 {
            let linear = l * long + m * medium + s * short
            let value = linear <= 0.003_130_8 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055
            return UInt8((max(0, min(1, value)) * 255).rounded())
        }
        return (
            channel(4.076_741_662_1, -3.307_711_591_3, 0.230_969_929_2),
            channel(-1.268_438_004_6, 2.609_757_401_1, -0.341_319_396_5),
            channel(-0.004_196_086_3, -0.703_418_614_7, 1.707_614_701)
        )
    }
}
