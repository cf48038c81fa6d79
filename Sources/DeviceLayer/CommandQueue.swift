internal import CAdaShareOpenCL
import Foundation

/// An in-order queue: its commands run one after another in the order they were enqueued.
///
/// May be used from several threads, each with kernels of its own. Two queues run independently unless one waits for
/// the other's event.
public final class CommandQueue: @unchecked Sendable {
    /// Whether each launch is recorded for `takeProfile()`.
    public let isProfiling: Bool

    /// Where commands go now.
    private(set) var handle: OpaquePointer
    let device: Device
    let uploads = UploadList()
    private let handles: [OpaquePointer]
    private let finishesEachLaunch: Bool
    private var isRecording: Bool
    private let lock = NSLock()
    private var launches: [Launch] = []
    private var launchesSinceFlush = 0

    /// Launches that are sent to the device together at most: some drivers hold commands back until they are told, and
    /// others stall when a thousand wait.
    static let launchesPerFlush = 256

    /// What a profile keeps of a launch until its times are known.
    private struct Launch {
        let label, kernelName: String
        let multiplyAccumulates, byteCount: Int
        /// The end of what came before, for work of several kernels of which only the last one's event is known.
        var before: DeviceEvent?
        let event: DeviceEvent
    }

    /// - Parameter finishesEachLaunch: waits for every launch, so that one that fails is named.
    init(
        context: OpaquePointer, device: Device, profiling: Bool, finishesEachLaunch: Bool = false
    ) throws(DeviceError) {
        func make(_ properties: Int32) throws(DeviceError) -> OpaquePointer {
            try create("clCreateCommandQueue", device: device) {
                clCreateCommandQueue(context, device.handle.device, cl_command_queue_properties(properties), $0)
            }
        }
        let plain = try make(0)
        do throws(DeviceError) {
            handles = profiling ? [try make(CL_QUEUE_PROFILING_ENABLE), plain] : [plain]
        } catch {
            checkRelease(clReleaseCommandQueue(plain), "clReleaseCommandQueue")
            throw error
        }
        handle = handles[0]
        self.device = device
        self.finishesEachLaunch = finishesEachLaunch
        isProfiling = profiling
        isRecording = profiling
    }

    deinit {
        // Host memory of pending uploads must outlive the device's use of it. A failure here has been seen, or will
        // be, by whoever waits for the results.
        for handle in handles {
            // A device that could not be waited for may read it still.
            if clFinish(handle) != CL_SUCCESS { _ = Unmanaged.passRetained(uploads) }
            checkRelease(clReleaseCommandQueue(handle), "clReleaseCommandQueue")
        }
    }

    /// Does work whose launches are not recorded, on a queue that takes no times: on GPUs those cost microseconds a
    /// launch and keep kernels from overlapping, so that what a step takes is measured without.
    ///
    /// Waits for the queue before and after. Used by one thread while no other uses the queue.
    ///
    /// - Parameter body: the work.
    /// - Throws: `DeviceError` if the device failed, and what `body` throws.
    public func withoutRecording<Result>(_ body: () throws -> Result) throws -> Result {
        guard isProfiling, let plain = handles.last else { return try body() }
        try finish()
        (handle, isRecording) = (plain, false)
        defer { (handle, isRecording) = (handles[0], true) }
        let result = try body()
        try finish()
        return result
    }

    /// Enqueues a kernel with the arguments it has now.
    ///
    /// - Throws: `DeviceError` if the device refuses, for example a work-group too large for the kernel.
    public func launch(_ kernel: Kernel, _ size: WorkSize) throws(DeviceError) {
        var event: cl_event?
        let status = isRecording ? enqueue(kernel, size, &event) : enqueue(kernel, size, nil)
        func detail() -> String {
            "launch of '\(kernel.label)' with global size \(size.global), "
                + "local size \(size.local.map { "\($0)" } ?? "of the driver's choice")"
        }
        try check(status, "clEnqueueNDRangeKernel", device: device, kernel: kernel.name, detail: detail())
        try passOn(kernel.name, detail())
        guard let event else { return }
        record(
            Launch(
                label: kernel.label, kernelName: kernel.name, multiplyAccumulates: kernel.multiplyAccumulates,
                byteCount: kernel.argumentByteCount, event: DeviceEvent(handle: event, device: device)))
    }

    /// Enqueues a matrix product; all of the library's kernels are one launch of a profile.
    ///
    /// - Throws: `DeviceError` if the library or the device refuses.
    public func launch(_ site: MatrixProductSite) throws(DeviceError) {
        var event: cl_event?
        let before = isRecording ? try marker() : nil
        let status =
            isRecording
            ? try site.enqueue(on: handle, event: &event) : try site.enqueue(on: handle, event: nil)
        try check(
            status, "CLBlastSgemm", device: device, kernel: MatrixProductSite.name,
            detail: "launch of '\(site.label)': \(site.product)")
        try passOn(MatrixProductSite.name, "launch of '\(site.label)': \(site.product)")
        guard let event else { return }
        record(
            Launch(
                label: site.label, kernelName: MatrixProductSite.name, multiplyAccumulates: site.multiplyAccumulates,
                byteCount: site.argumentByteCount, before: before, event: DeviceEvent(handle: event, device: device)))
    }

