internal import CAdaShareOpenCL
import Foundation

/// Everything that belongs to the use of one device: its compute queue, buffers and programs.
///
/// May be used from several threads.
public final class DeviceContext: @unchecked Sendable {
    /// The device.
    public let device: Device
    /// The in-order queue for computation.
    public let queue: CommandQueue

    /// Told now and then how many kernels are compiled, of how many, on the thread that waits for them.
    public var onProgress: ((_ done: Int, _ total: Int) -> Void)?

    /// Asked between kernels that are compiled, and by whoever measures, whether all this is to end early.
    public var isStopped: (() -> Bool)?

    private let context: ContextHandle
    private let finishesEachLaunch: Bool
    private let cache: ProgramCacheDirectory?
    private let compilers: CompilerPool?
    private let state = NSCondition()
    private var programs: [ProgramRequest: Program] = [:]
    /// Programs that some thread is building.
    private var inWork = Set<ProgramRequest>()
    /// Kernels whose machine code is there, as far as this process knows.
    private var prepared = Set<KernelRequest.Key>()
    private var building = BusyTime()
    private var builtCount = 0
    private var loadedCount = 0

    /// Opens a device.
    ///
    /// - Parameter device: which one.
    /// - Parameter cacheDirectory: where binaries of programs are kept between runs, made when first needed; `nil` for
    ///   nowhere. A directory that cannot be written is not an error: programs are then compiled in every run.
    /// - Parameter profiling: whether `queue` records when each launch ran.
    /// - Parameter compilers: processes that compile for a driver that does not do it on several cores of one process.
    /// - Parameter finishesEachLaunch: waits for every launch, slowly, so that an error names the kernel that made it.
    /// - Throws: `DeviceError` if the driver refuses, or has no place for what it compiles.
    public init(
        device: Device, cacheDirectory: URL?, profiling: Bool = false, compilers: CompilerPool? = nil,
        finishesEachLaunch: Bool = false
    ) throws(DeviceError) {
        self.device = device
        self.compilers = compilers
        self.finishesEachLaunch = finishesEachLaunch
        if device.compilesAtFirstLaunch {
            if let problem = DriverCache.problem() {
                throw DeviceError(call: "pocl", code: CL_DEVICE_NOT_AVAILABLE, detail: problem.text)
            }
            DriverCache.lookAfter()
        }
        context = try ContextHandle(device: device)
        queue = try CommandQueue(
            context: context.pointer, device: device, profiling: profiling, finishesEachLaunch: finishesEachLaunch)
        cache = cacheDirectory.map { ProgramCacheDirectory(url: $0) }
    }

    /// Another context of the same device with the same caches: what goes wrong in it leaves this one as it is.
    ///
    /// - Parameter profiling: whether its queue records when each launch ran.
    /// - Throws: `DeviceError` if the driver refuses.
    public func makeContext(profiling: Bool) throws(DeviceError) -> DeviceContext {
        let other = try DeviceContext(
            device: device, cacheDirectory: cache?.url, profiling: profiling, compilers: compilers,
            finishesEachLaunch: finishesEachLaunch)
        other.isStopped = isStopped
        return other
    }

    /// Makes a further in-order queue, for example for transfers beside the computation.
    ///
    /// - Throws: `DeviceError` if the driver refuses.
    public func makeQueue(profiling: Bool) throws(DeviceError) -> CommandQueue {
        try CommandQueue(
            context: context.pointer, device: device, profiling: profiling, finishesEachLaunch: finishesEachLaunch)
    }

    /// Allocates a buffer, rounded up to 512 bytes and filled with zeros by a command on the compute queue.
    ///
    /// Another queue that uses the buffer first must wait for a marker of the compute queue, or the zeros may come
    /// later than its own commands.
    ///
    /// - Parameter byteCount: size in bytes, at most the device's `maximumAllocationBytes`.
    /// - Throws: `DeviceError` if the device cannot give the memory.
    public func makeBuffer(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
        let buffer = try DeviceBuffer(context: context.pointer, device: device, byteCount: byteCount)
        try queue.fillZero(buffer)
        return buffer
    }

    /// Host memory for transfers, mapped through a queue.
    func makePinnedMemory(byteCount: Int, on queue: CommandQueue) throws(DeviceError) -> PinnedMemory {
        try PinnedMemory(context: context.pointer, queue: queue, byteCount: byteCount)
    }

    /// A buffer of zeros that take no memory until they are touched, for launches whose results nobody wants.
    func makeScratchBuffer(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
        try DeviceBuffer(scratch: context.pointer, device: device, byteCount: byteCount)
    }

    /// Gives a built program: the one already in memory, or a binary from the cache directory, or a fresh compilation.
    ///
    /// Different programs are built side by side if several threads ask for them.
    ///
    /// - Throws: `DeviceError` with the build log if the source does not compile.
    public func program(_ request: ProgramRequest) throws(DeviceError) -> Program {
        if let program = claim(request) { return program }
        var made: (program: Program, isFromDisk: Bool)?
        defer { release(request, made) }
        let (handle, isFromDisk) = try make(request)
        let program = Program(name: request.name, handle: handle, device: device)
        made = (program, isFromDisk)
        return program
    }

    /// As `program(_:)`.
    ///
    /// - Parameter name: what errors call it, usually the source file's name.
    /// - Parameter source: the whole source text.
    /// - Parameter options: compiler options without blanks inside.
    public func program(name: String, source: String, options: [String]) throws(DeviceError) -> Program {
        try program(ProgramRequest(name: name, source: source, options: options))
    }

