import Foundation

/// Points and curves on linear axes, in panels side by side, as SVG for page and print.
///
///     let panel = Chart.Panel(
///         "Inference", note: "up and left is better", x: Chart.Axis("ms per step"),
///         y: Chart.Axis("accuracy against hard sharing", range: -30...5, unit: " %"),
///         series: [
///             Chart.Series("budgets", .vermillion, .square, points: [Chart.Point(8.7, -1.8, label: "60 %")]),
///             Chart.Series("narrowed", .blue, .circle, line: .solid, points: [Chart.Point(9, -4), Chart.Point(5,
///             -12)]),
///         ],
///         lines: [Chart.ReferenceLine("hard sharing", at: 0)])
///     try Chart("Accuracy against time", panels: [panel]).write(to: url)
///
/// Labels go where they cover least. Points that are no finite number, or beyond 10¹⁵, are left out, and so are markers
/// outside an axis' range; curves are cut off there. Texts may hold any characters.
public struct Chart: Sendable {
    /// Told apart by the colour-blind, after Okabe and Ito with a darker purple; shapes and dashes do so in grey.
    public enum Colour: String, Sendable {
        /// Okabe and Ito's blue.
        case blue = "#0072b2"
        /// Okabe and Ito's vermillion, an orange red.
        case vermillion = "#d55e00"
        /// Okabe and Ito's bluish green.
        case green = "#009e73"
        /// Reddish purple, darker than Okabe and Ito's.
        case purple = "#a0447a"
        /// Near black, also of text.
        case black = "#222222"
        /// A middle grey, for what is only compared with.
        case grey = "#767676"
    }

    /// What stands at a point.
    public enum Marker: Sendable {
        /// Of one area, with a white edge.
        case circle, square, triangle, diamond
    }

    /// What joins points, or lies across a panel.
    public enum Line: Sendable {
        /// 2 px wide; 1.2 px; 1.4 px in dashes of 5 px.
        case solid, thin, dashed
    }

    /// A point and, where given, the text beside it.
    public struct Point: Sendable {
        /// Coordinates in the units of the axes.
        public var x, y: Double
        /// Text beside the point; nil for none.
        public var label: String?

        /// Creates a point.
        ///
        /// - Parameters:
        ///   - x: in the unit of the x axis.
        ///   - y: in the unit of the y axis.
        ///   - label: text beside it; nil for none.
        public init(_ x: Double, _ y: Double, label: String? = nil) { (self.x, self.y, self.label) = (x, y, label) }
    }

    /// Points that belong together: markers, a line through them in their order, or both.
    public struct Series: Sendable {
        /// In the legend, where series of one name stand once; none for an empty name.
        public var name: String
        /// Colour of markers, line and labels.
        public var colour: Colour
        /// What stands at each point; nil for a line alone.
        public var marker: Marker?
        /// What joins the points in their order; nil for markers alone.
        public var line: Line?
        /// The points, in the order that the line takes.
        public var points: [Point]

        /// Creates a series.
        ///
        /// - Parameters:
        ///   - name: in the legend; empty for no entry.
        ///   - colour: of markers, line and labels.
        ///   - marker: at each point; nil for none.
        ///   - line: through the points; nil for none.
        ///   - points: in the order that the line takes.
        public init(_ name: String, _ colour: Colour, _ marker: Marker?, line: Line? = nil, points: [Point]) {
            (self.name, self.colour, self.marker, self.line, self.points) = (name, colour, marker, line, points)
        }
    }

    /// A horizontal line across a panel, with its label on it.
    public struct ReferenceLine: Sendable {
        /// Text on the line.
        public var label: String
        /// Where it crosses the y axis.
        public var value: Double
        /// Colour of line and label.
        public var colour: Colour
        /// How the line is drawn.
        public var line: Line

        /// Creates a line.
        ///
        /// - Parameters:
        ///   - label: text on it.
        ///   - value: where it crosses the y axis.
        ///   - colour: of line and label.
        ///   - line: how it is drawn.
        public init(_ label: String, at value: Double, _ colour: Colour = .black, line: Line = .solid) {
            (self.label, self.value, self.colour, self.line) = (label, value, colour, line)
        }
    }

    /// A part of the x axis with a name above it; every second one is shaded.
    public struct Span: Sendable {
        /// Text at its upper end.
        public var name: String
        /// Where it begins and ends, in the unit of the x axis.
        public var low, high: Double

        /// Creates a span.
        ///
        /// - Parameters:
        ///   - name: text at its upper end.
        ///   - low: where it begins.
        ///   - high: where it ends.
        public init(_ name: String, from low: Double, to high: Double) {
            (self.name, self.low, self.high) = (name, low, high)
        }
    }

    /// A linear axis with round ticks.
    public struct Axis: Sendable {
        /// What the axis shows, without unit where the ticks have one.
        public var name: String
        /// What is shown; nil for all that there is and 0, from tick to tick.
        public var range: ClosedRange<Double>?
        /// After the number at each tick, with its space, such as " %".
        public var unit: String

