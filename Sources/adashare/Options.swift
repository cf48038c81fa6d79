import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareOperators
import AdaShareProfiling
import AdaShareRanks
import AdaShareSupport
import AdaShareTuning
import ArgumentParser
import Foundation

/// Where the work runs.
struct DeviceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "OpenCL device: gpu, cpu, an index such as 0:1, or part of its or its platform's name.",
            discussion: "Default: ADASHARE_DEVICE, else the GPU with most compute units, else a CPU."))
    var device: String?

    @Option(help: "Kernels to use: cpu or gpu. Default: what suits the device; `train --resume` keeps the run's.")
    var kernelFamily: KernelFamily?

    /// What the environment says; nil where it says nothing. It is read here and nowhere else.
    static var selector: String? {
        ProcessInfo.processInfo.environment["ADASHARE_DEVICE"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The device.
    func select() throws -> Device { try Device.select(device ?? Self.selector) }

    /// The device of one of several processes on a host: of those that are listed, or of the GPUs, each takes the next.
    private func select(for ranks: RankGroup, _ progress: ProgressPrinter) throws -> Device {
        let listed = (device ?? Self.selector)?.split(separator: ",").map(String.init) ?? []
        let processors = listed.isEmpty ? try Device.all().filter { $0.type == .gpu } : []
        let (index, count) = ranks.local
        let choices = max(listed.count, processors.count)
        guard choices > 0 else { return try Device.select(nil) }
        let device =
            listed.isEmpty ? processors[index % choices] : try Device.select(listed[index % choices])
        if device.type == .gpu, count > choices {
            progress.line(
                "note: \(count) processes of \(ProcessInfo.processInfo.hostName) share \(choices) "
                    + (choices == 1 ? "GPU" : "GPUs") + "; one process for each is faster")
        }
        return device
    }

    /// A context on a device.
    static func context(_ device: Device, profiling: Bool = false) throws -> DeviceContext {
        try DeviceContext(
            device: device, cacheDirectory: ProgramCache.directory(for: device), profiling: profiling,
            compilers: CompileKernels.pool,
            finishesEachLaunch: ProcessInfo.processInfo.environment["ADASHARE_FINISH_LAUNCHES"] == "1")
    }

    /// A context on the device that is asked for.
    ///
    /// - Parameter profiling: whether the queue records when each launch ran.
    /// - Parameter progress: told while kernels are compiled.
    /// - Parameter ranks: the processes that compute together; those on one host share its cores.
    func makeContext(
        profiling: Bool = false, progress: ProgressPrinter, ranks: RankGroup? = nil
    ) throws -> DeviceContext {
        if let ranks {
            HostThreads.share(among: ranks.local.count, place: ranks.local.index)
        }
        HostThreads.stayOnTheirCores()
        let device = try ranks.map { try select(for: $0, progress) } ?? select()
        let context = try Self.context(device, profiling: profiling)
        for refusal in ProgramCache.refusals(for: device) { progress.report(.notice(refusal)) }
        context.onProgress = { done, total in progress.report(.compiling(done: done, total: total)) }
        return context
    }
}

extension KernelFamily: ExpressibleByArgument {}
extension CostForm: ExpressibleByArgument {}

extension PolicySource: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
extension PolicyBudget: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
extension ModelPrecision: ExpressibleByArgument {}

/// How convolutions come to their algorithms.
struct SearchOptions: ParsableArguments {
    @Flag(
        name: .customLong("no-search"),
        help: ArgumentHelp(
            "Choose convolution algorithms by shape, not by measuring: the same on every machine of a kind.",
            discussion: "Otherwise what has not been measured on this device is measured first; see `adashare tune`."))
    var noSearch = false

    var mode: AlgorithmSearchMode { noSearch ? .off : .search(root: AlgorithmDatabase.defaultRoot) }
}

/// An image size such as 224x224.
struct Size: ExpressibleByArgument {
    let height, width: Int
    /// Larger images overflow the counts of `cost` for the largest network before they fit any memory.
    private static let range = 1...16_384

    init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    var defaultValueDescription: String { "\(height)x\(width)" }

    init?(argument: String) {
        // As messages write it too.
        let parts = argument.lowercased().split { "x×".contains($0) }.map { Int($0) }
        guard parts.count == 2, let height = parts[0], let width = parts[1], Self.range.contains(height),
            Self.range.contains(width)
        else { return nil }
        self.height = height
        self.width = width
    }
}

/// Checks, before any work, that a file can be written when it is done.
///
/// - Parameter what: goes into the file.
/// - Throws: `InputError` naming the path.
func checkWritable(_ path: String, _ what: String) throws {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    try OrdinaryFile.refuseLink(at: URL(fileURLWithPath: path), expected: "a file name for \(what)")
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) == false || !isFolder.boolValue else {
        throw InputError(file: path, found: "a folder", expected: "a file name for \(what)")
    }
    if let kind = AtomicFile.special(path) {
        throw InputError(file: path, found: kind, expected: "a file name for \(what), which is renamed into place")
    }
    guard FileManager.default.isWritableFile(atPath: folder) else {
        throw InputError(file: path, found: "no folder that can be written", expected: "one for \(what)")
    }
}

