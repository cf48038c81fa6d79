import AdaShareDeviceLayer
import AdaShareRanks
import AdaShareSupport
import ArgumentParser
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A command for which several processes compute together.
protocol JoiningCommand {}
/// A command that several processes may each do by itself, as to look at every machine.
protocol RepeatableCommand {}

/// The processes that `mpirun`, `srun` or the like has started together, this one among them.
enum Launcher {
    /// How many there are, as launchers tell what they start; 1 without one.
    static var count: Int {
        // Open MPI, MPICH and Intel MPI, and Slurm where it starts MPI itself.
        number(of: ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"]) ?? 1
    }

    /// How many MPI's own launcher has started: Slurm's may start processes that know nothing of each other.
    private static var countForMPI: Int {
        number(of: isFromSlurm ? ["OMPI_COMM_WORLD_SIZE"] : ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]) ?? 1
    }

    private static var isFromSlurm: Bool { number(of: ["SLURM_PROCID"]) != nil }
    /// Whether it is MPICH's, or that of an MPI made of it.
    private static var isFromHydra: Bool {
        number(of: ["PMI_SIZE"]) != nil && number(of: ["OMPI_COMM_WORLD_SIZE"]) == nil && !isFromSlurm
    }

    /// Which of them this one is, as far as launchers tell.
    private static var index: Int { number(of: ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"]) ?? 0 }

    private static func number(of variables: [String]) -> Int? {
        let environment = ProcessInfo.processInfo.environment
        return variables.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first
    }

    /// The processes.
    ///
    /// - Parameter advice: what to do where another one cannot be reached any more.
    /// - Throws: `RankError` where MPI cannot be loaded, or fails.
    private static func open(_ advice: String?) throws -> RankGroup {
        let known = ProcessInfo.processInfo.environment["ADASHARE_MPI"].map { [URL(fileURLWithPath: $0)] }
        let candidates = known ?? libraries
        let ranks = try RankGroup(
            failed: { end($0, advice) },
            open: {
                HostThreads.callNoDriver()
                return try MPITransport(candidates)
            })
        guard ranks.count == count else {
            throw RankError(
                "the launcher has started \(count) processes, and \(ranks.description) knows \(ranks.count): expected "
                    + "the library that tools/build-mpi makes with the launcher's own mpicc, or srun with its --mpi")
        }
        return ranks
    }

    /// Does a command's work in each of the processes. Only the first one's is heard; an error of any ends all.
    ///
    /// - Parameters:
    ///   - command: what all of them have to have been started for, as people call it.
    ///   - advice: what to do where another process cannot be reached any more.
    ///   - console: of the first process.
    ///   - located: an error with the file that it is about.
    ///   - work: is given the processes; nil where this one is alone.
    /// - Throws: what `work` throws where this process is alone; else exit codes alone.
    static func run(
        _ command: String, advice: String? = nil, on console: Console, located: (any Error) -> any Error,
        _ work: (Console, RankGroup?) throws -> Void
    ) throws {
        // Before other threads are: they inherit what the first one is deaf to.
        let stop = console.isProcess ? StopRequest.listening() : nil
        guard count > 1 else { return try work(console, nil) }
        guard count.nonzeroBitCount == 1 else {
            waitForFirst()
            // Each of them sees it.
            guard index == 0 else { throw ExitCode.failure }
            throw RankError(
                "found \(count) processes, expected 1, 2, 4 or another power of two: they divide training.shards")
        }
        let ranks: RankGroup
        do {
            ranks = try opening(until: stop) { try open(advice) }
        } catch {
            waitForFirst()
            throw RankError("rank \(index): \(AdaShareCommand.message(for: located(error)))")
        }
        isAwaited.isSet.store(false, ordering: .relaxed)
        do {
            let commands = try ranks.gather(command)
            if let other = commands.firstIndex(where: { $0 != commands[0] }) {
                throw RankError("rank \(other) was started for '\(commands[other])', and rank 0 for '\(commands[0])'")
            }
            try work(ranks.isFirst ? console : console.silent, ranks)
        } catch let code as ExitCode {
            ranks.close()
            throw code
        } catch {
            end(located(error), of: ranks)
        }
        ranks.close()
    }

    /// Refuses a command that several processes would do each by itself, over one another's files.
    ///
    /// - Throws: `InputError` where MPI's launcher has started several.
    static func check(_ command: any ParsableCommand) throws {
        guard countForMPI > 1, !(command is any RepeatableCommand) else { return }
        // One that fails before it has met the others leaves them waiting.
        isAwaited.isSet.store(true, ordering: .relaxed)
        guard !(command is any JoiningCommand) else { return }
        let words = CommandLine.arguments.dropFirst().prefix { !$0.hasPrefix("-") }.prefix(2)
        let isGroup = ["benchmark", "config", "data", "experiment"].contains(words.first)
        try refuse(words.prefix(isGroup ? 2 : 1).joined(separator: " "))
    }

    /// - Throws: `InputError` in any case.
    static func refuse(_ command: String) throws {
        waitForFirst()
        throw InputError(
            file: "mpirun", found: "\(count) processes for \(command)",
            expected: "one: only train and benchmark scale compute with several")
    }

    /// What all processes meet is told by the first, which ends the others in this time.
    private static func waitForFirst() { if index > 0 { sleep(2) } }

    /// Ends this process. Where it has failed before it has met the others, these may wait for it in MPI, out of which
    /// MPICH's launcher takes them only where a signal has ended one.
    ///
    /// - Parameters:
    ///   - code: the exit code.
    ///   - isUnread: whether the command could not be read: it may be what the others were started for.
    static func leave(_ code: Int32, isUnread: Bool) -> Never {
        if isUnread || isAwaited.isSet.load(ordering: .relaxed) { endBySignal() }
        exit(code)
    }

    /// Nothing where the launcher is not MPICH's: others end all where one has failed.
    private static func endBySignal() {
        guard count > 1, isFromHydra else { return }
        passOn()
        signal(SIGTERM, SIG_DFL)
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        raise(SIGTERM)
    }

    /// Gives a launcher time to pass on what was said: MPICH's forgets it where the processes end.
    private static func passOn() { usleep(300_000) }

    private static let isAwaited = Flag()

    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    /// Seconds that processes may need to start MPI together.
    private static let mostSecondsOpening = 120.0

    /// Opens MPI, which may wait for ever for processes that do not come: a signal ends this one meanwhile, and so does
    /// time.
    private static func opening(until stop: StopRequest?, _ open: () throws -> RankGroup) throws -> RankGroup {
        let (opened, start) = (Flag(), ContinuousClock.now)
        Thread.detachNewThread {
            while !opened.isSet.load(ordering: .relaxed) {
                if let reason = stop?.reason {
                    StandardStreams.remark("\(Stopped(reason: reason)), while MPI was starting\n")
                    _exit(reason.exitCode)
                }
                if ContinuousClock.now - start > .seconds(mostSecondsOpening) {
                    StandardStreams.remark(
                        "Error: rank \(index): MPI has not started in \(Int(mostSecondsOpening)) s: not all of the "
                            + "\(count) processes were started for the same command, or one of them has ended\n")
                    endBySignal()
                    _exit(ExitCode.failure.rawValue)
                }
                usleep(100_000)
            }
        }
        defer { opened.isSet.store(true, ordering: .relaxed) }
        return try open()
    }

    /// Says on one line what ends this process, and ends the others with it.
    ///
    /// What all of them meet is told by the first: the others wait a moment, in which it ends them.
    private static func end(_ error: any Error, of ranks: RankGroup) -> Never {
        let code = AdaShareCommand.exitCode(for: error)
        let text = AdaShareCommand.message(for: error)
        if !(error is DeviceError) { waitForFirst() }
        let isNamed = error is RankError && text.hasPrefix("rank ")
        StandardStreams.remark("Error: " + (isNamed ? "" : "rank \(ranks.index): ") + "\(text)\n")
        passOn()
        ranks.abort(code: code.rawValue)
        exit(code.rawValue)
    }

    /// The same on the thread that speaks, where another process cannot be reached. It may hang in MPI as well, so this
    /// one ends without asking: its launcher then ends the others.
    private static func end(_ error: RankError, _ advice: String?) {
        StandardStreams.remark("Error: \(error)" + (advice.map { "; \($0)" } ?? "") + "\n")
        passOn()
        _exit(ExitCode.failure.rawValue)
    }

    /// Where `libadashare-mpi.so` may lie: beside the program, and where `tools/install` puts it.
    private static var libraries: [URL] {
        let program = (Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0]))
            .resolvingSymlinksInPath()
        let folder = program.deletingLastPathComponent()
        return ["", "../lib/adashare", "lib"].map {
            folder.appendingPathComponent($0).appendingPathComponent(MPITransport.libraryName).standardizedFileURL
        }
    }