        /// Creates an axis.
        ///
        /// - Parameters:
        ///   - name: what it shows.
        ///   - range: what is shown; nil for all that there is and 0, from tick to tick.
        ///   - unit: after the number at each tick, with its space.
        public init(_ name: String, range: ClosedRange<Double>? = nil, unit: String = "") {
            (self.name, self.range, self.unit) = (name, range, unit)
        }
    }

    /// One pair of axes and what is drawn on it.
    public struct Panel: Sendable {
        /// Heading of the panel.
        public var title: String
        /// At the title's right, such as "lower is better".
        public var note: String
        /// The horizontal and the vertical axis.
        public var x, y: Axis
        /// Points and curves, in the order of the legend.
        public var series: [Series]
        /// Horizontal lines across the panel.
        public var lines: [ReferenceLine]
        /// Parts of the x axis, from left to right.
        public var spans: [Span]

        /// Creates a panel.
        ///
        /// - Parameters:
        ///   - title: its heading.
        ///   - note: at the title's right, such as "lower is better".
        ///   - x: the horizontal axis.
        ///   - y: the vertical axis.
        ///   - series: points and curves.
        ///   - lines: horizontal lines across the panel.
        ///   - spans: parts of the x axis, from left to right.
        public init(
            _ title: String, note: String = "", x: Axis, y: Axis, series: [Series], lines: [ReferenceLine] = [],
            spans: [Span] = []
        ) {
            (self.title, self.note, self.x, self.y) = (title, note, x, y)
            (self.series, self.lines, self.spans) = (series, lines, spans)
        }
    }

    /// Heading of the picture, and the smaller text below it.
    public var title, subtitle: String
    /// The panels, from left to right, then downwards.
    public var panels: [Panel]
    /// Panels beside each other; further ones go below.
    public var columns: Int
    /// Of every panel, with its titles and axes.
    public var panelSize: Size

    /// A width and a height in pixels.
    public struct Size: Sendable {
        /// In pixels.
        public var width, height: Double

        /// Creates a size.
        ///
        /// - Parameters:
        ///   - width: in pixels.
        ///   - height: in pixels.
        public init(width: Double, height: Double) { (self.width, self.height) = (width, height) }
    }

    /// Creates a picture.
    ///
    /// - Parameters:
    ///   - title: its heading.
    ///   - subtitle: the smaller text below it.
    ///   - panels: from left to right, then downwards.
    ///   - columns: panels beside each other.
    ///   - panelSize: of every panel, with its titles and axes.
    /// - Precondition: `columns` is at least 1.
    public init(
        _ title: String, subtitle: String = "", panels: [Panel], columns: Int = 2,
        panelSize: Size = Size(width: 440, height: 336)
    ) {
        precondition(columns >= 1)
        (self.title, self.subtitle, self.panels, self.columns) = (title, subtitle, panels, columns)
        self.panelSize = panelSize
    }

    /// Writes the picture, whole or not at all.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws { try AtomicFile.write(Data(svg.utf8), to: url) }

    /// The whole picture. Titles, subtitles and the legend take as many lines as they need.
    public var svg: String {
        let across = max(1, min(columns, panels.count))
        let (panelWidth, panelHeight) = (panelSize.width, panelSize.height)
        let width = Double(across) * panelWidth
        var (body, y) = ("", 8.0)
        for (string, size, weight) in [(title, 16.0, "bold"), (subtitle, 12.0, "normal")] {
            for line in ChartText.wrapped(string, size: size, width: width - 24) {
                y += size + 4
                body += ChartText(line, 12, y, size: size, weight: weight).svg
            }
        }
        y += 14
        for (position, panel) in panels.enumerated() {
            let (row, column) = (position / across, position % across)
            let origin = "\(svgNumber(Double(column) * panelWidth)),\(svgNumber(y + Double(row) * panelHeight))"
            body += "<g transform=\"translate(\(origin))\">\n\(ChartPanel(panel, panelSize).svg)</g>\n"
        }
        y += Double((panels.count + across - 1) / across) * panelHeight
        let hasLegend = panels.flatMap(\.series).contains { !$0.name.isEmpty }
        if hasLegend { y += 14 }
        var x = 12.0
        var named: Set<String> = [""]
        for series in panels.flatMap(\.series) where named.insert(series.name).inserted {
            let entry = 34 + ChartText.width(series.name, size: 12) + 18
            if x > 12, x + entry > width { (x, y) = (12, y + 20) }
            if let line = series.line { body += line.svg([(x, y), (x + 28, y)], series.colour, "legend") }
            if let marker = series.marker { body += marker.svg(x + 14, y, series.colour, "legend") }
            body += ChartText(series.name, x + 34, y + 4).svg
            x += entry
        }
        let size = (width: svgNumber(width), height: svgNumber(y + (hasLegend ? 16 : 4)))
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size.width) \(size.height)" width="\(size.width)" \
            height="\(size.height)" font-family="Helvetica, Arial, sans-serif">
            <rect width="100%" height="100%" fill="white"/>
            \(body)</svg>

            """
    }
}
