import AdaShareMethods
import AdaShareSupport
import AdaShareTuning
import ArgumentParser
import Foundation

@main
struct AdaShareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adashare",
        abstract: "Multi-task learning that does only the selected work, on any OpenCL device.",
        discussion: """
            One residual network learns several tasks, and which blocks each task needs (AdaShare, NeurIPS 2020).
            Blocks a task skips are neither computed nor stored; work that tasks have in common is done once.

            Start with:
              adashare doctor
              adashare train --config configs/quickstart.yml --output runs/first
              adashare evaluate --run runs/first

            Exit codes: 0 success, 1 the work failed (one line says why), 64 wrong usage; of training that was told to \
            stop, 128 and the signal's number (130 Ctrl-C, 143 SIGTERM), or 124 at --time-limit.
            """,
        version: "0.1.0",
        subcommands: [
            Train.self, Runs.self, Show.self, Watch.self, Report.self, Evaluate.self, Predict.self, Export.self,
            Import.self, Cost.self, Policy.self, Tune.self,
            Benchmark.self,
            Devices.self, DoctorCommand.self,
            DataCommand.self, ConfigCommand.self, ExperimentCommand.self, CompileKernels.self,
        ])

    static func main() {
        StandardStreams.guardAll()
        HostMemory.keepFreed()
        guard StandardStreams.hasArguments else {
            Console.standard.say(
                .error, "Error: /proc: found nothing about this process, expected its arguments: /proc must be mounted")
            Foundation.exit(ExitCode.failure.rawValue)
        }
        if let argument = StandardStreams.argumentThatIsNoText() {
            Console.standard.say(.error, "Error: \(argument): found a name that is not UTF-8, expected one that is")
            Foundation.exit(ExitCode.failure.rawValue)
        }
        if let folder = StandardStreams.folderThatIsNoText() {
            Console.standard.say(
                .error, "Error: \(folder): found a working folder whose name is not UTF-8, expected one that is")
            Foundation.exit(ExitCode.failure.rawValue)
        }
        // Set by tests, whose machines are busy and whose times nobody reads.
        let isLeast = ProcessInfo.processInfo.environment["ADASHARE_LEAST_MEASURING"] == "1"
        let code = MeasuringTime.$isLeast.withValue(isLeast) {
            execute(Array(CommandLine.arguments.dropFirst()), on: .standard)
        }
        guard code == 0 else { Launcher.leave(code, isUnread: code == ExitCode.validationFailure.rawValue) }
        Foundation.exit(code)
    }

    /// Runs one command line, all of it: the answer, the remarks and the line that says what went wrong go to
    /// `console`.
    ///
    /// - Returns: the exit code.
    static func execute(_ arguments: [String], on console: Console) -> Int32 {
        var console = console
        do {
            if arguments.first == "help", let misspelling = Misspelling.error(in: Array(arguments.dropFirst())) {
                console.say(.error, misspelling)
                return ExitCode.validationFailure.rawValue
            }
            var command = try parseAsRoot(arguments)
            if console.isProcess { try Launcher.check(command) }
            if let logs = command as? any LoggingCommand { console = console.with(logs.logging) }
            guard let writer = command as? any ConsoleCommand else {
                try command.run()
                return ExitCode.success.rawValue
            }
            do {
                try writer.run(on: console)
            } catch {
                throw (command as? any ConfiguredCommand)?.located(error) ?? error
            }
            return ExitCode.success.rawValue
        } catch {
            // Options that cannot be read may still say in which form that is to be told.
            if let asked = LogOptions.format(in: arguments) { console = console.with(asked) }
            return report(error, of: arguments, on: console).rawValue
        }
    }

    /// Says what went wrong; help and version, which are asked for by an error too, are answers.
    private static func report(_ error: any Error, of arguments: [String], on console: Console) -> ExitCode {
        let code = exitCode(for: error)
        var message = fullMessage(for: error)
        guard !message.isEmpty else { return code }
        if code == .validationFailure, let misspelling = Misspelling.error(in: arguments) {
            let usage = message.split(separator: "\n").drop { !$0.hasPrefix("Usage:") }
            message = ([misspelling] + usage.map(String.init)).joined(separator: "\n")
        }
        guard code.isSuccess else {
            console.say(.error, message)
            return code
        }
        do {
            try console.print(message)
        } catch {
            return report(error, of: arguments, on: console)
        }
        return code
    }
}
