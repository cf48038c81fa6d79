import Testing

@testable import AdaShareMethods
@testable import adashare

/// Every integer option has two limits; they are parsed here, in this process, and nothing runs.
@Suite struct OptionLimitsTests {
    struct Option: CustomTestStringConvertible, Sendable {
        /// The command line up to the option's value.
        let words: [String]
        let accepted: [String]
        let refused: [String]
        /// What may follow, so that nothing else is missing.
        var rest: [String] = []
        var testDescription: String { words.filter { !$0.contains(".") }.joined(separator: " ") }
    }

    private static let large = ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e3", "", "٣"]

    static let options = [
        Option(
            words: ["benchmark", "skip", "--repeats"], accepted: ["1", "1000000"], refused: ["0", "1000001"] + large),
        Option(
            words: ["benchmark", "operators", "--repeats"], accepted: ["1", "1000000"],
            refused: ["0", "1000001"] + large),
        Option(words: ["benchmark", "skip", "--batch"], accepted: ["1", "65536"], refused: ["0", "65537"] + large),
        Option(
            words: ["cost", "--config", "c.yml", "--batch"], accepted: ["1", "65536"], refused: ["0", "65537"] + large),
        Option(
            words: ["benchmark", "skip", "--size"], accepted: ["1x1", "16384x16384"],
            refused: ["0x1", "1x16385", "16385x1", "1x1x1"] + large),
        Option(
            words: ["cost", "--config", "c.yml", "--size"], accepted: ["1x1", "16384x16384"],
            refused: ["0x1", "1x9223372036854775807"] + large),
        Option(
            words: ["data", "synthesize", "--output", "d.d", "--count"], accepted: ["1", "1000000"],
            refused: ["0", "1000001"] + large, rest: ["--size", "32x32"]),
        Option(
            words: ["data", "synthesize", "--output", "d.d", "--size"], accepted: ["8x8", "4096x4096"],
            refused: ["16385x8"] + large, rest: ["--count", "1"]),
        Option(
            words: ["data", "synthesize", "--output", "d.d", "--count", "1", "--size", "32x32", "--seed"],
            accepted: ["0", "9223372036854775807", "18446744073709551615"],
            refused: ["-1", "18446744073709551616", "1e3"]),
    ]

    @Test(arguments: options)
    func limits(option: Option) throws {
        for value in option.accepted {
            #expect(throws: Never.self) { try AdaShareCommand.parseAsRoot(option.words + [value] + option.rest) }
        }
        for value in option.refused {
            do {
                _ = try AdaShareCommand.parseAsRoot(option.words + [value] + option.rest)
                Issue.record("\(value) was accepted")
            } catch {
                let message = AdaShareCommand.message(for: error)
                #expect(message.contains(option.words.last ?? "?"), "\(value): \(message)")
                #expect(!message.contains("\n"), "\(message)")
            }
        }
    }
}
