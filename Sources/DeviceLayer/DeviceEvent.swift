internal import CAdaShareOpenCL

/// A point in a queue's work that can be waited for, from any thread.
public final class DeviceEvent: @unchecked Sendable {
    let handle: OpaquePointer
    private let device: Device

    /// Takes over an event.
    init(handle: OpaquePointer, device: Device) {
        self.handle = handle
        self.device = device
    }

    deinit {
        checkRelease(clReleaseEvent(handle), "clReleaseEvent")
    }

    /// Blocks until the point is reached.
    ///
    /// - Throws: `DeviceError` if the work before it failed.
    public func wait() throws(DeviceError) {
        var event: cl_event? = handle
        try check(clWaitForEvents(1, &event), "clWaitForEvents", device: device)
    }

    /// Whether the point is reached, without waiting for it.
    ///
    /// - Throws: `DeviceError` if the work before it failed, or the query does.
    package var isReached: Bool {
        get throws(DeviceError) {
            let status = try status()
            if status < 0 { try wait() }
            return status == CL_COMPLETE
        }
    }

    /// The event's status: `CL_COMPLETE`, negative after a failure, positive before its end.
    ///
    /// - Throws: `DeviceError` if the query fails.
    func status() throws(DeviceError) -> cl_int {
        try queryScalar(cl_int(0), "clGetEventInfo", device: device) {
            clGetEventInfo(handle, cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS), $0, $1, $2)
        }
    }

    /// One of the event's time stamps, in nanoseconds of the device's clock.
    ///
    /// - Throws: `DeviceError` if the queue does not profile.
    func time(_ property: Int32, kernel: String) throws(DeviceError) -> UInt64 {
        try queryScalar(cl_ulong(0), "clGetEventProfilingInfo", device: device, kernel: kernel) {
            clGetEventProfilingInfo(handle, cl_profiling_info(property), $0, $1, $2)
        }
    }
}
