import Foundation

/// A line of text in a chart.
struct ChartText {
    /// Empty for an empty string.
    let svg: String

    /// - Parameters:
    ///   - x: where it starts, ends or has its middle, by `anchor`.
    ///   - y: of its base line.
    ///   - kind: its class in the picture.
    init(
        _ string: String, _ x: Double, _ y: Double, size: Double = 12, anchor: String = "start",
        weight: String = "normal", style: String = "normal", colour: Chart.Colour = .black, kind: String = "text"
    ) {
        guard !string.isEmpty else {
            svg = ""
            return
        }
        // A white edge keeps it readable where it crosses a line.
        svg =
            "<text class=\"\(kind)\" x=\"\(svgNumber(x))\" y=\"\(svgNumber(y))\" font-size=\"\(svgNumber(size))\""
            + " text-anchor=\"\(anchor)\" font-weight=\"\(weight)\" font-style=\"\(style)\" fill=\"\(colour.rawValue)\""
            + " stroke=\"white\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\">"
            + "\(escapedXML(string))</text>\n"
    }

    /// A width that the usual sans-serif fonts stay within.
    static func width(_ string: String, size: Double) -> Double { Double(string.count) * size * 0.6 }

    /// Lines of whole words, each within the width unless a single word is not.
    static func wrapped(_ string: String, size: Double, width: Double) -> [String] {
        var lines: [String] = []
        for word in string.split(separator: " ") {
            if let line = lines.last, Self.width("\(line) \(word)", size: size) <= width {
                lines[lines.count - 1] = "\(line) \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

}

/// Text that XML and HTML take, also within quotes; control characters are spelled out, and what they allow in no form
/// becomes "?".
package func escapedXML(_ string: String) -> String {
    visible(string, keeping: ["\t", "\n", "\r"]).unicodeScalars.map { scalar in
        switch scalar {
        case "&": "&amp;"
        case "<": "&lt;"
        case ">": "&gt;"
        case "\"": "&quot;"
        case "\t", "\n", "\r": " "
        case "\u{fffe}", "\u{ffff}": "?"
        default: String(scalar)
        }
    }.joined()
}

extension Chart.Line {
    /// A curve through points.
    func svg(_ points: [(Double, Double)], _ colour: Chart.Colour, _ kind: String) -> String {
        let list = points.map { "\(svgNumber($0.0)),\(svgNumber($0.1))" }.joined(separator: " ")
        let look =
            switch self {
            case .solid: "stroke-width=\"2\""
            case .thin: "stroke-width=\"1.2\""
            case .dashed: "stroke-width=\"1.4\" stroke-dasharray=\"5 4\""
            }
        return "<polyline class=\"\(kind)\" points=\"\(list)\" fill=\"none\" stroke=\"\(colour.rawValue)\" \(look)/>\n"
    }
}

extension Chart.Marker {
    /// Of one area, whatever the shape.
    func svg(_ x: Double, _ y: Double, _ colour: Chart.Colour, _ kind: String) -> String {
        let look = "class=\"\(kind)\" fill=\"\(colour.rawValue)\" stroke=\"white\" stroke-width=\"0.8\""
        func polygon(_ corners: [(Double, Double)]) -> String {
            let list = corners.map { "\(svgNumber(x + $0.0)),\(svgNumber(y + $0.1))" }.joined(separator: " ")
            return "<polygon \(look) points=\"\(list)\"/>\n"
        }
        return switch self {
        case .circle: "<circle \(look) cx=\"\(svgNumber(x))\" cy=\"\(svgNumber(y))\" r=\"4.2\"/>\n"
        case .square: polygon([(-3.8, -3.8), (3.8, -3.8), (3.8, 3.8), (-3.8, 3.8)])
        case .triangle: polygon([(0, -5.6), (5.2, 3.8), (-5.2, 3.8)])
        case .diamond: polygon([(0, -5.6), (5.6, 0), (0, 5.6), (-5.6, 0)])
        }
    }
}

/// A coordinate to a hundredth of a pixel.
package func svgNumber(_ value: Double) -> String {
    let rounded = (value * 100).rounded() / 100
    return Int(exactly: rounded).map(String.init) ?? "\(rounded)"
}
