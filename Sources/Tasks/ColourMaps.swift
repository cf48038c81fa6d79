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

    /// Cubehelix: brightness grows evenly with `t` in 0…1, so it reads the same in print.
    ///
    /// - Source: Green 2011, with start 0.5, −1.5 rotations, hue 1.2.
    public static func cubehelix(_ t: Double) -> (UInt8, UInt8, UInt8) {
        let level = max(0, min(1, t))
        let angle = 2 * Double.pi * (0.5 / 3 + 1 - 1.5 * level)
        let amplitude = 1.2 * level * (1 - level) / 2
        func channel(_ a: Double, _ b: Double) -> UInt8 {
            let value = level + amplitude * (a * cos(angle) + b * sin(angle))
            return UInt8((max(0, min(1, value)) * 255).rounded())
        }
        return (channel(-0.14861, 1.78277), channel(-0.29227, -0.90649), channel(1.97294, 0))
    }
}
