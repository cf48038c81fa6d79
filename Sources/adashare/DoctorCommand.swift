import AdaShareBenchmarks
import AdaShareDeviceLayer
import AdaShareSupport
import ArgumentParser
import Foundation

struct DoctorCommand: ConsoleCommand, RepeatableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at drivers, devices, limits and caches; say what is wrong and what to do.",
        discussion: """
            Drivers: files that register one, and why a registered one does not load. Devices: whether kernels compile \
            and compute what they should, multiply-adds in registers and copying in memory beside what is usual. \
            Threads and memory against a container's limits; caches, their size and whether they can be written; \
            libraries.
            Exit code 1 where training could not work.
            """)

    @Flag(help: "Print JSON.") var json = false
    @Option(help: ArgumentHelp("Try this device only.", visibility: .hidden)) var probe: String?
    @OptionGroup var device: DeviceOptions

    func run(on console: Console) throws {
        if let probe {
            // A child of another one of these: a driver may end the process.
            let context = try DeviceOptions.context(try Device.select(probe))
            return try console.print(JSONText.line(DeviceProbe(context, family: device.kernelFamily)))
        }
        HostThreads.stayOnTheirCores()
        let doctor = Doctor(
            version: AdaShareCommand.configuration.version, selector: device.device ?? DeviceOptions.selector
        ) { found in
            if !json { console.say(.info, "trying \(found.name)") }
            return Self.probe(found, family: device.kernelFamily?.rawValue)
        }
        let report = doctor.examine()
        try console.print(json ? JSONText.pretty(report) : DoctorText(report).text)
        if !report.works { throw ExitCode.failure }
    }

    /// A kernel takes seconds to compile, on a busy machine.
    private static let longest = 300.0

    /// Tries a device in a process of its own; in this one where the program cannot be started again.
    private static func probe(_ device: Device, family: String?) -> DeviceProbe {
        guard let program = CompileKernels.program else {
            do {
                return DeviceProbe(try DeviceOptions.context(device))
            } catch {
                return DeviceProbe(failure: "\(error)")
            }
        }
        let (process, output, errors) = (Process(), Pipe(), Pipe())
        process.executableURL = program
        process.arguments =
            ["doctor", "--probe", device.selector] + (family.map { ["--kernel-family", $0] } ?? [])
        (process.standardInput, process.standardOutput, process.standardError) = (nil, output, errors)
        do { try process.run() } catch { return DeviceProbe(failure: "\(error)") }
        let timer = DispatchSource.makeTimerSource()
        timer.schedule(deadline: .now() + longest)
        timer.setEventHandler { kill(process.processIdentifier, SIGKILL) }
        timer.resume()
        // Little is written there: neither pipe fills while the other is read.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        timer.cancel()
        if let probe = try? JSONText.decode(DeviceProbe.self, from: text) { return probe }
        let words = said.split(separator: "\n").suffix(3).joined(separator: " ")
        return DeviceProbe(
            failure: process.terminationReason == .uncaughtSignal
                ? "the driver ended the process with signal \(process.terminationStatus): \(words)" : words)
    }
}

/// What a doctor has found, for people.
struct DoctorText {
    private let report: DoctorReport

    init(_ report: DoctorReport) { self.report = report }

    var text: String { (parts + [problems]).joined(separator: "\n\n") }

    private var parts: [String] {
        let host = report.host
        var processor = "\(host.cores) cores"
        if host.allowedCores < host.cores { processor += ", \(host.allowedCores) of them for this process" }
        if let quota = host.cpuQuota { processor += ", time for \(readable(quota, digits: 2)) of them" }
        var memory = gibibytes(host.memoryBytes)
        if let limit = host.memoryLimitBytes { memory += ", of which the container may take \(gibibytes(limit))" }
        let drivers = report.drivers.map { driver in
            "  \(driver.library ?? "nothing") (\(driver.file))" + (driver.loads ? "" : ": does not load")
        }
        return [
            "Machine\n  processor  \(processor)\n  memory     \(memory)"
                + (host.isContainer ? "\n  in a container" : ""),
            "Drivers\n" + (drivers.isEmpty ? "  none" : drivers.joined(separator: "\n")),
            "Devices\n" + (report.devices.isEmpty ? "  none" : report.devices.map(Self.lines).joined(separator: "\n")),
            "Places\n" + report.places.map(Self.line).joined(separator: "\n"),
            "Versions\n" + versions.joined(separator: "\n"),
        ]
    }

    private var versions: [String] {
        let width = report.versions.keys.map(\.count).max() ?? 0
        return report.versions.sorted { $0.key < $1.key }.map { name, version in
            "  " + name.padding(toLength: width, withPad: " ", startingAt: 0) + "  " + version
        }
    }

    private var problems: String {
        guard !report.problems.isEmpty else { return "Nothing is wrong." }
        let lines = report.problems.map { problem in
            Self.wrapped((problem.isError ? "error: " : "warning: ") + problem.what, "  ")
                + "\n" + Self.wrapped("→ " + problem.advice, "    ")
        }
        return "Problems\n" + lines.joined(separator: "\n")
            + (report.works ? "" : "\n\nTraining cannot work until the errors are mended.")
    }

    private static func lines(_ device: DoctorReport.DeviceRow) -> String {
        var lines = [
            "  \(device.index)\(device.isChosen ? " *" : "")  \(device.name)",
            wrapped("\(device.platform), driver \(device.driver), \(device.version)", "       "),
            "       \(device.type), \(device.computeUnits) compute units, \(gibibytes(device.globalMemoryBytes))",
        ]
        if let refusal = device.refusal { lines.append("       not usable: \(refusal)") }
        if let probe = device.probe {
            if let seconds = probe.seconds {
                lines.append(
                    "       kernels compile and run: \(readable(seconds, digits: 2)) s until the first results")
            }
            if let gflops = probe.gflops, let bytes = probe.gbPerSecond {
                let rates = [
                    rate(gflops, probe.usual?.gflops, "GFLOP/s"), rate(bytes, probe.usual?.gbPerSecond, "GB/s"),
                ]
                lines.append("       " + rates.joined(separator: ", "))
            }
            if let usual = probe.usual { lines.append(wrapped("usual by \(usual.source)", "       ")) }
        }
        return lines.joined(separator: "\n")
    }

    private static func rate(_ measured: Double, _ usual: Double?, _ unit: String) -> String {
        "\(readable(measured, digits: 2)) \(unit)" + (usual.map { " (usual: about \(readable($0, digits: 2)))" } ?? "")
    }

    private static func line(_ place: DoctorReport.Place) -> String {
        let size = place.files > 0 ? ", \(place.files) files, \(readable(Double(place.bytes) / 1e6)) MB" : ""
        let state = place.whyUnwritable.map { "cannot be written: \($0)" } ?? "can be written"
        let free = place.freeBytes.map { ", \(gibibytes($0)) left" } ?? ""
        return "  \(place.name): \(place.path ?? "none")\n       \(state)\(size)\(free)"
    }

    /// Lines of at most 100 characters, each after an indentation.
    private static func wrapped(_ text: String, _ indentation: String) -> String {
        var lines: [String] = []
        for word in text.split(whereSeparator: \.isWhitespace) {
            if let last = lines.last, last.count + word.count < 100 {
                lines[lines.count - 1] = "\(last) \(word)"
            } else {
                lines.append(indentation + (lines.isEmpty ? "" : "  ") + word)
            }
        }
        return lines.joined(separator: "\n")
    }
}
