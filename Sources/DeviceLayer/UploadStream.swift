internal import CAdaShareOpenCL

/// Uploads that run beside the computation.
///
/// The bytes go from memory of the host that the device reads by itself (pinned), through a queue of their own, to
/// memory of the device; the compute queue copies them from there to where they are wanted, when it comes to them. So
/// the upload for one step runs while the device computes the step before. Used by one thread at a time.
public final class UploadStream {
    private let context: DeviceContext
    private let queue: CommandQueue
    private var slots = [Slot(), Slot()]
    private var next = 0

    /// One upload on its way.
    private struct Slot {
        var host: PinnedMemory?
        var device: DeviceBuffer?
        /// Reached when the compute queue has taken the bytes.
        var taken: DeviceEvent?
    }

    /// Where each piece begins, for transfers of whole lines.
    private static let alignment = 64

    /// - Throws: `DeviceError` if the driver refuses another queue.
    public init(context: DeviceContext) throws(DeviceError) {
        self.context = context
        queue = try context.makeQueue(profiling: false)
    }

    /// Uploads several pieces together; in order with what the compute queue is given before and after.
    ///
    /// Returns at once, unless both earlier uploads are still waited for: then when the first of them has been taken.
    ///
    /// - Precondition: each piece fits its buffer.
    /// - Throws: `DeviceError` if memory cannot be had or the device failed.
    public func write(_ pieces: [(bytes: [UInt8], buffer: DeviceBuffer)]) throws(DeviceError) {
        var offsets: [Int] = []
        var total = 0
        for piece in pieces {
            piece.buffer.requireRange(0, piece.bytes.count)
            offsets.append(total)
            total += (piece.bytes.count + Self.alignment - 1) / Self.alignment * Self.alignment
        }
        guard total > 0 else { return }
        defer { next = (next + 1) % slots.count }
        let (host, staging) = try prepare(total)
        for (piece, offset) in zip(pieces, offsets) { host.store(piece.bytes, at: offset) }
        try host.upload(byteCount: total, to: staging, on: queue)
        try context.queue.wait(for: try queue.marker())
        for (piece, offset) in zip(pieces, offsets) {
            try context.queue.copy(
                from: staging, to: piece.buffer, byteCount: piece.bytes.count, sourceOffset: offset)
        }
        slots[next].taken = try context.queue.marker()
    }

    /// The next slot's memory, free and large enough.
    private func prepare(_ byteCount: Int) throws(DeviceError) -> (PinnedMemory, DeviceBuffer) {
        if let taken = slots[next].taken { try taken.wait() }
        slots[next].taken = nil
        if let host = slots[next].host, let device = slots[next].device, host.byteCount >= byteCount {
            return (host, device)
        }
        let host = try context.makePinnedMemory(byteCount: byteCount, on: context.queue)
        let device = try context.makeBuffer(byteCount: byteCount)
        // Its zeros, which the compute queue writes, must not come after the first upload.
        try queue.wait(for: try context.queue.marker())
        (slots[next].host, slots[next].device) = (host, device)
        return (host, device)
    }
}
