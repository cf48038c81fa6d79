/// How many columns of a terminal text takes: letters of East Asia and pictures take two, marks on letters none.
///
/// Control characters are counted as none; whoever prints a line has none in it.
package func columns(of text: some StringProtocol) -> Int { text.reduce(0) { $0 + columns(of: $1) } }

private func columns(of character: Character) -> Int {
    let scalars = character.unicodeScalars
    guard let base = scalars.first(where: { !isMark($0) }) else { return 0 }
    // Asked to be shown as a picture.
    if scalars.contains("\u{FE0F}") { return 2 }
    return base.properties.isEmojiPresentation || wide.contains { $0.contains(base.value) } ? 2 : 1
}

private func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control, .lineSeparator, .paragraphSeparator: true
    default: false
    }
}

/// Blocks of Unicode whose characters take two columns.
private let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
    0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
    0x1F900...0x1F9FF, 0x20000...0x3FFFD,
]

/// Text of at most so many columns: its end is left out for `…` where it is longer.
package func clipped(_ text: String, to width: Int) -> String {
    guard columns(of: text) > width else { return text }
    var (result, taken) = ("", 0)
    for character in text {
        taken += columns(of: character)
        if taken > width - 1 { break }
        result.append(character)
    }
    return width > 0 ? result + "…" : ""
}

/// Text of at most so many columns that keeps its beginning and its end, as names of folders are told apart by both.
package func shortened(_ text: String, to width: Int) -> String {
    guard columns(of: text) > width else { return text }
    let head = clipped(text, to: max(1, (width + 1) / 2))
    let tail = clipped(String(text.reversed()), to: max(1, width - columns(of: head) + 1)).dropLast()
    return head + String(tail.reversed())
}

extension StringProtocol {
    /// The text and blanks up to a width in columns.
    package func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - AdaShareSupport.columns(of: self)))
    }
}
