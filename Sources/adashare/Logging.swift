import AdaShareSupport
import ArgumentParser
import Foundation
import Logging

/// How much a command says beside its answer, and in which form.
struct LogOptions: ParsableArguments {
    @Flag(help: "Say nothing but errors and the answer.") var quiet = false
    @Flag(help: "Also say what checkpoints and evaluations take.") var verbose = false
    @Option(
        help: ArgumentHelp(
            "Form of what is said on standard error: text, or json, an object a line.",
            discussion:
                "Objects have time (seconds since 1970-01-01 UTC), level (debug, info, notice, error), message, "
                + "and of steps their numbers."))
    var logFormat = LogFormat.text

    func validate() throws {
        guard !(quiet && verbose) else { throw ValidationError("found --quiet and --verbose; expected one of them.") }
    }

    var level: Logger.Level { quiet ? .error : verbose ? .debug : .info }

    /// What a command line says of the form, though other parts of it are wrong; nil where it says nothing.
    static func format(in arguments: [String]) -> LogOptions? {
        let options = arguments.prefix { $0 != "--" }
        let given =
            zip(options, options.dropFirst()).filter { $0.0 == "--log-format" }.map(\.1)
            + options.filter { $0.hasPrefix("--log-format=") }.map { String($0.dropFirst("--log-format=".count)) }
        guard let format = given.last.flatMap(LogFormat.init(rawValue:)) else { return nil }
        return try? LogOptions.parse(["--log-format", format.rawValue])
    }
}

/// The form of a log.
enum LogFormat: String, CaseIterable, ExpressibleByArgument { case text, json }

/// A command that says what it does.
protocol LoggingCommand: ConsoleCommand {
    /// What people want to hear.
    var logging: LogOptions { get }
}

/// Writes what is logged as lines; what names in them would do to a terminal is spelled out.
struct LineHandler: LogHandler, @unchecked Sendable {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level
    let format: LogFormat
    let hasColours: Bool
    /// Of one thread: that of the command.
    let write: (String) -> Void

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var text = "\(event.message)"
        switch format {
        case .text:
            text = visible(text, keeping: event.level == .notice ? [] : ["\n", "\t"])
            switch event.level {
            case .notice: write(coloured("note:", "33") + " \(text)\n")
            case .error where text.hasPrefix("Error:"): write(coloured("Error:", "1;31") + text.dropFirst(6) + "\n")
            default: write(text + "\n")
            }
        case .json:
            var line: [String: JSONValue] = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues(\.json)
            line["time"] = .number((Date().timeIntervalSince1970 * 1e3).rounded() / 1e3)
            line["level"] = .string(event.level.rawValue)
            line["message"] = .string(text)
            write(visible(JSONValue.object(line).text) + "\n")
        }
    }

    private func coloured(_ text: String, _ code: String) -> String {
        hasColours ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

extension Logger.MetadataValue {
    fileprivate var json: JSONValue {
        switch self {
        case .string(let text): .string(text)
        case .stringConvertible(let value as Int): .integer(value)
        case .stringConvertible(let value as Double): .number(value)
        case .stringConvertible(let value): .string("\(value)")
        case .dictionary(let members): .object(members.mapValues(\.json))
        case .array(let items): .array(items.map(\.json))
        }
    }
}