    /// Has kernels compiled before they are launched, on all cores: as far as the driver allows in threads of this
    /// process, else in those of `compilers`, through the cache that the driver keeps.
    ///
    /// - Throws: `DeviceError` with the build log if a source does not compile.
    public func prepare(_ requests: [KernelRequest]) throws(DeviceError) {
        let groups = unprepared(requests)
        guard !groups.isEmpty else { return }
        locked { building.begin() }
        defer { locked { building.end() } }
        let preparation = KernelPreparation(context: self, compilers: compilers, groups: groups)
        try preparation.run { onProgress?($0, $1) }
        try checkStopped()
        locked { prepared.formUnion(groups.flatMap { $0.map(\.key) }) }
    }

    /// - Throws: `DeviceError.stopped` if work is to end early.
    package func checkStopped() throws(DeviceError) {
        if isStopped?() ?? false { throw .stopped }
    }

    /// Seconds spent so far in making programs, from source or from the cache directory.
    public var compileSeconds: Double { locked { building.seconds } }
    /// Number of programs compiled from source so far.
    public var programsBuilt: Int { locked { builtCount } }
    /// Number of programs taken from the cache directory so far.
    public var programsLoaded: Int { locked { loadedCount } }

    /// Those that are not known to be compiled, each kernel once, by program.
    private func unprepared(_ requests: [KernelRequest]) -> [[KernelRequest]] {
        locked {
            var seen = prepared
            var groups: [[KernelRequest]] = []
            var places: [ProgramRequest: Int] = [:]
            for request in requests where seen.insert(request.key).inserted {
                if let place = places[request.program] {
                    groups[place].append(request)
                } else {
                    places[request.program] = groups.count
                    groups.append([request])
                }
            }
            return groups
        }
    }

    /// Whether the driver compiles anything at all for the device.
    public var compiles: Bool {
        let builder = ProgramBuilder(context: context.pointer, device: device)
        return (try? builder.build(name: "probe", source: Self.probe, options: [])).map {
            checkRelease(clReleaseProgram($0), "clReleaseProgram")
        } != nil
    }

    private static let probe = "__kernel void probe(__global float *x) { x[0] = 1.0f; }"

    private func build(_ request: ProgramRequest, _ builder: ProgramBuilder) throws(DeviceError) -> OpaquePointer {
        do throws(DeviceError) {
            return try builder.build(name: request.name, source: request.source, options: request.options)
        } catch {
            guard !compiles else { throw error }
            let flags = ProcessInfo.processInfo.environment["POCL_EXTRA_BUILD_FLAGS"]
            throw DeviceError(
                call: error.call, code: error.code, device: error.device, buildLog: error.buildLog,
                detail: (error.detail ?? "a program does not build")
                    + "; the driver compiles no kernel at all, not even an empty one: it may be older than this "
                    + "processor, or what it needs may be missing"
                    + (flags.map { "; POCL_EXTRA_BUILD_FLAGS=\($0) is set" } ?? ""))
        }
    }

    private func make(_ request: ProgramRequest) throws(DeviceError) -> (OpaquePointer, isFromDisk: Bool) {
        let builder = ProgramBuilder(context: context.pointer, device: device)
        guard let cache else {
            let built = try build(request, builder)
            return (built, false)
        }
        let key = ProgramCacheKey(source: request.source, options: request.options, device: device)
        if let binary = cache.load(key), let program = builder.load(binary: binary, options: request.options) {
            return (program, true)
        }
        let built = try build(request, builder)
        if cache.isWritable, let binary = builder.binary(of: built) { cache.store(binary, key) }
        return (built, false)
    }

    /// The program if there is one; else it is this thread's to build, after which it calls `release`.
    private func claim(_ request: ProgramRequest) -> Program? {
        locked {
            while true {
                if let program = programs[request] { return program }
                if inWork.insert(request).inserted {
                    building.begin()
                    return nil
                }
                state.wait()
            }
        }
    }

    private func release(_ request: ProgramRequest, _ made: (program: Program, isFromDisk: Bool)?) {
        locked {
            inWork.remove(request)
            building.end()
            if let made {
                programs[request] = made.program
                if made.isFromDisk { loadedCount += 1 } else { builtCount += 1 }
            }
            state.broadcast()
        }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        state.lock()
        defer { state.unlock() }
        return body()
    }
}

/// The time during which at least one of several activities was under way.
private struct BusyTime {
    private var count = 0
    private var start = ContinuousClock.now
    private var before = 0.0

    mutating func begin() {
        if count == 0 { start = .now }
        count += 1
    }

    mutating func end() {
        count -= 1
        if count == 0 { before += (.now - start) / .seconds(1) }
    }

    var seconds: Double { before + (count > 0 ? (.now - start) / .seconds(1) : 0) }
}

/// Owner of an OpenCL context.
private final class ContextHandle {
    let pointer: OpaquePointer

    init(device: Device) throws(DeviceError) {
        let properties: [cl_context_properties] = [
            cl_context_properties(CL_CONTEXT_PLATFORM), Int(bitPattern: device.handle.platform), 0,
        ]
        pointer = try create("clCreateContext", device: device) {
            var identifier: cl_device_id? = device.handle.device
            return clCreateContext(properties, 1, &identifier, nil, nil, $0)
        }
    }

    deinit {
        checkRelease(clReleaseContext(pointer), "clReleaseContext")
    }
}
