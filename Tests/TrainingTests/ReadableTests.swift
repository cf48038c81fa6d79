import AdaShareSupport
import Foundation
import Testing

@testable import AdaShareBenchmarks
@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

/// Numbers for people, of whatever a clock or a division may yield.
@Suite struct ReadableTests {
    private static let odd = [Double.nan, .infinity, -.infinity, .greatestFiniteMagnitude, 9.3e18, -9.3e18]

    @Test func durations() {
        #expect([0, 0.4, 59.4].map { readableDuration(seconds: $0) } == ["0 s", "0 s", "59 s"])
        #expect([59.6, 3599].map { readableDuration(seconds: $0) } == ["1 min 0 s", "59 min 59 s"])
        #expect([3600, 90_061].map { readableDuration(seconds: $0) } == ["1 h 0 min", "25 h 1 min"])
        #expect(Self.odd.allSatisfy { readableDuration(seconds: $0) == "–" })
        // The most iterations a phase can have, a century each.
        #expect(readableDuration(seconds: 0x1p31 * 3.2e9) == "1908874353777777 h 46 min")
    }

    @Test func shares() {
        #expect([0, 0.126, 1, 2.5].map(percent) == ["0 %", "13 %", "100 %", "250 %"])
        #expect(Self.odd.filter { !(abs($0) < 1e10) }.allSatisfy { percent($0) == "–" })
    }

    @Test func numbers() {
        #expect([0, 1.23456, 45.678, 12345.67].map { readable($0) } == ["0.000", "1.235", "45.68", "12345.7"])
        // Small ones have as many digits that mean something.
        #expect([0.09996, 0.0123456, 0.00312].map { readable($0) } == ["0.100", "0.0123", "0.00312"])
        #expect([0.0009996, 1.2e-5, -4.567e-7].map { readable($0) } == ["0.00100", "1.2e-5", "-4.57e-7"])
        #expect(readable(-0.001) == "-0.00100" && readable(5e-324) == "4.94e-324")
        #expect([0.04, 0.0004, 9.6e-5].map { readable($0, digits: 2) } == ["0.04", "4e-4", "1e-4"])
        #expect(readable(-0.5, digits: 2) == "-0.5" && readable(999_999_999) == "999999999.0")
        #expect(readable(.nan) == "–" && readable(-.infinity) == "–" && readable(1e300) == "inf")
    }

    @Test func sizes() {
        #expect(dimensions(height: 480, width: 640) == "480×640" && gibibytes(3 << 29) == "1.5 GiB")
    }

    @Test func differences() {
        #expect([0.04, -1.25, 12.34, 613.5].map(signed) == ["+0.0", "−1.3", "+12.3", "+613.5"])
        #expect([0.1234, 5.649, 42.06, 613.5].map { readable($0, digits: 2) } == ["0.1", "5.6", "42", "614"])
        #expect(signed(.nan) == "–")
    }

