import AdaShareSupport
import AdaShareTuning
import Foundation
import Testing

@testable import AdaShareMethods
@testable import AdaShareTraining
@testable import adashare

/// What a command leaves, run in this process or in one of its own.
struct Outcome: Sendable {
    let status: Int32
    let output, errors: String

    /// The lines of standard error.
    var lines: [String] { errors.split(separator: "\n").map(String.init) }
    /// The line that says what went wrong; empty if there is not exactly one.
    var error: String {
        let found = lines.filter { $0.hasPrefix("Error: ") }
        return found.count == 1 ? found[0] : ""
    }

    func json() throws -> JSONValue { try JSONValue.parse(Data(output.utf8)) }

    /// Expects one clear line that has all the parts, at the end; after a usage error's line comes the usage.
    func expectFailure(code: Int32 = 1, _ parts: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(status == code, "\(errors)", sourceLocation: sourceLocation)
        #expect(!error.isEmpty, "\(errors)", sourceLocation: sourceLocation)
        for part in parts { #expect(error.contains(part), "\(errors)", sourceLocation: sourceLocation) }
        let place = code == 64 ? lines.first : lines.last
        #expect(place == error, "\(errors)", sourceLocation: sourceLocation)
    }
}

/// `adashare` without a process of its own: parsing, work, exit code and all it writes are the program's.
enum Command {
    static func run(_ arguments: [String]) -> Outcome {
        final class Text { var text = "" }
        let (output, errors) = (Text(), Text())
        let console = Console(answer: { output.text += $0 }, remark: { errors.text += $0 })
        let status = MeasuringTime.$isLeast.withValue(true) { AdaShareCommand.execute(arguments, on: console) }
        return Outcome(status: status, output: output.text, errors: errors.text)
    }
}

/// Expects that a command, run in this process, fails with one clear line that has all the parts.
func expectFailure(
    _ arguments: [String], code: Int32 = 1, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
    Command.run(arguments).expectFailure(code: code, parts, sourceLocation: sourceLocation)
}

extension JSONValue {
    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    var keys: [String] { if case .object(let members) = self { members.keys.sorted() } else { [] } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}