/// Images per step.
struct BatchSize: ExpressibleByArgument {
    let count: Int
    /// Larger ones overflow counts of bytes before they fit any memory.
    private static let range = 1...65_536

    init(_ count: Int) { self.count = count }

    var defaultValueDescription: String { "\(count)" }

    init?(argument: String) {
        guard let count = Int(argument), Self.range.contains(count) else { return nil }
        self.count = count
    }
}

/// Checks how often a benchmark measures.
func checkRepeats(_ repeats: Int) throws {
    guard (1...1_000_000).contains(repeats) else {
        throw ValidationError("--repeats: found \(repeats), expected from 1 to 1000000.")
    }
}

/// A part of the tasks.
struct TaskOptions: ParsableArguments {
    @Option(help: "Only these tasks, comma-separated names; the others cost nothing. Default: all.")
    var tasks: String?

    func select(_ configuration: ExperimentConfiguration) throws -> ExperimentConfiguration {
        guard let tasks else { return configuration }
        return try configuration.selecting(names(tasks))
    }

    /// Blanks around names, which no task's has, do not matter.
    private func names(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }

    func validate() throws {
        if let tasks, tasks.split(separator: ",").isEmpty { throw ValidationError("--tasks needs a name.") }
    }
}

/// The configuration file and changes to it.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Experiment configuration, YAML; docs/configuration.md lists every key.",
            discussion: "Files of the published code are taken too; `adashare config translate` shows what they say."),
        completion: .file())
    var config: String

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Change one key, for example training.batch=8; repeatable.", valueName: "path=value"))
    var overrides: [String] = []

    func load(on console: Console) throws -> ExperimentConfiguration {
        try readConfiguration(config, overrides, on: console)
    }
}

/// Reads a configuration; what one of the published code says here, and what is without effect, is remarked.
func readConfiguration(_ path: String, _ overrides: [String], on console: Console) throws -> ExperimentConfiguration {
    let url = URL(fileURLWithPath: path)
    if let published = try PublishedConfiguration.read(url) { console.say(.info, published.text) }
    let configuration = try ExperimentConfiguration.load(url, overrides: overrides)
    for line in configuration.idleReaderKeys { console.say(.notice, line) }
    return configuration
}

/// Where the time on the device goes.
struct ProfileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Write when each kernel ran, as a trace for chrome://tracing or Perfetto, and print the longest ones.",
            discussion: "FLOP/s count two operations per multiply-accumulate of a convolution; bytes are those of a "
                + "kernel's buffers, each once.",
            valueName: "file"), completion: .file())
    var profile: String?

    var isOn: Bool { profile != nil }

    /// A recorder for the context's queue; nil without the option.
    ///
    /// - Throws: `InputError` if the file could not be written in the end.
    ///
    /// - Parameters:
    ///   - context: the device.
    ///   - inputs: what else the command reads.
    ///   - outputs: what else it writes.
    func makeRecorder(
        _ context: DeviceContext, reading inputs: InputFiles = InputFiles([]), writing outputs: [String] = []
    ) throws -> ProfileRecorder? {
        guard let profile else { return nil }
        try inputs.check(outputs + [profile])
        try checkWritable(profile, "the profile")
        return ProfileRecorder(context)
    }

    /// Runs `body`, then writes the trace and prints the tables, also of work that failed half-way.
    ///
    /// - Parameters:
    ///   - recorder: what was made before.
    ///   - summary: where sums over kernels go as well; nil for nowhere.
    ///   - console: takes the tables.
    ///   - body: what is recorded.
    func recording(
        with recorder: ProfileRecorder?, summary: URL? = nil, on console: Console, _ body: () throws -> Void
    ) throws {
        do {
            try body()
        } catch {
            // What failed is what counts, even if the profile cannot be had any more.
            try? finish(recorder, summary, on: console)
            throw error
        }
        try finish(recorder, summary, on: console)
    }

    private func finish(_ recorder: ProfileRecorder?, _ summary: URL?, on console: Console) throws {
        guard let recorder, let profile else { return }
        try recorder.take()
        if let summary {
            try AtomicFile.write(Data(try JSONText.pretty(recorder.report.summary).utf8), to: summary)
        }
        try recorder.report.writeTrace(to: URL(fileURLWithPath: profile))
        try console.print(recorder.report.text())
        let dropped = recorder.report.dropped
        if dropped > 0 {
            try console.print(
                "\(profile) has the first \(recorder.report.limit) launches; \(dropped) later ones are only in the "
                    + "tables"
            )
        }
    }
}
