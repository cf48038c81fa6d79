import AdaShareFiles

/// A white picture that others, rectangles and texts are drawn on.
struct Canvas {
    typealias Colour = (UInt8, UInt8, UInt8)
    static let ink: Colour = (40, 40, 40)

    let width, height: Int
    private var pixels: [UInt8]

    init(width: Int, height: Int) {
        (self.width, self.height) = (width, height)
        pixels = [UInt8](repeating: 255, count: width * height * 3)
    }

    var image: Image { Image(width: width, height: height, channels: 3, pixels: pixels) }

    /// What lies outside is left out.
    mutating func fill(x: Int, y: Int, width: Int, height: Int, _ colour: Colour) {
        let columns = max(0, x)..<max(max(0, x), min(self.width, x + width))
        for row in max(0, y)..<max(max(0, y), min(self.height, y + height)) {
            for column in columns {
                let at = (row * self.width + column) * 3
                (pixels[at], pixels[at + 1], pixels[at + 2]) = colour
            }
        }
    }

    /// - Precondition: the picture lies within, and is RGB.
    mutating func draw(_ picture: Image, x: Int, y: Int) {
        let line = picture.width * 3
        for row in 0..<picture.height {
            let at = ((y + row) * width + x) * 3
            pixels.replaceSubrange(at..<at + line, with: picture.pixels[row * line..<(row + 1) * line])
        }
    }

    /// Draws a line of text.
    ///
    /// - Parameters:
    ///   - text: letters without a drawing become boxes.
    ///   - x: left end.
    ///   - y: top of its capitals.
    ///   - scale: pixels of one of the font.
    ///   - limit: longest width, in pixels; nil for any.
    mutating func write(_ text: String, x: Int, y: Int, scale: Int, limit: Int? = nil) {
        var at = x
        for letter in BitmapFont.letters(limit.map { BitmapFont.fitting(text, width: $0 / scale) } ?? text) {
            guard letter != " " else {
                at += 3 * scale
                continue
            }
            let glyph = BitmapFont.glyph(letter)
            for (row, line) in glyph.enumerated() {
                for (column, isDark) in line.enumerated() where isDark {
                    fill(x: at + column * scale, y: y + row * scale, width: scale, height: scale, Self.ink)
                }
            }
            at += (glyph[0].count + 1) * scale
        }
    }
}
