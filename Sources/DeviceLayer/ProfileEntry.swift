/// When one launch was enqueued and when it ran, in nanoseconds of the device's clock.
public struct ProfileEntry: Sendable, Hashable, Codable {
    /// The launch site's label.
    public let label: String
    /// The kernel's name.
    public let kernelName: String
    /// When the host enqueued it, in ns.
    public let queuedNanoseconds: UInt64
    /// When it began to run, in ns.
    public let startNanoseconds: UInt64
    /// When it ended, in ns.
    public let endNanoseconds: UInt64

    /// How long it ran, in ns.
    public var durationNanoseconds: UInt64 {
        endNanoseconds > startNanoseconds ? endNanoseconds - startNanoseconds : 0
    }
}
