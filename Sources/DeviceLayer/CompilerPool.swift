import AdaShareSupport
import Foundation

/// Processes that compile kernels into the cache a driver keeps on disk, one on each core.
///
/// pocl compiles one kernel at a time in a process, whatever the number of threads. Each of these processes takes
/// programs that no other one has taken, and launches one work-group of each kernel on memory of its own, which has the
/// machine code made. Where one of them fails, nothing is lost: the process that asked learns what is missing.
public struct CompilerPool: Sendable {
    private let executable: URL
    private let arguments: [String]

    /// - Parameters:
    ///   - executable: the program that such a process runs.
    ///   - arguments: what has it call `work(in:)` with the folder that is named by one more argument.
    public init(executable: URL, arguments: [String]) {
        self.executable = executable
        self.arguments = arguments
    }

    /// What the processes are to do.
    private struct Order: Codable {
        /// `Device.selector`.
        let device: String
        /// The process that waits.
        let parent: Int32
        let groups: [[KernelRequest]]
    }

    private static let orderName = "order.json"
    /// A kernel takes seconds: processes that show nothing for so many are taken to be stuck, and are done without.
    private static let longestSilence = 60

    /// Compiles kernels; returns when nothing more comes of it.
    ///
    /// - Parameter isStopped: whether nobody wants the kernels any more; asked every second at least.
    /// - Parameter progress: called on this thread, with the number of kernels that are ready, every second at least.
    /// - Returns: groups of which a kernel may not be in the cache, since a process failed; none where one was stuck.
    func compile(
        _ groups: [[KernelRequest]], on device: Device, isStopped: () -> Bool, progress: (Int) -> Void
    ) -> [[KernelRequest]] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("adashare-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        // What takes longest comes first, so that no process ends long after the others.
        let groups = groups.map { (cost: Self.cost($0), group: $0) }.sorted { $0.cost > $1.cost }.map(\.group)
        let order = Order(device: device.selector, parent: getpid(), groups: groups)
        let pipe = Pipe()
        do {
            // Made anew, and nobody else's: what it says is compiled and run.
            guard mkdir(folder.path, 0o700) == 0 else { return groups }
            try JSONEncoder().encode(order).write(to: folder.appendingPathComponent(Self.orderName))
        } catch { return groups }
        let count = min(groups.count, ProcessInfo.processInfo.activeProcessorCount)
        let processes = (0..<count).compactMap { _ in start(in: folder, output: pipe.fileHandleForWriting) }
        try? pipe.fileHandleForWriting.close()
        // Each byte is a kernel; the end is that of the last process.
        var (done, silence, isStuck) = (0, 0, false)
        var ready = pollfd(fd: pipe.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let events = poll(&ready, 1, 1000)
            if events > 0 {
                let bytes = pipe.fileHandleForReading.availableData
                if bytes.isEmpty { break }
                done += bytes.count
                silence = 0
            } else if events == 0 {
                // Seconds in which this process runs itself: a machine that sleeps counts for nothing.
                silence += 1
                if silence == Self.longestSilence {
                    isStuck = true
                    for process in processes where process.isRunning { kill(process.processIdentifier, SIGKILL) }
                }
            }
            progress(done)
            if isStopped() {
                for process in processes where process.isRunning { kill(process.processIdentifier, SIGKILL) }
            }
        }
        for process in processes { process.waitUntilExit() }
        // A kernel that a process is stuck in would have this one be stuck, too.
        guard !isStuck else { return [] }
        return groups.indices.filter {
            !FileManager.default.fileExists(atPath: Self.mark($0, in: folder).path)
        }.map { groups[$0] }
    }

    /// The file that says that every kernel of a group is in the cache.
    private static func mark(_ index: Int, in folder: URL) -> URL { folder.appendingPathComponent("\(index).done") }

    /// How long compiling takes, roughly: as long as the text of the kernels is.
    static func cost(_ group: [KernelRequest]) -> Int {
        let source = group[0].program.source
        return group.count * source.utf8.count / max(1, source.components(separatedBy: "__kernel").count - 1)
    }

    /// - Parameter output: a file handle; of a `Pipe` the process would close the end that the next one needs.
    private func start(in folder: URL, output: FileHandle) -> Process? {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments + [folder.path]
        // One thread each, on whichever core is free.
        process.environment = HostThreads.withoutLauncher(ProcessInfo.processInfo.environment).merging([
            "POCL_AFFINITY": "0", "POCL_MAX_PTHREAD_COUNT": "1",
        ]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        do { try process.run() } catch { return nil }
        return process
    }

    /// What such a process does: takes programs until none is left, or nobody waits any more, and writes a byte to
    /// standard output for each kernel.
    ///
    /// - Throws: what is wrong with the folder or the device.
    public static func work(in folder: URL) throws {
        guard PrivateFolder.problem(folder.path) == nil,
            let text = PrivateFolder.contents(folder.appendingPathComponent(orderName))
        else { throw InputError(file: folder.path, found: "no order of this user's", expected: "one") }
        let order = try JSONDecoder().decode(Order.self, from: text)
        leave(with: order.parent, removing: folder)
        let context = try DeviceContext(device: try Device.select(order.device), cacheDirectory: nil)
        for (index, group) in order.groups.enumerated() where takes(index, in: folder) {
            let program = try? context.program(group[0].program)
            var isWhole = true
            for request in group {
                let isReady = program.map { (try? compile(request, of: $0, on: context)) != nil } ?? false
                isWhole = isWhole && isReady
                try FileHandle.standardOutput.write(contentsOf: Data([1]))
            }
            if isWhole { try Data().write(to: mark(index, in: folder)) }
        }
    }

    /// Has this process end soon after the one that asked, which then could not remove the folder.
    private static func leave(with parent: Int32, removing folder: URL) {
        // A pipe that nobody reads says the same, and must not end this process before it has cleaned up.
        signal(SIGPIPE, SIG_IGN)
        Thread.detachNewThread {
            while getppid() == parent { usleep(200_000) }
            try? FileManager.default.removeItem(at: folder)
            _exit(EXIT_SUCCESS)
        }
    }

    /// Whether this process is the first to take a piece of work.
    private static func takes(_ index: Int, in folder: URL) -> Bool {
        let claim = open(folder.appendingPathComponent("\(index)").path, O_CREAT | O_EXCL | O_WRONLY, 0o600)
        guard claim >= 0 else { return false }
        close(claim)
        return true
    }

    /// Launches one work-group of a kernel on memory of its own, which has its machine code made.
    static func compile(
        _ request: KernelRequest, of program: Program, on context: DeviceContext
    ) throws(DeviceError) {
        let kernel = try program.kernel(request.kernel)
        var arguments: [KernelArgument] = []
        for argument in request.arguments {
            switch argument {
            case .buffer(let byteCount):
                arguments.append(.buffer(try context.makeScratchBuffer(byteCount: byteCount)))
            case .int(let value): arguments.append(.int(value))
            case .int4(let value): arguments.append(.int4(SIMD4(value)))
            case .uint(let value): arguments.append(.uint(value))
            case .float(let value): arguments.append(.float(value))
            case .local(let byteCount): arguments.append(.local(byteCount: byteCount))
            }
        }
        try kernel.setArguments(arguments)
        do throws(DeviceError) {
            try context.queue.launch(kernel, request.smallest)
            try context.queue.finish()
        } catch {
            // The scratch memory is this process's, and a kernel that nobody could wait for may be at work on it still.
            _ = Unmanaged.passRetained(kernel)
            throw error
        }
    }
}
