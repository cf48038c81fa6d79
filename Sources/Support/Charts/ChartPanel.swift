import Foundation

/// One panel of a chart, drawn from its upper left corner.
struct ChartPanel {
    private let panel: Chart.Panel
    private let x, y: Scale
    /// The axes' corners.
    private let frame: Box

    init(_ panel: Chart.Panel, _ size: Chart.Size) {
        func shown(_ value: Double) -> Bool { abs(value) <= 1e15 }
        var panel = panel
        for index in panel.series.indices { panel.series[index].points.removeAll { !shown($0.x) || !shown($0.y) } }
        panel.lines.removeAll { !shown($0.value) }
        self.panel = panel
        let points = panel.series.flatMap(\.points)
        let (x, y) = (
            Scale(panel.x, points.map(\.x) + panel.spans.flatMap { [$0.low, $0.high] }),
            Scale(panel.y, points.map(\.y) + panel.lines.map(\.value))
        )
        (self.x, self.y) = (x, y)
        func margin(_ labels: [String]) -> Double { labels.map { ChartText.width($0, size: 12) }.max() ?? 0 }
        let left = 18 + margin(y.labels)
        let right = 10 + margin(x.labels.suffix(1)) / 2
        frame = Box(x: left, y: 50, width: size.width - left - right, height: size.height - 50 - 46)
    }

    var svg: String {
        let (right, bottom) = (frame.x + frame.width, frame.y + frame.height)
        var result = ChartText(panel.title, frame.x, 18, size: 14, weight: "bold").svg
        result += ChartText(panel.note, right, 18, anchor: "end", style: "italic").svg
        // Names of spans stand between it and the axes.
        result += ChartText(panel.y.name, frame.x, panel.spans.isEmpty ? 40 : 33).svg
        result += ChartText(panel.x.name, frame.x + frame.width / 2, bottom + 36, anchor: "middle").svg
        for (position, span) in panel.spans.enumerated() {
            let (low, high) = (at(x: max(span.low, x.low)), at(x: min(span.high, x.high)))
            guard high > low else { continue }
            if !position.isMultiple(of: 2) {
                let box = [("x", low), ("y", frame.y), ("width", high - low), ("height", frame.height)]
                let extents = box.map { "\($0)=\"\(svgNumber($1))\"" }.joined(separator: " ")
                result += "<rect class=\"span\" \(extents) fill=\"#f1f1f4\"/>\n"
            }
            // One that is too narrow for its name goes without.
            guard ChartText.width(span.name, size: 11) < high - low else { continue }
            result +=
                ChartText(
                    span.name, (low + high) / 2, frame.y - 4, size: 11, anchor: "middle", style: "italic",
                    kind: "span-name"
                ).svg
        }
        for (value, label) in zip(y.ticks, y.labels) {
            let isZero = value == 0 && y.low < 0
            result += segment(frame.x, at(y: value), right, at(y: value), isZero ? "#888" : "#ddd", "grid-y")
            result += ChartText(label, frame.x - 6, at(y: value) + 4, anchor: "end", kind: "tick-y").svg
        }
        for (value, label) in zip(x.ticks, x.labels) {
            result += segment(at(x: value), bottom, at(x: value), bottom + 5, "#888", "grid-x")
            result += ChartText(label, at(x: value), bottom + 18, anchor: "middle", kind: "tick-x").svg
        }
        result += segment(frame.x, bottom, right, bottom, "#888", "axis")

        var (curves, markers, texts) = ("", "", "")
        var labels = LabelPlaces(within: frame)
        let lines = panel.lines.filter { y.contains($0.value) }
        for line in lines {
            let ends = [(frame.x, at(y: line.value)), (right, at(y: line.value))]
            curves += line.line.svg(ends, line.colour, "reference")
            labels.avoid(ends)
        }
        var beside: [(point: (Double, Double), text: String, colour: Chart.Colour)] = []
        for series in panel.series {
            let places = series.points.map { (at(x: $0.x), at(y: $0.y)) }
            if let line = series.line {
                curves += line.svg(places, series.colour, "series")
                labels.avoid(places)
            }
            for (point, place) in zip(series.points, places) where x.contains(point.x) && y.contains(point.y) {
                if let marker = series.marker {
                    markers += marker.svg(place.0, place.1, series.colour, "series")
                    labels.avoid(marker: place)
                }
                if let text = point.label { beside.append((place, text, series.colour)) }
            }
        }
        for (point, text, colour) in beside {
            let box = labels.place(beside: point, ChartText.width(text, size: 12))
            let near = (
                min(max(point.0, box.x), box.x + box.width), min(max(point.1, box.y + 3), box.y + box.height - 3)
            )
            // Too far away to be taken for the point's without a line.
            if hypot(near.0 - point.0, near.1 - point.1) > 14 {
                curves += Chart.Line.thin.svg([point, near], colour, "leader")
            }
            texts += ChartText(text, box.x, box.y + 12, colour: colour, kind: "label").svg
        }
        for line in lines {
            let box = labels.place(on: at(y: line.value), ChartText.width(line.label, size: 12))
            texts += ChartText(line.label, box.x, box.y + 12, colour: line.colour, kind: "label").svg
        }
        // What lies outside the axes is cut off.
        let view = [frame.x, frame.y, frame.width, frame.height].map(svgNumber)
        return result + """
            <svg x="\(view[0])" y="\(view[1])" width="\(view[2])" height="\(view[3])" \
            viewBox="\(view.joined(separator: " "))" overflow="hidden">
            \(curves)</svg>
            \(markers)\(texts)
            """
    }

