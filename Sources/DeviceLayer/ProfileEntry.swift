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
    /// Multiply-accumulates the launch site was given; 0 for everything but convolutions.
    public let multiplyAccumulates: Int
    /// Bytes of the launch's buffer arguments (`Kernel.argumentByteCount`): an estimate of what it moved.
    public let byteCount: Int

    /// Creates an entry; see the properties.
    public init(
        label: String, kernelName: String, queuedNanoseconds: UInt64, startNanoseconds: UInt64, endNanoseconds: UInt64,
        multiplyAccumulates: Int = 0, byteCount: Int = 0
    ) {
        self.label = label
        self.kernelName = kernelName
        self.queuedNanoseconds = queuedNanoseconds
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
        self.multiplyAccumulates = multiplyAccumulates
        self.byteCount = byteCount
    }

    /// How long it ran, in ns.
    public var durationNanoseconds: UInt64 {
        endNanoseconds > startNanoseconds ? endNanoseconds - startNanoseconds : 0
    }
}
