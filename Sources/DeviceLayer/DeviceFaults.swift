internal import CAdaShareOpenCL
import Foundation

/// Counts failures, and among them those that end a context: after one of these every call that uses it fails, whatever
/// it is for.
final class DeviceFaults: @unchecked Sendable {
    /// Those of this process.
    static let all = DeviceFaults()

    private let lock = NSLock()
    private var (number, failures) = (0, 0)

    /// How many have ended a context.
    var count: Int {
        lock.lock()
        defer { lock.unlock() }
        return number
    }

    /// Whether any call has failed.
    var isAny: Bool {
        lock.lock()
        defer { lock.unlock() }
        return failures > 0
    }

    /// Counts a failed call.
    func note(_ status: cl_int, _ call: String) {
        lock.lock()
        defer { lock.unlock() }
        failures += 1
        if Self.isFault(status, call) { number += 1 }
    }

    /// A device or queue that is no more, failed work, or NVIDIA's illegal access. Calls that wait say that they are
    /// out of resources where a kernel went astray; others say so of a launch or a program that asks for too much.
    static func isFault(_ status: cl_int, _ call: String) -> Bool {
        switch status {
        case CL_DEVICE_NOT_AVAILABLE, CL_INVALID_COMMAND_QUEUE, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
            DeviceError.illegalAccess:
            true
        case CL_OUT_OF_RESOURCES: waiting.contains(call)
        default: false
        }
    }

    private static let waiting: Set = ["clFinish", "clFlush", "clWaitForEvents", "clEnqueueReadBuffer"]
}

extension DeviceError {
    /// What NVIDIA's driver answers after a kernel has read or written what is nobody's.
    static let illegalAccess: Int32 = -9999

    /// How many failures of this process have ended a context so far; who keeps one makes another when that changes.
    package static var faultCount: Int { DeviceFaults.all.count }
}
