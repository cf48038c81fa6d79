import AdaShareSupport
import ArgumentParser
import Foundation
import Logging

/// Where a command writes: its answer to one side, what it says meanwhile to the other.
///
/// An answer that cannot be written is an error, since whoever asked goes without; anything else that is lost is not.
struct Console {
    /// The last line of a terminal; nil where lines are only added.
    let status: StatusLine?
    /// Whether it is that of a process of its own, which may be told to stop.
    let isProcess: Bool
    /// Whether a person reads the answer, and not a program.
    let answersTerminal: Bool
    private let terminal: Terminal?
    private let logger: Logger
    private let writeAnswer: (String) throws -> Void
    private let writeRemark: (String) -> Void

    /// - Parameters:
    ///   - terminal: that remarks go to; nil where they go elsewhere.
    ///   - isProcess: whether signals are the command's.
    ///   - answersTerminal: whether the answer goes to a terminal.
    ///   - options: how much is said, and in which form.
    ///   - answer: writes a part of the answer.
    ///   - remark: writes something else.
    init(
        terminal: Terminal? = nil, isProcess: Bool = false, answersTerminal: Bool = false, options: LogOptions? = nil,
        answer: @escaping (String) throws -> Void, remark: @escaping (String) -> Void
    ) {
        let (level, format) = (options?.level ?? .info, options?.logFormat ?? .text)
        let status = terminal.flatMap { level > .info || format == .json ? nil : StatusLine($0, write: remark) }
        (self.status, self.isProcess, self.terminal) = (status, isProcess, terminal)
        self.answersTerminal = answersTerminal
        (writeAnswer, writeRemark) = (answer, remark)
        logger = Logger(label: "adashare") { _ in
            LineHandler(logLevel: level, format: format, hasColours: terminal?.hasColours ?? false) {
                status?.erase()
                remark($0)
            }
        }
    }

    /// Standard output and standard error.
    static var standard: Console {
        Console(
            terminal: .standard, isProcess: true, answersTerminal: isatty(STDOUT_FILENO) == 1,
            answer: StandardStreams.answer, remark: StandardStreams.remark)
    }

    /// One that nothing comes of, of a process beside the one that people follow.
    var silent: Console { Console(isProcess: isProcess, answer: { _ in }, remark: { _ in }) }

    /// The same as a command's options have it.
    func with(_ options: LogOptions) -> Console {
        Console(
            terminal: terminal, isProcess: isProcess, answersTerminal: answersTerminal, options: options,
            answer: writeAnswer, remark: writeRemark)
    }

    /// Writes a part of the answer, and the end of its line. What names in it would do to a terminal is spelled out.
    ///
    /// - Throws: `InputError` if it cannot be written, for example to a full disk.
    func print(_ text: String) throws {
        status?.erase()
        try writeAnswer(visible(text, keeping: ["\n", "\t"]) + "\n")
    }

    /// Says something.
    ///
    /// - Parameters:
    ///   - level: `notice` for what people should know, `info` for what happens, `debug` for details.
    ///   - text: a line, or where it is no note several.
    ///   - facts: for programs.
    func say(_ level: Logger.Level = .info, _ text: String, _ facts: Logger.Metadata = [:]) {
        logger.log(level: level, "\(text)", metadata: facts)
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
