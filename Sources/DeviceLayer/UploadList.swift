internal import CAdaShareOpenCL
import Foundation

/// Host memory that holds the bytes of one upload.
final class StagedBytes {
    let memory: UnsafeMutableRawBufferPointer

    init(copying bytes: UnsafeRawBufferPointer) {
        memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        memory.copyMemory(from: bytes)
    }

    deinit { memory.deallocate() }
}

/// The uploads of one in-order queue that the device may still be reading, oldest first.
final class UploadList: @unchecked Sendable {
    private let lock = NSLock()
    private var pending: [(number: Int, bytes: StagedBytes, event: DeviceEvent)] = []
    private var number = 0

    /// The number of the last upload; they count from 1.
    var last: Int {
        lock.lock()
        defer { lock.unlock() }
        return number
    }

    /// Number of uploads whose memory is still held.
    var count: Int {
        lock.lock()
        defer { lock.unlock() }
        return pending.count
    }

    /// Enqueues an upload and keeps its memory until it is complete.
    ///
    /// - Parameter body: enqueues the command and stores its event.
    /// - Throws: `DeviceError` if the driver refuses.
    func enqueue(
        _ bytes: StagedBytes, device: Device, _ body: (UnsafeMutablePointer<cl_event?>) -> cl_int
    ) throws(DeviceError) {
        // Held across the call, so that the list's order is the queue's.
        lock.lock()
        defer { lock.unlock() }
        let event = try create(
            "clEnqueueWriteBuffer", device: device, detail: "writing \(bytes.memory.count) bytes"
        ) { status in
            var event: cl_event?
            status.pointee = body(&event)
            return event
        }
        number += 1
        pending.append((number, bytes, DeviceEvent(handle: event, device: device)))
    }

    /// Lets go of the memory of uploads that are complete.
    ///
    /// - Parameter finished: the last upload that the queue is known to have come past; some drivers' events do not say
    ///   so at once.
    /// - Throws: `DeviceError` if one of them failed.
    func sweep(device: Device, finished: Int = 0) throws(DeviceError) {
        lock.lock()
        defer { lock.unlock() }
        var done = 0
        defer { pending.removeFirst(done) }
        while done < pending.count {
            let status = try pending[done].event.status()
            guard status <= CL_COMPLETE || pending[done].number <= finished else { return }
            done += 1
            try check(
                min(status, CL_COMPLETE), "clEnqueueWriteBuffer", device: device,
                detail: "an upload failed on the device")
        }
    }
}