    /// What follows every launch: a flush now and then, or a wait that shows which launch fails.
    private func passOn(_ kernel: String, _ detail: @autoclosure () -> String) throws(DeviceError) {
        if finishesEachLaunch {
            try check(clFinish(handle), "clFinish", device: device, kernel: kernel, detail: detail())
            return
        }
        lock.lock()
        launchesSinceFlush += 1
        let isDue = launchesSinceFlush == Self.launchesPerFlush
        if isDue { launchesSinceFlush = 0 }
        lock.unlock()
        if isDue { try flush() }
    }

    private func record(_ launch: Launch) {
        lock.lock()
        defer { lock.unlock() }
        launches.append(launch)
    }

    /// Sends what is enqueued to the device without waiting.
    ///
    /// - Throws: `DeviceError` if the driver refuses.
    public func flush() throws(DeviceError) {
        try check(clFlush(handle), "clFlush", device: device)
    }

    /// Blocks until everything enqueued so far is done.
    ///
    /// - Throws: `DeviceError` if the device failed.
    public func finish() throws(DeviceError) {
        let last = uploads.last
        try check(clFinish(handle), "clFinish", device: device)
        try uploads.sweep(device: device, finished: last)
    }

    /// Marks this point of the queue and sends everything before it to the device.
    ///
    /// - Returns: an event that completes when all earlier work has.
    /// - Throws: `DeviceError` if the driver refuses.
    public func marker() throws(DeviceError) -> DeviceEvent {
        var marker: cl_event?
        try check(
            clEnqueueMarkerWithWaitList(handle, 0, nil, &marker), "clEnqueueMarkerWithWaitList", device: device)
        guard let marker else {
            throw DeviceError(
                call: "clEnqueueMarkerWithWaitList", code: CL_OUT_OF_HOST_MEMORY, device: device.name,
                detail: "no event came back")
        }
        let event = DeviceEvent(handle: marker, device: device)
        // An event of work that was never sent would be polled, or waited for by another queue, for ever.
        try flush()
        return event
    }

    /// Lets later commands of this queue start only after an event, usually of another queue; does not block the host.
    ///
    /// - Throws: `DeviceError` if the driver refuses.
    public func wait(for event: DeviceEvent) throws(DeviceError) {
        var waited: cl_event? = event.handle
        try check(
            clEnqueueBarrierWithWaitList(handle, 1, &waited, nil), "clEnqueueBarrierWithWaitList", device: device)
    }

    /// Waits for the queue and gives one entry for each launch since the last call, in the order of launching.
    ///
    /// Events are held until then: a profiling queue wants this call once every step.
    ///
    /// - Returns: the entries; none if the queue does not profile.
    /// - Throws: `DeviceError` if the device failed.
    public func takeProfile() throws(DeviceError) -> [ProfileEntry] {
        try finish()
        var entries: [ProfileEntry] = []
        for launch in takeLaunches() {
            let name = launch.kernelName
            let own = try launch.event.time(CL_PROFILING_COMMAND_START, kernel: name)
            let end = try launch.event.time(CL_PROFILING_COMMAND_END, kernel: name)
            let before = launch.before.flatMap { try? $0.time(CL_PROFILING_COMMAND_END, kernel: name) }
            entries.append(
                ProfileEntry(
                    label: launch.label, kernelName: name,
                    queuedNanoseconds: try launch.event.time(CL_PROFILING_COMMAND_QUEUED, kernel: name),
                    startNanoseconds: Self.start(own: own, before: before),
                    endNanoseconds: end,
                    multiplyAccumulates: launch.multiplyAccumulates, byteCount: launch.byteCount))
        }
        return entries
    }

    /// When work began that is several kernels: when what came before it ended, or its last kernel began where the
    /// driver has no time of that; some answer 0, or that there is none, for markers.
    static func start(own: UInt64, before: UInt64?) -> UInt64 {
        guard let before, before > 0, before <= own else { return own }
        return before
    }

    /// Launches since the last `takeProfile()`; does not wait.
    public var recordedLaunchCount: Int {
        lock.lock()
        defer { lock.unlock() }
        return launches.count
    }

    private func takeLaunches() -> [Launch] {
        lock.lock()
        defer { lock.unlock() }
        let taken = launches
        launches = []
        return taken
    }

    private func enqueue(_ kernel: Kernel, _ size: WorkSize, _ event: UnsafeMutablePointer<cl_event?>?) -> cl_int {
        clEnqueueNDRangeKernel(
            handle, kernel.handle, cl_uint(size.global.count), nil, size.global, size.local, 0, nil, event)
    }
}
