import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments

extension CommandLineTests {
    /// Several processes that train one network, as `mpirun` starts them.
    @Suite(.needsDevice, .enabled(if: !Ranks.all.isEmpty, "no MPI, or no library of tools/build-mpi"))
    struct RanksTests {
        private static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6 }
              - { name: depth, kind: depth }
            dataset: { kind: scenes, count: 100, size: [32, 32], crop: [32, 32] }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training:
              batch: 8
              shards: 4
              log_every: 1
              checkpoint_every: 5
              verify_every: 4
              warmup: { iterations: 10 }
              policy: { iterations: 20 }
              retrain: { iterations: 20 }
            policy: { alternation: { weights: 2, logits: 2 } }

            """

        let folder: TemporaryFolder
        let configuration: URL

        init() throws {
            folder = try TemporaryFolder()
            configuration = folder.file("ranks.yml")
            try folder.write(Self.yaml, "ranks.yml")
            try FileManager.default.createDirectory(
                at: folder.file("temporary"), withIntermediateDirectories: false)
        }

        private func arguments(_ run: String, _ more: [String] = []) -> [String] {
            ["train", "--config", configuration.path, "--no-search", "--output", folder.file(run).path] + more
        }

        private func start(
            _ mpi: Ranks, _ count: Int, _ arguments: [String], first: [String] = [], following: [String]? = nil
        ) throws -> RunningProgram {
            try mpi.start(
                count, arguments, temporary: folder.file("temporary"), first: first, following: following)
        }

        private func events(_ run: String) -> [JSONValue] {
            (try? EventLog.read(folder.file(run).appendingPathComponent("metrics.jsonl"))) ?? []
        }

        private func expectSameBits(_ run: String, _ other: String) throws {
            let files = FileManager.default
            let (mine, theirs) = (folder.file("\(run)/checkpoints"), folder.file("\(other)/checkpoints"))
            let names = try files.contentsOfDirectory(atPath: theirs.path).filter { $0.hasSuffix(".safetensors") }
            #expect(names.count >= 4)
            for name in names {
                #expect(
                    files.contentsEqual(
                        atPath: mine.appendingPathComponent(name).path,
                        andPath: theirs.appendingPathComponent(name).path),
                    "\(name) of \(run)")
            }
            func lines(_ run: String) -> [String] {
                events(run).filter { $0["event"] != "resume" }.map { EventLog.withoutTimes($0).text }
            }
            #expect(lines(run) == lines(other))
        }

        /// One process, two, and two of which one is killed and four go on.
        @Test(.timeLimit(.minutes(5)), arguments: Ranks.all)
        fileprivate func aRunIsTheSameHoweverManyProcessesTakePart(mpi: Ranks) throws {
            #expect(try Program.run(arguments("one")).status == 0)
            let two = try start(mpi, 2, arguments("two")).finish()
            #expect(two.status == 0, "\(two.errors)")
            // The first one alone answers.
            #expect(two.output.components(separatedBy: "multiply-accumulates").count <= 2 && !two.output.isEmpty)
            try expectSameBits("two", "one")

            let killed = try start(mpi, 2, arguments("killed"))
            while killed.isRunning, events("killed").count(where: { $0["event"] == "step" }) < 17 { usleep(2000) }
            let moment = Date()
            #expect(try Ranks.signalSecond(of: folder.file("killed"), SIGKILL))
            let end = try killed.finish()
            #expect(end.status != 0 && Date().timeIntervalSince(moment) < 30)
            let resumed = try start(mpi, 4, arguments("killed", ["--resume"])).finish()
            #expect(resumed.status == 0, "\(resumed.errors)")
            try expectSameBits("killed", "one")
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.file("temporary").path)
            #expect(!left.contains { $0.hasPrefix("adashare-") }, "\(left)")
        }

        @Test(arguments: Ranks.all) fileprivate func whatOneProcessRefusesEndsAllOnOneLine(mpi: Ranks) throws {
            let wrong = try start(mpi, 2, arguments("wrong", ["--set", "training.shards=1"])).finish()
            #expect(wrong.status != 0)
            let lines = wrong.errors.split(separator: "\n").filter { $0.contains("training.shards") }
            #expect(lines.count == 1 && lines[0].contains("rank 0"), "\(wrong.errors)")
            // Rank 1 reads another number of images.
            let other = try start(
                mpi,
                2, arguments("other"), following: ["--set", "dataset.count=104"]
            ).finish()
            #expect(other.status != 0)
            let named = other.errors.split(separator: "\n").filter { $0.contains("another configuration") }
            #expect(named.count == 1 && named[0].contains("rank 1 has"), "\(other.errors)")
        }

        /// Also what processes were asked for beside the configuration, and what ends one before it meets the others.
        @Test(.timeLimit(.minutes(2)), arguments: Ranks.all)
        fileprivate func processesThatWereStartedOtherwiseEndAllOnOneLine(mpi: Ranks) throws {
            func expectLine(_ count: Int, _ arguments: [String], _ following: [String]?, _ parts: String...) throws {
                let end = try start(mpi, count, arguments, following: following).finish()
                let lines = end.errors.split(separator: "\n").filter { line in parts.allSatisfy { line.contains($0) } }
                #expect(end.status != 0 && lines.count == 1, "\(parts): \(end.errors)")
            }
            let retrain = ["--phases", "retrain", "--policy"]
            try expectLine(
                2, arguments("policy", retrain + ["all"]), ["--policy", "random:0.5"], "rank 1 has another policy")
            try expectLine(2, arguments("kernels"), ["--kernel-family", "gpu"], "rank 1 has another family of kernels")
            try expectLine(2, arguments("option"), ["--bogus"], "Error", "bogus")
            try expectLine(3, arguments("three"), nil, "found 3 processes")
            try expectLine(
                2, ["report", folder.file("none").path, "--output", folder.file("page.html").path], nil,
                "2 processes for report")
        }

        /// The first process alone writes what counts: here no file may become larger than 64 KiB, which MPICH cannot
        /// bear itself.
        @Test(arguments: Ranks.all.filter { $0.name == "openmpi" })
        fileprivate func aFullDiskOfTheFirstEndsAllAndTheRunGoesOn(mpi: Ranks) throws {
            let short = ["--phases", "warmup,policy"]
            #expect(try start(mpi, 2, arguments("full", ["--phases", "warmup"])).finish().status == 0)
            let full = try start(
                mpi,
                2, arguments("full", short + ["--resume"]),
                first: ["bash", "-c", "ulimit -f 64; exec \"$@\"", "limited"]
            ).finish()
            #expect(full.status != 0)
            let lines = full.errors.split(separator: "\n").filter { $0.hasPrefix("Error") }
            #expect(lines.count == 1 && lines[0].contains("rank 0") && lines[0].contains("/full/"), "\(full.errors)")
            #expect(try folder.checkpointsAreWhole(in: "full"))
            let resumed = try start(mpi, 2, arguments("full", short + ["--resume"])).finish()
            #expect(resumed.status == 0, "\(resumed.errors)")
            let whole = try start(mpi, 2, arguments("whole", short)).finish()
            #expect(whole.status == 0, "\(whole.errors)")
            let files = ["full", "whole"].map { folder.file("\($0)/checkpoints/policy.safetensors") }
            #expect(try Data(contentsOf: files[0]) == Data(contentsOf: files[1]))
        }

        /// One that stands still, as on a host that no longer answers: the others wait for 20 s.
        @Test(.timeLimit(.minutes(3))) fileprivate func aPausedProcessEndsAll() throws {
            let programs = try Ranks.all.map { mpi in
                (mpi.name, try start(mpi, 2, arguments(mpi.name, ["--set", "training.warmup.iterations=100000"])))
            }
            for (run, program) in programs {
                while program.isRunning, !events(run).contains(where: { $0["event"] == "step" }) { usleep(2000) }
                #expect(try Ranks.signalSecond(of: folder.file(run), SIGSTOP))
            }
            for (run, program) in programs {
                let end = try program.finish()
                // MPICH's launcher leaves a process that stands still.
                _ = try Ranks.signalSecond(of: folder.file(run), SIGKILL)
                let lines = end.errors.split(separator: "\n").filter { $0.hasPrefix("Error") }
                #expect(end.status != 0 && lines.count == 1, "\(end.errors)")
                #expect(lines.first?.contains("rank 1") == true, "\(end.errors)")
                #expect(lines.first?.contains("has given no sign of life for 20 s") == true, "\(end.errors)")
            }
        }

        /// A link that breaks between two hosts, which are network namespaces of this machine.
        @Test(.timeLimit(.minutes(3)), .enabled(if: Ranks.haveHosts, "no root, network namespaces or Open MPI"))
        fileprivate func aCutLinkEndsAllWithTheLastCheckpointWhole() throws {
            let mpi = try #require(Ranks.all.first { $0.name == "openmpi" })
            let long = ["--set", "training.warmup.iterations=100000"]
            let program = try mpi.startOnTwoHosts(arguments("cut", long), temporary: folder.file("temporary"))
            while program.isRunning, events("cut").count(where: { $0["event"] == "step" }) < 12 { usleep(2000) }
            let moment = Date()
            #expect(try Ranks.cutLink(of: program))
            while try Ranks.areRunning(in: folder.file("cut")), Date().timeIntervalSince(moment) < 60 { usleep(50_000) }
            #expect(Date().timeIntervalSince(moment) < 30)
            // The launcher would wait for the other host for minutes.
            Ranks.endLauncher(of: program)
            let end = try program.finish()
            #expect(end.status != 0)
            #expect(
                end.errors.contains("rank 1 on host-b has given no sign of life for 20 s; checkpoints are whole"),
                "\(end.errors)")
            #expect(try folder.checkpointsAreWhole(in: "cut"))
        }

        @Test(.timeLimit(.minutes(3)), arguments: Ranks.all)
        fileprivate func aSignalEndsAllWithACheckpoint(mpi: Ranks) throws {
            // No checkpoint is due before the end, which is far.
            let rare = ["--set", "training.checkpoint_every=1000", "--set", "training.retrain.iterations=500"]
            #expect(try Program.run(arguments("one", rare)).status == 0)
            let program = try start(mpi, 2, arguments("stopped", rare))
            while program.isRunning, events("stopped").count(where: { $0["event"] == "step" }) < 7 { usleep(2000) }
            // Not to the launcher: it inherits what this process is deaf to.
            #expect(try Ranks.signalSecond(of: folder.file("stopped"), SIGTERM))
            let end = try program.finish()
            #expect(end.status == 143 && end.errors.contains("stopped by SIGTERM"), "\(end.errors)")
            #expect(try folder.checkpointsAreWhole(in: "stopped"))
            let resumed = try start(mpi, 2, arguments("stopped", rare + ["--resume"])).finish()
            #expect(resumed.status == 0, "\(resumed.errors)")
            try expectSameBits("stopped", "one")
        }
    }
}

extension TemporaryFolder {
    /// Whether a run's folder has checkpoints, all of which can be read.
    fileprivate func checkpointsAreWhole(in run: String) throws -> Bool {
        let checkpoints = file("\(run)/checkpoints")
        let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints.path)
        let files = names.filter { $0.hasSuffix(".safetensors") || $0.hasSuffix(".state") }
        for name in files { _ = try TensorFile.read(checkpoints.appendingPathComponent(name)) }
        return !files.isEmpty && files.count == names.count - 1 && names.contains("latest.json")
    }
}

/// Processes started by an MPI's launcher.
private struct Ranks: Sendable, CustomTestStringConvertible {
    /// As Debian calls it.
    let name: String
    /// What it wants beside what every launcher knows: more processes than cores, and root.
    let options: [String]

    var testDescription: String { name }
    private var launcher: URL { URL(fileURLWithPath: "/usr/bin/mpirun.\(name)") }
    private var library: URL {
        Program.url.deletingLastPathComponent().appendingPathComponent("mpi/\(name)/libadashare-mpi.so")
    }

    /// Those that are installed, with what `tools/build-mpi` has made of them.
    static let all = [
        Ranks(name: "openmpi", options: ["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]),
        Ranks(name: "mpich", options: []),
    ].filter {
        let files = FileManager.default
        return files.isExecutableFile(atPath: $0.launcher.path) && files.fileExists(atPath: $0.library.path)
    }

    /// - Parameters:
    ///   - first: what starts the first process, if not it itself.
    ///   - following: what the last process is told beside the arguments.
    func start(
        _ count: Int, _ arguments: [String], temporary: URL, first: [String] = [], following: [String]? = nil
    ) throws -> RunningProgram {
        let program = [Program.url.path] + arguments
        let isOne = first.isEmpty && following == nil
        let processes =
            isOne
            ? ["-n", "\(count)"] + program
            : ["-n", "\(count - 1)"] + first + program + [":", "-n", "1"] + program + (following ?? [])
        return try RunningProgram(
            options + processes, of: launcher,
            environment: ["POCL_MAX_PTHREAD_COUNT": "1", "ADASHARE_MPI": library.path, "TMPDIR": temporary.path])
    }

    /// Whether two hosts can be made of this one.
    static let haveHosts =
        geteuid() == 0 && all.contains { $0.name == "openmpi" } && run(ip, ["netns", "list"])
        && run(ip, ["netns", "add", "adashare-\(getpid())"]) && run(ip, ["netns", "del", "adashare-\(getpid())"])
    private static let ip = "/usr/sbin/ip"

    private static func run(_ program: String, _ arguments: [String]) -> Bool {
        guard let running = try? RunningProgram(arguments, of: URL(fileURLWithPath: program)) else { return false }
        return (try? running.finish().status) == 0
    }

    /// One process on each of two hosts, whose launcher does not look whether they answer.
    func startOnTwoHosts(_ arguments: [String], temporary: URL) throws -> RunningProgram {
        try RunningProgram(
            ["--patient", Program.url.path] + arguments,
            of: Program.repository.appendingPathComponent("tools/two-hosts"),
            environment: ["ADASHARE_MPI": library.path, "TMPDIR": temporary.path])
    }

    /// Cuts the link between the two.
    static func cutLink(of program: RunningProgram) throws -> Bool {
        run(ip, ["-n", "adashare\(program.id)-b", "link", "set", "veth0", "down"])
    }

    /// Ends a launcher that waits for what will not come, on the first of two hosts.
    static func endLauncher(of program: RunningProgram) {
        guard
            let pids = try? RunningProgram(["netns", "pids", "adashare\(program.id)-a"], of: URL(fileURLWithPath: ip)),
            let text = try? pids.finish().output
        else { return }
        for id in text.split(separator: "\n").compactMap({ pid_t($0) }) { _ = kill(id, SIGKILL) }
    }

    static func areRunning(in run: URL) throws -> Bool { try !processes(in: run).isEmpty }

    /// Sends a signal to the second of the processes that train in a folder.
    ///
    /// - Returns: whether there is one.
    static func signalSecond(of run: URL, _ signal: Int32) throws -> Bool {
        let second = try processes(in: run).first { id in
            let environment = (try? String(contentsOfFile: "/proc/\(id)/environ", encoding: .utf8)) ?? ""
            return ["OMPI_COMM_WORLD_RANK=1\0", "PMI_RANK=1\0"].contains(where: environment.contains)
        }
        return second.map { kill($0, signal) == 0 } ?? false
    }

    /// Those that train in a folder.
    private static func processes(in run: URL) throws -> [pid_t] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { name in
            guard let id = pid_t(name),
                let text = try? String(contentsOfFile: "/proc/\(name)/cmdline", encoding: .utf8),
                text.contains(run.path), text.hasPrefix(Program.url.path)
            else { return nil }
            return id
        }
    }
}
