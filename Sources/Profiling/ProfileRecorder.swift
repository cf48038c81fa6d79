import AdaShareDeviceLayer
import Foundation

/// Takes the launches of a context's queue into a report, often enough that few are held by the queue.
public final class ProfileRecorder {
    /// What has been taken so far.
    public private(set) var report: ProfileReport
    private let queue: CommandQueue
    /// Launches the queue may hold before they are taken; taking them waits for the device.
    private let pending: Int

    /// - Precondition: the context was made with `profiling: true`.
    public init(_ context: DeviceContext, report: ProfileReport = ProfileReport(), pending: Int = 10_000) {
        precondition(context.queue.isProfiling, "a profile needs a queue that records")
        queue = context.queue
        self.report = report
        self.pending = pending
    }

    /// Takes what the queue has recorded, if that is much; call it after every step.
    ///
    /// - Throws: `DeviceError` if the device failed.
    public func collect() throws {
        if queue.recordedLaunchCount >= pending { try take() }
    }

    /// Adds launches that were taken from the queue already.
    func add(_ entries: [ProfileEntry]) { report.add(entries, queue: "compute") }

    /// Takes everything recorded; waits for the device.
    ///
    /// - Throws: `DeviceError` if the device failed.
    public func take() throws { add(try queue.takeProfile()) }
}
