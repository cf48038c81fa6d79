/// Text as a terminal may show it: characters that would move its cursor, change its colours or turn its lines around,
/// as names of folders may hold them, are spelled out, such as `\n` and `\u001b`.
///
/// A line of JSON stays what it says: within its texts these are the same characters.
///
/// - Parameters:
///   - text: what is to be shown.
///   - kept: characters that are meant, such as the ends of the lines of a table.
package func visible(_ text: String, keeping kept: Set<Unicode.Scalar> = []) -> String {
    func isSpelled(_ scalar: Unicode.Scalar) -> Bool { isControl(scalar) && !kept.contains(scalar) }
    guard text.unicodeScalars.contains(where: isSpelled) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case _ where !isSpelled(scalar): result.unicodeScalars.append(scalar)
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        default:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
    return result
}

/// Bytes that are no UTF-8, as a file may be called: those beyond ASCII are spelled out, such as `caf\xe9`.
package func spelled(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16) }.joined()
}

/// Controls of terminals, ends of lines, and what sets the direction of text; none needs more than four digits.
private func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
}
