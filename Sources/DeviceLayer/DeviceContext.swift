internal import COpenCL
import Foundation

/// Everything that belongs to the use of one device: its compute queue, buffers and programs.
///
/// May be used from several threads; programs are built one at a time.
public final class DeviceContext: @unchecked Sendable {
    /// The device.
    public let device: Device
    /// The in-order queue for computation.
    public let queue: CommandQueue

    private let context: ContextHandle
    private let cache: ProgramCacheDirectory?
    private let buildLock = NSLock()
    private let stateLock = NSLock()
    private var programs: [ProgramRequest: Program] = [:]
    private var secondsBuilding = 0.0
    private var builtCount = 0
    private var loadedCount = 0

    /// Opens a device.
    ///
    /// - Parameter cacheDirectory: where binaries of programs are kept between runs, made when first needed; `nil` for
    ///   nowhere. A directory that cannot be written is not an error: programs are then compiled in every run.
    /// - Parameter profiling: whether `queue` records when each launch ran.
    /// - Throws: `DeviceError` if the driver refuses.
    public init(device: Device, cacheDirectory: URL?, profiling: Bool = false) throws(DeviceError) {
        self.device = device
        context = try ContextHandle(device: device)
        queue = try CommandQueue(context: context.pointer, device: device, profiling: profiling)
        cache = cacheDirectory.map { ProgramCacheDirectory(url: $0) }
    }

    /// Makes a further in-order queue, for example for transfers beside the computation.
    ///
    /// - Throws: `DeviceError` if the driver refuses.
    public func makeQueue(profiling: Bool) throws(DeviceError) -> CommandQueue {
        try CommandQueue(context: context.pointer, device: device, profiling: profiling)
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

    /// Host memory for uploads, mapped through the compute queue.
    func makePinnedMemory(byteCount: Int) throws(DeviceError) -> PinnedMemory {
        try PinnedMemory(context: context.pointer, queue: queue, byteCount: byteCount)
    }

    /// Gives a built program: the one already in memory, or a binary from the cache directory, or a fresh compilation.
    ///
    /// - Parameter name: what errors call it, usually the source file's name.
    /// - Parameter source: the whole source text.
    /// - Parameter options: compiler options without blanks inside; `-cl-std=CL1.2` is added unless a version is named.
    /// - Throws: `DeviceError` with the build log if the source does not compile.
    public func program(name: String, source: String, options: [String]) throws(DeviceError) -> Program {
        let request = ProgramRequest(name: name, source: source, options: ProgramBuilder.complete(options))
        if let program = cached(request) { return program }
        buildLock.lock()
        defer { buildLock.unlock() }
        // Another thread may have built it while this one waited.
        if let program = cached(request) { return program }

        let clock = ContinuousClock()
        let start = clock.now
        let (handle, isFromDisk) = try make(request)
        let program = Program(name: name, handle: handle, device: device)
        record(program, for: request, seconds: (clock.now - start) / .seconds(1), isFromDisk: isFromDisk)
        return program
    }

    /// Seconds spent so far in making programs, from source or from the cache directory.
    public var compileSeconds: Double { locked { secondsBuilding } }
    /// Number of programs compiled from source so far.
    public var programsBuilt: Int { locked { builtCount } }
    /// Number of programs taken from the cache directory so far.
    public var programsLoaded: Int { locked { loadedCount } }

    private func make(_ request: ProgramRequest) throws(DeviceError) -> (OpaquePointer, isFromDisk: Bool) {
        let builder = ProgramBuilder(context: context.pointer, device: device)
        guard let cache else {
            let built = try builder.build(name: request.name, source: request.source, options: request.options)
            return (built, false)
        }
        let key = ProgramCacheKey(source: request.source, options: request.options, device: device)
        if let binary = cache.load(key), let program = builder.load(binary: binary, options: request.options) {
            return (program, true)
        }
        let built = try builder.build(name: request.name, source: request.source, options: request.options)
        if cache.isWritable, let binary = builder.binary(of: built) { cache.store(binary, key) }
        return (built, false)
    }

    private func cached(_ request: ProgramRequest) -> Program? {
        locked { programs[request] }
    }

    private func record(_ program: Program, for request: ProgramRequest, seconds: Double, isFromDisk: Bool) {
        locked {
            programs[request] = program
            secondsBuilding += seconds
            if isFromDisk { loadedCount += 1 } else { builtCount += 1 }
        }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        stateLock.lock()
        defer { stateLock.unlock() }
        return body()
    }
}

/// What distinguishes one program from another within a context.
private struct ProgramRequest: Hashable {
    let name: String
    let source: String
    let options: [String]
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
