/// A plain text table: first column left, others right aligned.
///
/// What is wider than a terminal goes on below: the columns that have no room, beside the first one again, without the
/// rows that have numbers in other columns only. Control characters in cells, as names may have them, are spelled out.
public struct Table {
    /// Columns of a terminal that tables keep to.
    public static let width = 100
    /// What a cell has where there is no number.
    public static let none = "–"
    private static let gap = 2
    /// Columns that names keep where others go on below.
    private static let longestName = 60

    private var rows: [[String]]

    /// Creates a table with titles.
    public init(_ header: [String]) { rows = [header.map { visible($0) }] }

    /// Adds a row; cells that are left out at its end are empty.
    public mutating func add(_ row: [String]) { rows.append(row.map { visible($0) }) }

    /// What every column takes.
    private var widths: [Int] {
        (0..<(rows.map(\.count).max() ?? 0)).map { column in
            rows.map { AdaShareSupport.columns(of: cell($0, column)) }.max() ?? 0
        }
    }

    /// The same as `text` for programs: all columns side by side, and names as long as they are.
    public var whole: String { block(Array(widths.indices), widths) }

    /// The lines, a rule below the titles, without an end of line at the end.
    public var text: String {
        var widths = widths
        let count = widths.count
        guard count > 1 else { return block([0], widths) }
        // Names give way to numbers, as far as they can still be told apart.
        let others = widths.dropFirst()
        let (all, widest) = (others.reduce(0) { $0 + $1 + Self.gap }, (others.max() ?? 0) + Self.gap)
        widths[0] = min(widths[0], max(12, min(max(Self.longestName, Self.width - all), Self.width - widest)))
        var blocks = [[0]]
        for column in 1..<count {
            let taken = blocks[blocks.count - 1].reduce(0) { $0 + widths[$1] + Self.gap }
            if taken + widths[column] > Self.width, blocks[blocks.count - 1].count > 1 { blocks.append([0]) }
            blocks[blocks.count - 1].append(column)
        }
        return blocks.map { block($0, widths) }.joined(separator: "\n\n")
    }

    private func cell(_ row: [String], _ column: Int) -> String { column < row.count ? row[column] : "" }

    /// Whether a row has numbers, but none in these columns.
    private func isElsewhere(_ row: [String], _ columns: [Int]) -> Bool {
        let isNone = { (column: Int) in column < row.count && row[column] == Self.none }
        return columns.dropFirst().allSatisfy(isNone) && !row.indices.dropFirst().allSatisfy(isNone)
    }

    private func block(_ columns: [Int], _ widths: [Int]) -> String {
        // Rows without a name belong to the one above.
        let isNamed = rows.dropFirst().allSatisfy { $0.first?.isEmpty == false }
        let lines = rows.filter { !isNamed || !isElsewhere($0, columns) }.map { row in
            let cells = columns.map { column -> String in
                let text = shortened(cell(row, column), to: widths[column])
                let pad = String(repeating: " ", count: widths[column] - AdaShareSupport.columns(of: text))
                return column == 0 ? text + pad : pad + text
            }
            // Rows that are a title alone end there.
            let line = cells.joined(separator: String(repeating: " ", count: Self.gap))
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
        let total = columns.reduce(0) { $0 + widths[$1] } + Self.gap * (columns.count - 1)
        return ([lines[0], String(repeating: "─", count: total)] + lines.dropFirst()).joined(separator: "\n")
    }
}

/// A number with as many digits as a person reads, and those that mean something, however small it is: 45.68, 0.0123,
/// 1.2e-5.
public func readable(_ value: Double, digits: Int = 4) -> String {
    guard value.isFinite else { return Table.none }
    let magnitude = abs(value)
    guard magnitude < 1e9 else { return "\(Float(value))" }
    guard magnitude == 0 || magnitude >= 0.1 else { return small(value, digits: max(1, digits - 1)) }
    // Few digits are those that mean something; of four, numbers of any size keep one behind the point.
    let decimals =
        digits < 4
        ? max(0, digits - (magnitude >= 100 ? 3 : magnitude >= 10 ? 2 : 1))
        : magnitude >= 100 ? 1 : magnitude >= 10 ? 2 : digits - 1
    return fixed(value, decimals: decimals)
}

/// A number nearer to 0 than 0.1 with so many digits that mean something; below a thousandth with its power of ten.
private func small(_ value: Double, digits: Int) -> String {
    var (exponent, leading) = (0, abs(value))
    while leading < 1 { (exponent, leading) = (exponent - 1, leading * 10) }
    var text = fixed(leading, decimals: digits - 1)
    // Rounded up to the next power of ten.
    if text.hasPrefix("10") { (exponent, text) = (exponent + 1, fixed(1, decimals: digits - 1)) }
    guard exponent < -3 else { return fixed(value, decimals: digits - 1 - exponent) }
    if text.contains(".") { text = String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed()) }
    return (value < 0 ? "-" : "") + "\(text)e\(exponent)"
}

/// A number with so many digits behind the point, below 10⁹.
private func fixed(_ value: Double, decimals: Int) -> String {
    let magnitude = abs(value)
    var text = String(Int((magnitude * powerOfTen(decimals)).rounded()))
    while text.count <= decimals { text = "0" + text }
    if decimals > 0 { text.insert(".", at: text.index(text.endIndex, offsetBy: -decimals)) }
    return (value < 0 ? "-" : "") + text
}

/// A number with its sign and one digit behind the point, for differences in percent.
public func signed(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return readable(value) }
    return (value < 0 ? "−" : "+") + fixed(abs(value), decimals: 1)
}

/// A share as a whole number of percent.
public func percent(_ share: Double) -> String {
    Int(exactly: (share * 100).rounded()).map { "\($0) %" } ?? Table.none
}

/// Bytes in GiB, with the digits that a person compares.
public func gibibytes(_ bytes: Int) -> String { "\(readable(Double(bytes) / 0x1p30, digits: 2)) GiB" }

/// The size of an image or crop, everywhere in this order: height × width.
public func dimensions(height: Int, width: Int) -> String { "\(height)×\(width)" }

/// A time in the two units a person reads, such as "2 h 5 min"; – where it is no number or longer than any clock.
public func readableDuration(seconds: Double) -> String {
    guard let whole = Int(exactly: seconds.rounded()) else { return Table.none }
    if whole >= 3600 { return "\(whole / 3600) h \(whole % 3600 / 60) min" }
    return whole >= 60 ? "\(whole / 60) min \(whole % 60) s" : "\(whole) s"
}

private func powerOfTen(_ exponent: Int) -> Double { (0..<exponent).reduce(1) { value, _ in value * 10 } }
