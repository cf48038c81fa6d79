import AdaShareSupport
import Foundation
import Testing

@testable import adashare

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Progress on terminals of any width.
@Suite struct ProgressTests {
    private static let phase = PhaseReport(name: "policy", number: 2, count: 4, total: 400, meaning: "in turn")

    private static func step(_ iteration: Int, _ tasks: [String] = ["depth", "normals"]) -> StepReport {
        StepReport(
            phase: "policy", iteration: iteration, total: 400,
            losses: (tasks + ["total"]).map { (name: $0, value: $0 == "total" ? 3.188 : 0.25) },
            imagesPerSecond: 15.25, waitShare: 0.031, secondsLeft: 61, runSecondsLeft: 7500)
    }

    @Test(arguments: [["depth", "normals"], ["深度推定のとても長い名前", "e\u{301}e\u{301}"], []])
    func linesFit(tasks: [String]) {
        let step = Self.step(40, tasks)
        for width in [1, 5, 12, 20, 39, 79, 120, 199] {
            let text = ProgressText(step, Self.phase, losses: step.losses).line(width: width, hasColours: false)
            #expect(columns(of: text) <= width, "\(width): \(text)")
            if width >= 39 { #expect(text.contains("40/400") && text.contains("2 h 5 min left"), "\(text)") }
            if width >= 79 { #expect(text.hasPrefix("policy 2/4  ━"), "\(text)") }
            #expect(width < 199 || tasks.allSatisfy { text.contains(clipped($0, to: 16)) }, "\(text)")
        }
        let full = ProgressText(step, Self.phase, losses: step.losses).full
        #expect(full.hasSuffix("15.25 images/s  waiting for data 3.1 %  1 min 1 s left, of the run about 2 h 5 min"))
    }

    /// Of losses the total is worth most, then those of the tasks in their order.
    @Test func lossesAreLeftOutByTheirWorth() {
        let tasks = ["zebra", "apple", "mango"]
        let step = Self.step(40, tasks)
        func shown(_ width: Int) -> [String] {
            let text = ProgressText(step, Self.phase, losses: step.losses).line(width: width, hasColours: false)
            return (tasks + ["total"]).filter { text.contains("  \($0) ") }
        }
        let all = (1...160).map(shown)
        #expect(all[159] == tasks + ["total"] && all.contains(["total"]) && all.contains(["zebra", "total"]))
        #expect(Set(all).isSubset(of: [[], ["total"], ["zebra", "total"], ["zebra", "apple", "total"], all[159]]))
        let full = ProgressText(step, Self.phase, losses: step.losses).full
        #expect(full.contains("zebra 0.250  apple 0.250  mango 0.250  total 3.188"))
    }

    /// A terminal that breaks lines anew when its width changes: lines are whole, rows are a matter of the width.
    private final class Screen {
        var width = 80
        private(set) var lines: [[Character]] = [[]]
        private var (line, place) = (0, 0)

        var text: [String] { lines.map { String($0) } }

        func write(_ text: String) {
            var rest = Substring(text)
            while let character = rest.popFirst() {
                switch character {
                case "\r": place -= place % width
                case "\n":
                    line += 1
                    place = 0
                    if line == lines.count { lines.append([]) }
                case "\u{1B}": control(&rest)
                default:
                    lines[line] = lines[line].prefix(place) + [character] + lines[line].dropFirst(place + 1)
                    place += 1
                }
            }
        }

        private func control(_ rest: inout Substring) {
            let code = rest.prefix { !$0.isLetter }
            rest = rest.dropFirst(code.count)
            switch rest.popFirst() {
            case "A": place -= width * (Int(code.dropFirst()) ?? 1)
            case "J":
                lines[line] = Array(lines[line].prefix(place))
                lines.removeLast(lines.count - 1 - line)
            default: break
            }
        }
    }

    @Test(arguments: [false, true]) func nothingIsLeftBehind(hasColours: Bool) {
        let screen = Screen()
        let terminal = Terminal(columns: { screen.width }, hasColours: hasColours)
        let printer = ProgressPrinter(
            Console(terminal: terminal, answer: { screen.write($0) }, remark: { screen.write($0) }))
        printer.report(.phase(Self.phase))
        for (width, iteration) in [(80, 1), (200, 2), (31, 3), (14, 4), (120, 5)] {
            screen.width = width
            usleep(210_000)
            printer.report(.step(Self.step(iteration)))
            #expect(screen.text.count == 2 && screen.lines[1].count < width, "\(screen.text)")
            if width > 20 { #expect(screen.text[1].contains("\(iteration)/400")) }
        }
        screen.width = 25
        printer.report(.notice("something"))
        printer.report(.step(Self.step(400)))
        printer.finish()
        #expect(screen.text.count == 4 && screen.text[1] == "note: something", "\(screen.text)")
        #expect(screen.text[2].contains("400/400") && screen.text[3] == "")
        #expect(screen.text[0] == "phase 2 of 4, policy: in turn, 400 steps")
    }

    @Test func whatIsSaidFollowsTheOptions() throws {
        func said(_ arguments: String...) throws -> String {
            var text = ""
            let options = try LogOptions.parse(arguments)
            let console = Console(answer: { _ in }, remark: { text += $0 }).with(options)
            let printer = ProgressPrinter(console)
            for event in [
                ProgressEvent.phase(Self.phase), .step(Self.step(400)), .notice("a \"b\""), .detail("more"),
                // The same of another run of the command.
                .notice("a \"b\""),
            ] { printer.report(event) }
            console.say(.error, "Error: wrong")
            return text
        }
        #expect(try said("--quiet") == "Error: wrong\n")
        let plain = try said()
        #expect(plain.contains("phase 2 of 4") && plain.contains("policy  400/400") && !plain.contains("more"))
        #expect(plain.contains("note: a \"b\"\n") && !plain.contains("\u{1B}"))
        #expect(try said("--verbose").contains("\nmore\n"))
        let lines = try said("--log-format", "json").split(separator: "\n").map { try JSONValue.parse(Data($0.utf8)) }
        #expect(lines.compactMap { $0["level"]?.string } == ["info", "info", "notice", "error"])
        #expect(lines[1]["iteration"]?.integer == 400 && lines[1]["loss"]?["depth"]?.double == 0.25)
        #expect(lines[2]["message"]?.string == "a \"b\"" && lines[3]["time"]?.double ?? 0 > 1e9)
        #expect(throws: (any Error).self) { try LogOptions.parse(["--quiet", "--verbose"]) }
        // Usage that is wrong is one object too.
        for options in [["--log-format", "json", "--nonsense"], ["--epochs=3", "--log-format=json"]] {
            let wrong = Command.run(["train"] + options)
            #expect(wrong.status == 64 && wrong.output == "" && wrong.lines.count == 1, "\(wrong.errors)")
            let line = try JSONValue.parse(Data(wrong.errors.utf8))
            #expect(line["level"] == "error" && line["message"]?.string?.hasPrefix("Error: ") == true)
        }
        #expect(Command.run(["train", "--nonsense", "--", "--log-format=json"]).errors.hasPrefix("Error: "))
        // What a name would do to a terminal is spelled out.
        var shown = ""
        let console = Console(answer: { shown += $0 }, remark: { shown += $0 })
        console.say(.notice, "a\u{1B}b\nc")
        ProgressPrinter(console).line("d\u{9B}\ne")
        try console.print("f\u{7}\ng")
        #expect(shown == #"note: a\u001bb\nc"# + "\n" + #"d\u009b\ne"# + "\n" + #"f\u0007"# + "\ng\n")
    }
}

extension CommandLineTests.SurroundingsTests {
    /// A pseudo-terminal whose width changes while a program writes to it.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/ptmx"), "needs /dev/ptmx"))
    func aTerminalMayBeResized() throws {
        // As unlockpt and ptsname do it, which glibc's module lacks.
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var (isLocked, number): (Int32, Int32) = (0, -1)
        try #require(master >= 0 && ioctl(master, 0x4004_5431, &isLocked) == 0)
        try #require(ioctl(master, 0x8004_5430, &number) == 0)
        defer { close(master) }
        let name = "/dev/pts/\(number)"
        func resize(_ columns: UInt16) {
            var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
            #expect(ioctl(master, UInt(TIOCSWINSZ), &size) == 0)
        }
        resize(70)
        for (terminal, isPlain) in [("xterm-256color", false), ("dumb", true)] {
            let process = Process()
            process.executableURL = Program.url
            process.arguments = [
                "train", "--config", configuration.path, "--output", folder.file(terminal).path, "--no-search",
                "--set", "training.warmup.iterations=120",
            ]
            process.environment = ProcessInfo.processInfo.environment.merging(["TERM": terminal, "NO_COLOR": "1"]) {
                $1
            }
            let slave = try #require(FileHandle(forUpdatingAtPath: name))
            (process.standardInput, process.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
            process.standardError = slave
            try process.run()
            try slave.close()
            var (text, buffer) = ("", [UInt8](repeating: 0, count: 4096))
            var isNarrow = false
            while true {
                let count = read(master, &buffer, buffer.count)
                // The other end is closed.
                guard count > 0 else { break }
                text += String(decoding: buffer[..<count], as: UTF8.self)
                if !isNarrow, text.contains("images/s") {
                    text = ""
                    resize(30)
                    isNarrow = true
                }
            }
            process.waitUntilExit()
            #expect(process.terminationStatus == 0 && isNarrow, "\(text)")
            let drawn = text.components(separatedBy: "\r").filter { $0.hasPrefix("\u{1B}") }
            #expect(drawn.isEmpty == isPlain, "\(text)")
            // A line that stays ends with both characters, which are one to Swift; what follows it is no progress.
            let lines = drawn.map { line in
                String(line.replacing(/\u{1B}\[[0-9]*[AJ]/, with: "").prefix { !$0.isNewline })
            }
            // The first may have been under way when the width changed.
            #expect(lines.dropFirst().filter { $0.contains("/120") }.allSatisfy { columns(of: $0) < 30 }, "\(lines)")
            #expect(!text.contains("\u{1B}[3") && (isPlain || text.contains("120/120")), "\(text)")
            resize(70)
        }
    }
}