    /// A folder for what a process that is not the first would write; those that killed ones have left are removed.
    ///
    /// - Throws: `InputError` if it cannot be made.
    static func scratch(_ ranks: RankGroup) throws -> URL {
        let (files, temporary) = (FileManager.default, FileManager.default.temporaryDirectory)
        // Of this host: the temporary folder may be that of many.
        let own = "\(scratchName)\(ProcessInfo.processInfo.hostName.filter { $0.isLetter || $0.isNumber })-"
        for name in (try? files.contentsOfDirectory(atPath: temporary.path)) ?? [] where name.hasPrefix(own) {
            let process = name.dropFirst(own.count).prefix { $0.isNumber }
            guard let process = pid_t(process), kill(process, 0) != 0, errno == ESRCH else { continue }
            // What others have put there is theirs to remove, and no place to look into.
            let place = temporary.appendingPathComponent(name)
            guard OrdinaryFile.target(ofLink: place.path) == nil, PrivateFolder.problem(place.path) == nil else {
                continue
            }
            try? files.removeItem(at: place)
        }
        let folder = temporary.appendingPathComponent("\(own)\(getpid())-\(UUID().uuidString)")
        guard mkdir(folder.path, 0o700) == 0 else {
            throw InputError.system("mkdir", folder.path, expected: "a folder for files of rank \(ranks.index)")
        }
        return folder
    }

    private static let scratchName = "adashare-rank-"
}
