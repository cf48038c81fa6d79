/// Where the host reads and changes numbers of a device's buffers, through a queue of its own, while the compute queue
/// goes on with other things.
///
/// Where device memory is host memory, a buffer that is asked for alone is lent as it lies. Others are read into memory
/// that the device reaches by itself (pinned), one behind the other, and written back from there. Used by one thread at
/// a time.
public final class HostWindow {
    /// The first numbers of a buffer; there may be none.
    public typealias Piece = (buffer: DeviceBuffer, count: Int)

    private let context: DeviceContext
    private let queue: CommandQueue
    private var memory: PinnedMemory?

    /// - Throws: `DeviceError` if the driver refuses another queue.
    public init(context: DeviceContext) throws(DeviceError) {
        self.context = context
        queue = try context.makeQueue(profiling: false)
    }

    /// Has numbers changed on the host; waits until the device has them back.
    ///
    /// - Parameters:
    ///   - pieces: what is changed; no other queue uses it meanwhile.
    ///   - ready: of the compute queue: when the numbers are there.
    ///   - body: is given all numbers one behind the other.
    /// - Precondition: the pieces lie inside their buffers.
    /// - Throws: `DeviceError` if the device failed, or what `body` throws.
    public func change(
        _ pieces: [Piece], after ready: DeviceEvent, _ body: (inout MutableSpan<Float>) throws -> Void
    ) throws {
        try queue.wait(for: ready)
        if pieces.count == 1, pieces[0].count > 0, context.device.sharesHostMemory {
            return try queue.withMapped(pieces[0].buffer, count: pieces[0].count, body)
        }
        let memory = try download(pieces)
        try memory.withFloats(pieces.reduce(0) { $0 + $1.count }, body)
        try forEach(pieces) { buffer, range in
            try memory.upload(byteCount: range.count, at: range.lowerBound, to: buffer, on: queue)
        }
        try queue.finish()
    }

    /// Numbers of buffers one behind the other.
    ///
    /// - Parameters:
    ///   - pieces: what is read.
    ///   - ready: of the compute queue: when the numbers are there.
    /// - Precondition: the pieces lie inside their buffers.
    /// - Throws: `DeviceError` if the device failed.
    public func read(_ pieces: [Piece], after ready: DeviceEvent) throws -> [Float] {
        try queue.wait(for: ready)
        return try download(pieces).withFloats(pieces.reduce(0) { $0 + $1.count }) { floats in
            floats.span.withUnsafeBufferPointer(Array.init)
        }
    }

    private func download(_ pieces: [Piece]) throws -> PinnedMemory {
        let memory = try self.memory(byteCount: pieces.reduce(0) { $0 + 4 * $1.count })
        try forEach(pieces) { buffer, range in
            try memory.download(byteCount: range.count, at: range.lowerBound, from: buffer, on: queue)
        }
        try queue.finish()
        return memory
    }

    /// Where each piece lies in host memory, in bytes.
    private func forEach(_ pieces: [Piece], _ body: (DeviceBuffer, Range<Int>) throws -> Void) rethrows {
        var start = 0
        for (buffer, count) in pieces where count > 0 {
            buffer.requireRange(0, 4 * count)
            try body(buffer, start..<start + 4 * count)
            start += 4 * count
        }
    }

    private func memory(byteCount: Int) throws -> PinnedMemory {
        if let memory, memory.byteCount >= byteCount { return memory }
        memory = nil
        let larger = try context.makePinnedMemory(byteCount: max(1, byteCount), on: queue)
        memory = larger
        return larger
    }
}
