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
    private let writeAnswer: (String) throws -> Void
    private let writeRemark: (String) -> Void

    init(isTerminal: Bool, answer: @escaping (String) throws -> Void, remark: @escaping (String) -> Void) {
        self.isTerminal = isTerminal
        writeAnswer = answer
        writeRemark = remark
    }

    /// Standard output and standard error.
    static var standard: Console {
        Console(
            isTerminal: isatty(STDERR_FILENO) == 1,
            answer: { try write($0, to: STDOUT_FILENO, name: "standard output") },
            remark: { try? write($0, to: STDERR_FILENO, name: "standard error") })
    }

    /// Writes a part of the answer, and the end of its line.
    ///
    /// - Throws: `InputError` if it cannot be written, for example to a full disk.
    func print(_ text: String) throws { try writeAnswer(text + "\n") }

    /// Writes a remark as it is.
    func remark(_ text: String) { writeRemark(text) }

    /// Without a buffer of its own, so that nothing is left to be lost when the process ends.
    private static func write(_ text: String, to file: Int32, name: String) throws {
        var bytes = Data(text.utf8)
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                throw InputError(
                    file: name, found: "a write that failed (\(String(cString: strerror(errno))))",
                    expected: "a place that takes the answer")
            }
            bytes.removeFirst(count)
        }
    }
}

/// A command that is given the place it writes to.
protocol ConsoleCommand: ParsableCommand {
    /// Does the work.
    func run(on console: Console) throws
}

extension ConsoleCommand {
    func run() throws { try run(on: .standard) }
}