    /// What has no room goes on below, beside the names again; names give way to numbers.
    @Test func tablesKeepToATerminal() {
        var table = Table([""] + (1...9).map { "quantity \($0)" })
        table.add([String(repeating: "long name ", count: 20)] + (1...9).map { "\($0)" })
        table.add(["深度", "1"])
        let lines = table.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { columns(of: $0) <= Table.width })
        let whole = table.whole.split(separator: "\n")
        #expect(whole.count == 4 && whole[2].hasPrefix(String(repeating: "long name ", count: 20) + " "))
        #expect(lines.count == 3 * 4 + 2 && lines[4] == "" && lines[2].hasPrefix("long name "))
        #expect(columns(of: "深度 e\u{301}👍") == 8 && clipped("深度推定", to: 6) == "深度…")
        #expect(shortened("abcdefghij", to: 5) == "ab…ij" && shortened("abc", to: 5) == "abc")
        // Rows that have their numbers elsewhere are left out, not those that have none at all.
        var parts = Table([""] + (1...9).map { "quantity \($0)" })
        parts.add(["first"] + ["1"] + [String](repeating: Table.none, count: 8))
        parts.add(["last"] + [String](repeating: Table.none, count: 8) + ["9"])
        parts.add(["never"] + [String](repeating: Table.none, count: 9))
        let blocks = parts.text.split(separator: "\n\n").map { $0.split(separator: "\n").dropFirst(2) }
        let names = blocks.map { $0.map { String($0.prefix { $0 != " " }) } }
        #expect(names == [["first", "never"], ["last", "never"]])
        var small = Table(["a", "b"])
        small.add(["x", "10"])
        #expect(small.text == "a   b\n─────\nx  10")
    }

    /// Names may hold what would move a terminal's cursor or break a line.
    @Test func controlCharactersAreSpelledOut() throws {
        let name = "a\u{1B}[2J\n\u{9B}\u{202E}\t深"
        #expect(visible(name) == #"a\u001b[2J\n\u009b\u202e\t深"#)
        #expect(visible("a\tb\nc\r", keeping: ["\n", "\t"]) == "a\tb\nc\\r" && visible("depth é 👍🏽") == "depth é 👍🏽")
        var table = Table([name])
        table.add([name])
        #expect(table.text.split(separator: "\n").count == 3 && !table.text.contains("\u{1B}"))
        let error = InputError(file: name, place: name, found: name, expected: "none")
        let two = try #require(InputError.all([error, error]))
        #expect(!"\(error)".contains("\n") && "\(two)".contains(#"\u001b"#))
        #expect(escapedXML(name) == #"a\u001b[2J \u009b\u202e 深"#)
        // JSON says the same with and without.
        let json = visible(JSONValue.string("\u{85}x\u{7F}").text)
        #expect(json.utf8.allSatisfy { $0 < 0x7F })
        #expect(try JSONValue.parse(Data(json.utf8)) == "\u{85}x\u{7F}")
    }

    /// What is told of JSON without reading it is what reading tells, wherever a byte is damaged.
    @Test func syntaxIsThatOfTheParser() throws {
        let line =
            #"{"a": [1, -2.5e-3, 0.25, [], {}], "b\"\\": {"c": null, "d": [true, false]}, "é\u001f": "深", "e": 0}"#
        func isObject(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes(JSONSyntax.isObject) }
        func isParsed(_ bytes: [UInt8]) -> Bool {
            if case .object? = try? JSONValue.parse(Data(bytes)) { true } else { false }
        }
        let whole = Array(line.utf8)
        #expect(isObject(whole) && isParsed(whole))
        for place in whole.indices {
            for bit in [UInt8(1), 2, 8, 0x10, 0x40, 0x80] {
                var bytes = whole
                bytes[place] ^= bit
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(isObject(bytes) == isParsed(bytes), "byte \(place), \(bit): \(text)")
            }
            var bytes = whole
            bytes.remove(at: place)
            #expect(isObject(bytes) == isParsed(bytes), "without byte \(place)")
            #expect(!isObject(Array(whole[..<place])))
        }
        for text in ["1e999", "1e300", "-1.5E+308", "-1E+309", "1" + String(repeating: "0", count: 400)] {
            let bytes = Array("{\"a\":\(text)}".utf8)
            #expect(isObject(bytes) == isParsed(bytes), "\(text)")
        }
        for text in [#"\ud83d\ude00"#, #"\ud83d"#, #"\ude00\ud83d"#, #"\ud83dx"#, #"\ud83d\u0041"#, #"\uD7FF\uE000"#] {
            let bytes = Array("{\"a\":\"\(text)\"}".utf8)
            #expect(isObject(bytes) == isParsed(bytes), "\(text)")
        }
        for text in ["", "[]", "1", "{} {}", "{\"a\":01}", "{\"a\":1,}", String(repeating: "[", count: 5000)] {
            #expect(!isObject(Array(text.utf8)), "\(text)")
        }
    }

    @Test func runsOfALaunch() {
        #expect(DeviceSpeed.runs(of: 10, atLeast: 5) == 10)
        #expect(DeviceSpeed.runs(of: 1e9, atLeast: 5) == 5)
        #expect([0, -1, 1e-300, .nan].allSatisfy { DeviceSpeed.runs(of: $0, atLeast: 5) == 40 })
        #expect(DeviceSpeed.runs(of: 0, atLeast: 77) == 77)
    }

    /// Times of 0 ms make rates infinite or no numbers; tables and plots are made of them all the same.
    @Test func reportsOfOddTimes() throws {
        let experiment = try Experiment(
            try ExperimentConfiguration.parse(yaml: "tasks: [{name: a, kind: depth}]", file: "c.yml"))
        var report = SkipReport(
            device: "d", driver: "1", kernelFamily: "cpu", date: "now", precision: "float32",
            network: SkipReport.Network(experiment), batch: 1, height: 32, width: 32, repeats: 1, cachedPlanUs: 0)
        for (index, value) in ([0, 1] + Self.odd).enumerated() {
            report.rows.append(
                SkipReport.Row(
                    step: .retrain, network: "n", policy: index % 2 == 0 ? "random" : "published", density: value,
                    open: nil, ms: value, idealMs: value, fidelity: value, spread: value, idleShare: value,
                    launchUs: value, kernels: 1, macs: 1, bytes: 1, planMs: value, referenceMs: value, passes: value,
                    attempts: 1, speedup: value, speedupHardSharing: value))
        }
        #expect(report.table(.retrain).contains("100 %"))
        #expect(SkipPlot(report).chart.svg.hasSuffix("</svg>\n"))
    }
}
