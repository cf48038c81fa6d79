internal import CAdaShareOpenCL
import Foundation

/// An in-order queue: its commands run one after another in the order they were enqueued.
///
/// May be used from several threads, each with kernels of its own. Two queues run independently unless one waits for
/// the other's event.
public final class CommandQueue: @unchecked Sendable {
    /// Whether each launch is recorded for `takeProfile()`.
    public let isProfiling: Bool

    let handle: OpaquePointer
    let device: Device
    let uploads = UploadList()
    private let lock = NSLock()
    private var launches: [Launch] = []

    /// What a profile keeps of a launch until its times are known.
    private struct Launch {
        let label, kernelName: String
        let multiplyAccumulates, byteCount: Int
        /// The end of what came before, for work of several kernels of which only the last one's event is known.
        var before: DeviceEvent?
        let event: DeviceEvent
    }

    init(context: OpaquePointer, device: Device, profiling: Bool) throws(DeviceError) {
        let properties = cl_command_queue_properties(profiling ? CL_QUEUE_PROFILING_ENABLE : 0)
        handle = try create("clCreateCommandQueue", device: device) {
            clCreateCommandQueue(context, device.handle.device, properties, $0)
        }
        self.device = device
        isProfiling = profiling
    }

    deinit {
        // Host memory of pending uploads must outlive the device's use of it. A failure here has been seen, or will
        // be, by whoever waits for the results.
        _ = clFinish(handle)
        checkRelease(clReleaseCommandQueue(handle), "clReleaseCommandQueue")
    }

    /// Enqueues a kernel with the arguments it has now.
    ///
    /// - Throws: `DeviceError` if the device refuses, for example a work-group too large for the kernel.
    public func launch(_ kernel: Kernel, _ size: WorkSize) throws(DeviceError) {
        var event: cl_event?
        let status = isProfiling ? enqueue(kernel, size, &event) : enqueue(kernel, size, nil)
        try check(
            status, "clEnqueueNDRangeKernel", device: device, kernel: kernel.name,
            detail: "launch of '\(kernel.label)' with global size \(size.global), "
                + "local size \(size.local.map { "\($0)" } ?? "of the driver's choice")")
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
        let before = isProfiling ? try marker() : nil
        let status =
            isProfiling
            ? try site.enqueue(on: handle, event: &event) : try site.enqueue(on: handle, event: nil)
        try check(
            status, "CLBlastSgemm", device: device, kernel: MatrixProductSite.name,
            detail: "launch of '\(site.label)': \(site.product)")
        guard let event else { return }
        record(
            Launch(
                label: site.label, kernelName: MatrixProductSite.name, multiplyAccumulates: site.multiplyAccumulates,
                byteCount: site.argumentByteCount, before: before, event: DeviceEvent(handle: event, device: device)))
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
            let start: UInt64
            if let before = launch.before {
                start = try before.time(CL_PROFILING_COMMAND_END, kernel: name)
            } else {
                start = try launch.event.time(CL_PROFILING_COMMAND_START, kernel: name)
            }
            entries.append(
                ProfileEntry(
                    label: launch.label, kernelName: name,
                    queuedNanoseconds: try launch.event.time(CL_PROFILING_COMMAND_QUEUED, kernel: name),
                    startNanoseconds: start,
                    endNanoseconds: try launch.event.time(CL_PROFILING_COMMAND_END, kernel: name),
                    multiplyAccumulates: launch.multiplyAccumulates, byteCount: launch.byteCount))
        }
        return entries
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
