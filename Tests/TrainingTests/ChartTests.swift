import Foundation
import Testing

@testable import AdaShareSupport
@testable import AdaShareTraining

/// A chart as a reader of SVG sees it.
struct Picture {
    /// A name, its attributes, and the text inside.
    struct Element {
        let name: String
        let attributes: [String: String]
        var text = ""

        func number(_ key: String) -> Double? { attributes[key].flatMap(Double.init) }
        /// Of a polyline.
        var points: [(x: Double, y: Double)] {
            (attributes["points"] ?? "").split(separator: " ").map { pair in
                let numbers = pair.split(separator: ",").compactMap { Double($0) }
                return (numbers[0], numbers[1])
            }
        }
    }

    let elements: [Element]

    /// Reads tags, attributes and text, which is what charts have of XML. Foundation's parser would make the packaged
    /// tests need libxml2.
    ///
    /// - Returns: nil for text that is not well-formed.
    init?(_ svg: String) {
        var (elements, open, rest) = ([Element](), [String](), svg[...])
        while let start = rest.firstIndex(of: "<") {
            if let text = Self.unescaped(rest[..<start]) {
                if open.last == "text" { elements[elements.count - 1].text += text }
            } else {
                return nil
            }
            rest = rest[start...]
            if let end = rest.prefixMatch(of: #/<\/([a-z]+)>/#) {
                guard open.popLast() == String(end.1) else { return nil }
                rest = rest[end.range.upperBound...]
            } else if let tag = rest.prefixMatch(of: #/<([a-z]+)((?: [A-Za-z0-9-]+="[^"<&]*")*)(\/?)>/#) {
                guard !open.isEmpty || elements.isEmpty else { return nil }
                let pairs = tag.2.matches(of: #/ ([A-Za-z0-9-]+)="([^"]*)"/#).map { (String($0.1), String($0.2)) }
                let attributes = Dictionary(pairs) { first, _ in first }
                guard attributes.count == pairs.count else { return nil }
                elements.append(Element(name: String(tag.1), attributes: attributes))
                if tag.3.isEmpty { open.append(String(tag.1)) }
                rest = rest[tag.range.upperBound...]
            } else {
                return nil
            }
        }
        guard open.isEmpty, rest.allSatisfy(\.isWhitespace) else { return nil }
        self.elements = elements
    }

    /// - Returns: nil for characters that XML does not allow as they are.
    private static func unescaped(_ text: Substring) -> String? {
        guard text.unicodeScalars.allSatisfy({ $0 >= " " || $0 == "\n" }) else { return nil }
        let bare = text.replacing("&lt;", with: "").replacing("&gt;", with: "").replacing("&amp;", with: "").replacing(
            "&quot;", with: "")
        guard !bare.contains(where: { "&<>".contains($0) }) else { return nil }
        return String(text).replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&quot;", with: "\"")
            .replacing("&amp;", with: "&")
    }

    func all(_ name: String, _ kind: String) -> [Element] {
        elements.filter { $0.name == name && $0.attributes["class"] == kind }
    }

