import AdaShareSupport
import ArgumentParser
import Foundation

/// Where a command writes: its answer to one side, what it remarks meanwhile to the other.
///
/// An answer that cannot be written is an error, since whoever asked goes without; a remark that is lost is not.
struct Console {
    /// Goes back to the beginning of a terminal's line and empties it.
    static let lineStart = "\r\u{1B}[2K"

    /// Whether a remark may rewrite its line.
    let isTerminal: Bool
    /// Whether it is that of a process of its own, which may be told to stop.
    let isProcess: Bool
    private let writeAnswer: (String) throws -> Void
    private let writeRemark: (String) -> Void

    init(
        isTerminal: Bool, isProcess: Bool = false, answer: @escaping (String) throws -> Void,
        remark: @escaping (String) -> Void
    ) {
        self.isTerminal = isTerminal
        self.isProcess = isProcess
        writeAnswer = answer
        writeRemark = remark
    }

    /// Standard output and standard error.
    static var standard: Console {
        Console(
            isTerminal: isatty(STDERR_FILENO) == 1, isProcess: true, answer: StandardStreams.answer,
            remark: StandardStreams.remark)
    }

    /// Writes a part of the answer, and the end of its line.
    ///
    /// - Throws: `InputError` if it cannot be written, for example to a full disk.
    func print(_ text: String) throws { try writeAnswer(text + "\n") }

    /// Writes a remark as it is.
    func remark(_ text: String) { writeRemark(text) }
}

/// A command that is given the place it writes to.
protocol ConsoleCommand: ParsableCommand {
    /// Does the work.
    func run(on console: Console) throws
}

extension ConsoleCommand {
    func run() throws { try run(on: .standard) }
}
