import AdaShareBenchmarks
import AdaShareSupport
import ArgumentParser
import Foundation

extension Benchmark {
    struct ScaleModelCommand: LoggingCommand {
        static let configuration = CommandConfiguration(
            commandName: "scale-model",
            abstract: "Say what steps of more processes would take, on other devices and links.",
            discussion: """
                Goes by what `benchmark scale --json FILE` of several processes has measured: when the gradients of a \
                step are known, how large they are, how fast they travel. Every process computes as many shards as \
                there, so the batch grows with their number. docs/scaling.md has the formula.
                """)

        @Argument(help: "What several processes have measured: the file of `benchmark scale --json`.")
        var measured: String
        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp("Numbers of processes, 1 to 65536 each.", valueName: "number"))
        var processes = [1, 2, 4, 8, 16, 32, 64]
        @Option(help: ArgumentHelp("What a device computes in a step. Default: as measured.", valueName: "ms"))
        var computedMs: Double?
        @Option(help: ArgumentHelp("Bandwidth of a host's link. Default: as measured.", valueName: "Gbit/s"))
        var linkGbit: Double?
        @Option(help: ArgumentHelp("What a message costs beside its bytes.", valueName: "µs")) var messageUs = 2.0
        @Option(
            help: ArgumentHelp(
                "What beginning a transfer and noticing its end take. Default: as measured.", valueName: "µs"))
        var transferUs: Double?
        @Option(
            help: ArgumentHelp("Between device and host memory. Default: as measured.", valueName: "GB/s"))
        var stagingGbyte: Double?
        @Option(help: "Processes of a host, which share its link, 1 to 1024. Default: as measured.")
        var perHost: Int?
        @OptionGroup var logging: LogOptions

        func validate() throws {
            let numbers = processes.map { ("--processes", $0, 65536) } + [("--per-host", perHost ?? 1, 1024)]
            for (name, count, most) in numbers where !(1...most ~= count) {
                throw ValidationError("\(name): found \(count), expected from 1 to \(most).")
            }
            let positive = [
                ("--computed-ms", computedMs), ("--link-gbit", linkGbit), ("--message-us", messageUs),
                ("--transfer-us", transferUs),
                ("--staging-gbyte", stagingGbyte),
            ]
            for case (let name, let value?) in positive where !(value > 0 && value < 1e9) {
                throw ValidationError("\(name): found \(value), expected a number above 0 and below 10^9.")
            }
        }

        func run(on console: Console) throws {
            let file = URL(fileURLWithPath: measured)
            let report = try ScaleReport.read(file)
            guard let known = report.model, known.isSound else {
                throw InputError(
                    file: file.path, place: "model", found: report.model == nil ? "none" : "other numbers",
                    expected: "what several processes have measured")
            }
            var link = known.link
            if let perHost { link.processesPerHost = perHost }
            if let linkGbit { link.bytesPerMs = linkGbit * 1e9 / 8 / 1e3 }
            link.messageMs = messageUs / 1e3
            if let transferUs { link.transferMs = transferUs / 1e3 }
            if let stagingGbyte { link.stagingBytesPerMs = stagingGbyte * 1e9 / 1e3 }
            try console.print(known.scaled(computedMs: computedMs, link: link).table(processes: processes))
        }
    }
}