    /// Of the first panel's y axis, by its ticks: from a height in the picture to the value there.
    func value(at height: Double) throws -> Double {
        let ticks = try zip(all("text", "tick-y"), all("line", "grid-y")).map { label, line in
            let number = label.text.prefix { !$0.isWhitespace }.replacingOccurrences(of: "−", with: "-")
            return (value: try #require(Double(number)), y: try #require(line.number("y1")))
        }
        let (low, high) = (try #require(ticks.first), try #require(ticks.last { $0.value > ticks[0].value }))
        return low.value + (height - low.y) / (high.y - low.y) * (high.value - low.value)
    }
}

@Suite struct ChartTests {
    private static func chart(
        _ points: [Chart.Point], y: ClosedRange<Double>? = nil, lines: [Chart.ReferenceLine] = []
    ) -> Chart {
        Chart(
            "Title", subtitle: "setting",
            panels: [
                Chart.Panel(
                    "Panel", note: "lower is better", x: Chart.Axis("ms"), y: Chart.Axis("gain", range: y, unit: " %"),
                    series: [Chart.Series("dots", .green, .circle, line: .solid, points: points)], lines: lines)
            ])
    }

    @Test func textsAreEscaped() throws {
        let odd = "a<b & \"c\">'d' \u{1}\n😀"
        var chart = Self.chart([Chart.Point(1, 2, label: odd)], lines: [Chart.ReferenceLine(odd, at: 1)])
        (chart.title, chart.subtitle) = (odd, odd)
        let picture = try #require(Picture(chart.svg))
        let shown = "a<b & \"c\">'d' \\u0001 😀"
        #expect(picture.all("text", "label").map(\.text) == [shown, shown])
        #expect(picture.elements.contains { $0.text == "lower is better" })
        // Negative control: such text as it is, and what else is no XML.
        for wrong in [odd, "&", "\u{1}", "<b>", "</b>", "<b a=1/>", "<b a=\"1\" a=\"1\"/>"] {
            #expect(Picture("<svg>\(wrong)</svg>") == nil, "\(wrong)")
        }
        #expect(Picture("<svg><b a=\"1\"/></svg>") != nil)
    }

    @Test func pointsLieWhereTheTicksSay() throws {
        let values = [-12.5, 0, 3, 7.25]
        let points = values.enumerated().map { Chart.Point(Double($0.offset), $0.element) }
        for range in [nil, -20.0...10] {
            let picture = try #require(Picture(Self.chart(points, y: range).svg))
            let heights = picture.all("circle", "series").compactMap { $0.number("cy") }
            #expect(heights.count == values.count)
            for (height, value) in zip(heights, values) { #expect(abs(try picture.value(at: height) - value) < 0.05) }
            #expect(zip(picture.all("polyline", "series")[0].points, heights).allSatisfy { $0.y == $1 })
        }
    }

    @Test func ticksAreRoundAndStartAtZero() throws {
        func ticks(_ largest: Double, _ range: ClosedRange<Double>? = nil) throws -> [String] {
            try #require(Picture(Self.chart([Chart.Point(0, largest)], y: range).svg)).all("text", "tick-y").map(\.text)
        }
        #expect(try ticks(946) == ["0 %", "200 %", "400 %", "600 %", "800 %", "1000 %"])
        #expect(try ticks(0.9) == ["0.0 %", "0.2 %", "0.4 %", "0.6 %", "0.8 %", "1.0 %"])
        #expect(try ticks(0, -7...3) == ["−6 %", "−4 %", "−2 %", "0 %", "2 %"])
        #expect(try ticks(0) == ["0.0 %", "0.2 %", "0.4 %", "0.6 %", "0.8 %", "1.0 %"])
    }

    @Test func whatIsOutsideIsNotDrawn() throws {
        let points = [Chart.Point(1, 5), Chart.Point(2, 50), Chart.Point(3, .nan), Chart.Point(.infinity, 1)]
        let lines = [5.0, 50, -.infinity].map { Chart.ReferenceLine("l", at: $0) }
        let picture = try #require(Picture(Self.chart(points, y: 0...10, lines: lines).svg))
        #expect(picture.all("circle", "series").count == 1 && picture.all("polyline", "reference").count == 1)
        // The curve goes on to the second point, and is cut off on its way.
        #expect(picture.all("polyline", "series")[0].points.count == 2)
        #expect(picture.elements.filter { $0.name == "svg" }.last?.attributes["overflow"] == "hidden")
    }

    /// Labels of points that lie close do not cover each other, and none leaves the picture.
    @Test func labelsKeepApart() throws {
        let points = [(1.0, 1.0), (1.01, 1.02), (1.02, 0.99), (2, 2), (2, 1.98)].map {
            Chart.Point($0.0, $0.1, label: "label")
        }
        let lines = [Chart.ReferenceLine("hard sharing", at: 2), Chart.ReferenceLine("other", at: 1.95)]
        let picture = try #require(Picture(Self.chart(points, lines: lines).svg))
        let boxes = try picture.all("text", "label").map { text in
            Box(
                x: try #require(text.number("x")), y: try #require(text.number("y")) - 12,
                width: ChartText.width(text.text, size: 12), height: 16)
        }
        #expect(boxes.count == 7)
        for (index, box) in boxes.enumerated() {
            #expect(box.x >= 0 && box.x + box.width <= 440 && box.y >= 0)
            for other in boxes[..<index] { #expect(box.overlap(other) == 0) }
        }
        for tick in picture.all("text", "tick-y") {
            #expect(try #require(tick.number("x")) - ChartText.width(tick.text, size: 12) >= 0)
        }
    }

    @Test func panelsStandBesideEachOther() throws {
        var chart = Self.chart([Chart.Point(1, 1)])
        chart.panels = Array(repeating: chart.panels[0], count: 3)
        chart.subtitle = Array(repeating: "word", count: 60).joined(separator: " ")
        let picture = try #require(Picture(chart.svg))
        #expect(picture.all("text", "tick-x").count % 3 == 0)
        #expect(picture.elements.count { $0.name == "g" } == 3)
        #expect(picture.elements.count { $0.text == "dots" } == 1, "one legend")
        #expect(picture.elements[0].number("width") == 2 * 440.0)
        // The subtitle takes several lines.
        #expect(picture.elements.count { $0.text.hasPrefix("word word") } >= 3)
    }
}
