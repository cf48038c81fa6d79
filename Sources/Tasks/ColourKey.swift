import Foundation

/// What colours beside a picture mean.
enum ColourKey {
    /// From the least number at the bottom to the greatest at the top.
    case scale(ClosedRange<Double>, unit: String?)
    /// Colours with words.
    case words([(colour: Canvas.Colour, text: String)])

    /// Columns it takes, at most `limit`.
    func width(scale: Int, limit: Int) -> Int {
        switch self {
        case .scale(let range, let unit):
            let texts = Self.ticks(range).map { BitmapFont.width(Self.text($0, unit)) * scale }
            return 8 * scale + 5 * scale + (texts.max() ?? 0)
        case .words(let words):
            let texts = words.map { BitmapFont.width($0.text) * scale }
            return min(limit, 10 * scale + (texts.max() ?? 0))
        }
    }

    /// Draws it beside a picture of that height.
    func draw(on canvas: inout Canvas, x: Int, y: Int, width: Int, height: Int, scale: Int) {
        switch self {
        case .scale(let range, let unit):
            for row in 0..<height {
                let share = 1 - (Double(row) + 0.5) / Double(height)
                canvas.fill(x: x, y: y + row, width: 8 * scale, height: 1, ColourMap.scale(share))
            }
            let span = range.upperBound - range.lowerBound
            for tick in Self.ticks(range) {
                let share = span > 0 ? (tick.value - range.lowerBound) / span : 0.5
                let row = y + Int(((1 - share) * Double(height - 1)).rounded())
                canvas.fill(x: x + 8 * scale, y: row, width: 3 * scale, height: scale, Canvas.ink)
                let top = max(y, min(y + height - BitmapFont.ascent * scale, row - BitmapFont.ascent * scale / 2))
                canvas.write(Self.text(tick, unit), x: x + 13 * scale, y: top, scale: scale)
            }
        case .words(let words):
            let line = BitmapFont.lineHeight * scale
            let room = max(1, height / line)
            let shown = words.count <= room ? words : Array(words.prefix(room - 1))
            for (index, word) in shown.enumerated() {
                let top = y + index * line
                canvas.fill(x: x, y: top, width: 7 * scale, height: 7 * scale, word.colour)
                canvas.write(word.text, x: x + 10 * scale, y: top, scale: scale, limit: width - 10 * scale)
            }
            if shown.count < words.count {
                canvas.write(
                    "+ \(words.count - shown.count) more", x: x + 10 * scale, y: y + shown.count * line, scale: scale,
                    limit: width - 10 * scale)
            }
        }
    }

    private static func text(_ tick: (value: Double, decimals: Int), _ unit: String?) -> String {
        let number = String(format: "%.\(tick.decimals)f", tick.value == 0 ? 0 : tick.value)
        return number + (unit.map { $0 == "°" ? $0 : " " + $0 } ?? "")
    }

    /// Two to six multiples of 1, 2 or 5 times a power of ten; the number itself where there is no range.
    static func ticks(_ range: ClosedRange<Double>) -> [(value: Double, decimals: Int)] {
        let span = range.upperBound - range.lowerBound
        guard span > 1e-12, span.isFinite else { return [(range.lowerBound, 3)] }
        let rough = span / 5
        let exponent = Int(log10(rough).rounded(.down))
        let power = pow(10, Double(exponent))
        let step = ([1, 2, 5].first { $0 * power >= rough * 0.999 } ?? 10) * power
        let decimals = max(0, -Int(log10(step * 1.001).rounded(.down)))
        let first = (range.lowerBound / step - 1e-9).rounded(.up)
        let last = (range.upperBound / step + 1e-9).rounded(.down)
        return stride(from: first, through: last, by: 1).map { ($0 * step, decimals) }
    }
}
