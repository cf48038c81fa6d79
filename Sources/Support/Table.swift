/// A plain text table: first column left, others right aligned.
public struct Table {
    private var rows: [[String]]

    /// Creates a table with titles.
    public init(_ header: [String]) { rows = [header] }

    /// Adds a row; cells that are left out at its end are empty.
    public mutating func add(_ row: [String]) { rows.append(row) }

    /// The lines, a rule below the titles, without an end of line at the end.
    public var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        let lines = rows.map { row in
            row.enumerated().map { column, cell in
                let pad = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + pad : pad + cell
            }.joined(separator: "  ")
        }
        let rule = String(repeating: "─", count: widths.reduce(0, +) + 2 * max(0, columns - 1))
        return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n")
    }
}

/// A number with as many digits as a person reads.
public func readable(_ value: Double, digits: Int = 4) -> String {
    guard value.isFinite else { return "–" }
    let magnitude = abs(value)
    guard magnitude < 1e9 else { return "\(Float(value))" }
    let decimals = magnitude >= 100 ? 1 : magnitude >= 10 ? 2 : digits - 1
    var text = String(Int((magnitude * powerOfTen(decimals)).rounded()))
    while text.count <= decimals { text = "0" + text }
    if decimals > 0 { text.insert(".", at: text.index(text.endIndex, offsetBy: -decimals)) }
    return (value < 0 ? "-" : "") + text
}

/// A number with its sign, for differences.
public func signed(_ value: Double, digits: Int = 2) -> String {
    (value < 0 ? "−" : "+") + readable(abs(value), digits: digits)
}

/// A share as a whole number of percent.
public func percent(_ share: Double) -> String {
    Int(exactly: (share * 100).rounded()).map { "\($0) %" } ?? "–"
}

/// A time in the two units a person reads, such as "2 h 5 min"; – where it is no number or longer than any clock.
public func readableDuration(seconds: Double) -> String {
    guard let whole = Int(exactly: seconds.rounded()) else { return "–" }
    if whole >= 3600 { return "\(whole / 3600) h \(whole % 3600 / 60) min" }
    return whole >= 60 ? "\(whole / 60) min \(whole % 60) s" : "\(whole) s"
}

private func powerOfTen(_ exponent: Int) -> Double { (0..<exponent).reduce(1) { value, _ in value * 10 } }
