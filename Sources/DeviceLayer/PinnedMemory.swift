internal import CAdaShareOpenCL

/// Host memory that a device reads and writes without the processor's help, mapped for as long as it lives.
final class PinnedMemory {
    let byteCount: Int
    private let buffer: OpaquePointer
    private let queue: CommandQueue
    private let memory: UnsafeMutableRawPointer

    /// - Parameter queue: by which it is mapped.
    init(context: OpaquePointer, queue: CommandQueue, byteCount: Int) throws(DeviceError) {
        self.byteCount = byteCount
        self.queue = queue
        let device = queue.device
        let buffer = try create(
            "clCreateBuffer", device: device, detail: "\(byteCount) bytes of pinned host memory were asked for"
        ) {
            clCreateBuffer(
                context, cl_mem_flags(CL_MEM_READ_WRITE) | cl_mem_flags(CL_MEM_ALLOC_HOST_PTR), byteCount, nil, $0)
        }
        do throws(DeviceError) {
            memory = try queue.map(buffer, byteCount: byteCount)
        } catch {
            checkRelease(clReleaseMemObject(buffer), "clReleaseMemObject")
            throw error
        }
        self.buffer = buffer
    }

    deinit {
        // Transfers may still be under way.
        _ = clEnqueueUnmapMemObject(queue.handle, buffer, memory, 0, nil, nil)
        _ = clFinish(queue.handle)
        checkRelease(clReleaseMemObject(buffer), "clReleaseMemObject")
    }

    func store(_ bytes: [UInt8], at offset: Int) {
        bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(start: memory + offset, count: source.count).copyMemory(from: source)
        }
    }

    /// The first of its bytes as numbers.
    func withFloats<Result>(
        _ count: Int, _ body: (inout MutableSpan<Float>) throws -> Result
    ) throws -> Result {
        precondition(4 * count <= byteCount, "\(count) numbers in \(byteCount) bytes")
        return try memory.withFloats(count, body)
    }

    /// Enqueues an upload of the bytes from `offset` on.
    func upload(byteCount: Int, at offset: Int = 0, to target: DeviceBuffer, on queue: CommandQueue) throws(DeviceError)
    {
        try check(
            clEnqueueWriteBuffer(
                queue.handle, target.handle, cl_bool(CL_FALSE), 0, byteCount, memory + offset, 0, nil, nil),
            "clEnqueueWriteBuffer", device: queue.device, detail: "writing \(byteCount) bytes")
    }

    /// Enqueues a download to the bytes from `offset` on.
    func download(byteCount: Int, at offset: Int, from source: DeviceBuffer, on queue: CommandQueue) throws(DeviceError)
    {
        try check(
            clEnqueueReadBuffer(
                queue.handle, source.handle, cl_bool(CL_FALSE), 0, byteCount, memory + offset, 0, nil, nil),
            "clEnqueueReadBuffer", device: queue.device, detail: "reading \(byteCount) bytes")
    }
}

extension CommandQueue {
    /// Waits for this queue's work and gives memory of the host in which a buffer's bytes are read and changed.
    fileprivate func map(_ buffer: OpaquePointer, byteCount: Int) throws(DeviceError) -> UnsafeMutableRawPointer {
        let mapped = try create("clEnqueueMapBuffer", device: device, detail: "mapping \(byteCount) bytes") { status in
            OpaquePointer(
                clEnqueueMapBuffer(
                    handle, buffer, cl_bool(CL_TRUE), cl_map_flags(CL_MAP_READ) | cl_map_flags(CL_MAP_WRITE), 0,
                    byteCount, 0, nil, nil, status))
        }
        return UnsafeMutableRawPointer(mapped)
    }

    /// Waits for this queue's work, lends a buffer's numbers as they lie, and waits until the device has them back.
    ///
    /// - Precondition: the numbers lie inside the buffer.
    /// - Throws: `DeviceError` if the device failed, or what `body` throws.
    func withMapped(
        _ buffer: DeviceBuffer, count: Int, _ body: (inout MutableSpan<Float>) throws -> Void
    ) throws {
        buffer.requireRange(0, 4 * count)
        let memory = try map(buffer.handle, byteCount: 4 * count)
        let result = Result { try memory.withFloats(count, body) }
        let unmapped = Result {
            try check(
                clEnqueueUnmapMemObject(handle, buffer.handle, memory, 0, nil, nil), "clEnqueueUnmapMemObject",
                device: device)
            try finish()
        }
        // What went wrong first is the cause.
        try result.get()
        try unmapped.get()
    }
}

extension UnsafeMutableRawPointer {
    /// The bytes from here on as numbers.
    fileprivate func withFloats<Result>(
        _ count: Int, _ body: (inout MutableSpan<Float>) throws -> Result
    ) rethrows -> Result {
        try withMemoryRebound(to: Float.self, capacity: count) { start in
            var floats = UnsafeMutableBufferPointer(start: start, count: count).mutableSpan
            return try body(&floats)
        }
    }
}