    private func at(x value: Double) -> Double { frame.x + x.share(value) * frame.width }
    private func at(y value: Double) -> Double { frame.y + (1 - y.share(value)) * frame.height }

    private func segment(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String, _ kind: String
    ) -> String {
        let ends = zip(["x1", "y1", "x2", "y2"], [x1, y1, x2, y2]).map { "\($0)=\"\(svgNumber($1))\"" }
        return "<line class=\"\(kind)\" \(ends.joined(separator: " ")) stroke=\"\(colour)\"/>\n"
    }
}

/// What an axis shows, and its ticks: four to eight or so, at multiples of 1, 2 or 5 times a power of ten.
private struct Scale {
    let low, high: Double
    let ticks: [Double]
    let labels: [String]

    init(_ axis: Chart.Axis, _ values: [Double]) {
        let needed = axis.range ?? (min(0, values.min() ?? 0)...max(0, values.max() ?? 0))
        let wanted = needed.upperBound > needed.lowerBound ? needed : needed.lowerBound...(needed.lowerBound + 1)
        let rough = (wanted.upperBound - wanted.lowerBound) / 8
        let exponent = Int(log10(rough).rounded(.down))
        let factors: [Double] = [1, 2, 5]
        let step = (factors.first { $0 * pow(10, Double(exponent)) >= rough } ?? 10) * pow(10, Double(exponent))
        let first = (wanted.lowerBound / step).rounded(axis.range == nil ? .down : .up)
        let last = (wanted.upperBound / step).rounded(axis.range == nil ? .up : .down)
        (low, high) = axis.range == nil ? (first * step, last * step) : (wanted.lowerBound, wanted.upperBound)
        ticks = stride(from: first, through: last, by: 1).map { $0 * step }
        let decimals = max(0, -Int(log10(step * 1.001).rounded(.down)))
        labels = ticks.map { tick in
            (tick < 0 ? "−" : "") + String(format: "%.\(decimals)f", abs(tick)) + axis.unit
        }
    }

    func share(_ value: Double) -> Double { (value - low) / (high - low) }
    func contains(_ value: Double) -> Bool { (low...high).contains(value) }
}

/// A rectangle in pixels, y downwards.
struct Box {
    var x, y, width, height: Double

    /// The area that two share.
    func overlap(_ other: Box) -> Double {
        max(0, min(x + width, other.x + other.width) - max(x, other.x))
            * max(0, min(y + height, other.y + other.height) - max(y, other.y))
    }
}

/// Finds for one label after another the place that covers least of what is there.
private struct LabelPlaces {
    private let frame: Box
    private var taken: [(box: Box, weight: Double)] = []
    private static let height = 16.0

    init(within frame: Box) { self.frame = frame }

    /// Curves may be crossed where nothing better is left.
    mutating func avoid(_ curve: [(Double, Double)]) {
        for ((x1, y1), (x2, y2)) in zip(curve, curve.dropFirst()) {
            let pieces = min(200, max(1, (hypot(x2 - x1, y2 - y1) / 4).rounded()))
            for piece in stride(from: 0, through: 1, by: 1 / pieces) {
                let box = Box(x: x1 + piece * (x2 - x1) - 2, y: y1 + piece * (y2 - y1) - 1.5, width: 4, height: 3)
                taken.append((box, 1))
            }
        }
    }

    mutating func avoid(marker: (Double, Double)) {
        taken.append((Box(x: marker.0 - 5, y: marker.1 - 5, width: 10, height: 10), 4))
    }

    /// Above or below a horizontal line, as far to the right as may be.
    mutating func place(on y: Double, _ width: Double) -> Box {
        let room = frame.width - width - 8
        return place(
            stride(from: 1, through: 0, by: -0.1).flatMap { share in
                [y - Self.height - 2, y + 2].map { (frame.x + 4 + share * room, $0) }
            }, width)
    }

    /// Around a point, next to it or further away.
    mutating func place(beside point: (Double, Double), _ width: Double) -> Box {
        let (x, y) = point
        let (halfWidth, halfHeight) = (width / 2, Self.height / 2)
        let candidates = [8.0, 18, 34, 52].flatMap { gap in
            [(1.0, 0.0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1)].map { dx, dy in
                let away = dx * dy == 0 ? gap : gap * 0.6
                return (
                    x + dx * (halfWidth + away) - halfWidth, y + dy * (halfHeight + away) - halfHeight
                )
            }
        }
        return place(candidates, width)
    }

    private mutating func place(_ candidates: [(Double, Double)], _ width: Double) -> Box {
        var best = (box: Box(x: frame.x, y: frame.y, width: width, height: Self.height), cost: Double.infinity)
        for (position, (x, y)) in candidates.enumerated() {
            let box = Box(x: x, y: y, width: width, height: Self.height)
            let outside = width * Self.height - box.overlap(frame)
            let cost = Double(position) + 100 * outside + taken.reduce(0) { $0 + $1.weight * $1.box.overlap(box) }
            if cost < best.cost { best = (box, cost) }
        }
        taken.append((best.box, 10))
        return best.box
    }
}
