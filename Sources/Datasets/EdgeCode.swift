/// The 8-bit code of edge strengths: v / 127 − 1 for v in 0...254, 255 = invalid.
enum EdgeCode {
    /// The strength of a code; 255 stays 255.
    static func strength(_ code: UInt8) -> Float {
        code == 255 ? 255 : Float(code) / 127 - 1
    }

    /// The nearest code of a strength in -1...1; 255 stays 255.
    static func code(_ strength: Float) -> UInt8 {
        strength == 255 ? 255 : UInt8(((max(-1, min(1, strength)) + 1) * 127).rounded())
    }
}
