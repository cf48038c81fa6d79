import AdaShareSupport
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A terminal on which the last line can be written anew.
struct Terminal {
    /// Its width now.
    let columns: () -> Int
    /// Whether it shows colours.
    var hasColours = false
    /// Whether it breaks lines anew where it becomes narrower, so that a long line is several then.
    var reflows = true

    /// The one that standard error is; nil where it is none, or one that only takes lines.
    static var standard: Terminal? {
        let environment = ProcessInfo.processInfo.environment
        let name = environment["TERM"] ?? ""
        guard isatty(STDERR_FILENO) == 1, name != "dumb" else { return nil }
        // These cut a line where it no longer fits; what calls itself after xterm with colours is mostly another.
        let cuts =
            ["linux", "rxvt", "vt"].contains { name.hasPrefix($0) } || name == "xterm"
            || name.hasPrefix("screen") && environment["TMUX"] == nil
        return Terminal(
            columns: width, hasColours: (environment["NO_COLOR"] ?? "").isEmpty, reflows: !cuts)
    }

    private static func width() -> Int {
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return isKnown ? Int(size.ws_col) : 80
    }
}

/// The last line of a terminal, which says how far work is and gives way to everything else.
final class StatusLine {
    private let terminal: Terminal
    private let write: (String) -> Void
    /// Columns that are shown; nil while nothing is.
    private var shown: Int?

    init(_ terminal: Terminal, write: @escaping (String) -> Void) { (self.terminal, self.write) = (terminal, write) }

    /// As many as fit without a break.
    var width: Int { max(1, terminal.columns() - 1) }

    /// Shows a line in place of the last one.
    ///
    /// - Parameter colour: whether the terminal shows it, and the line may.
    func show(_ line: (_ hasColours: Bool) -> String) {
        let text = line(terminal.hasColours)
        write(away + text)
        shown = columns(of: Self.plain(text))
    }

    /// Takes the line away.
    func erase() {
        if shown != nil { write(away) }
        shown = nil
    }

    /// Leaves the line where it is, and goes on below.
    func keep() {
        if shown != nil { write("\n") }
        shown = nil
    }

    /// Goes to where the line begins and empties what follows.
    private var away: String {
        let columns = max(1, terminal.columns())
        let above = terminal.reflows ? max(0, (shown ?? 0) - 1) / columns : 0
        return "\r" + (above > 0 ? "\u{1B}[\(above)A" : "") + "\u{1B}[J"
    }

    private static func plain(_ text: String) -> String { text.replacing(/\u{1B}\[[0-9;]*m/, with: "") }
}
