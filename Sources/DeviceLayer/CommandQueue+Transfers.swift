internal import CAdaShareOpenCL

extension CommandQueue {
    /// Enqueues an upload and returns at once: the bytes are copied, so the caller's memory is free again.
    ///
    /// The copy is kept until the device has read it and let go by a later call on this queue.
    ///
    /// - Precondition: the bytes fit into the buffer at that offset.
    /// - Throws: `DeviceError` if the driver refuses, or an earlier upload failed.
    public func write(
        _ bytes: UnsafeRawBufferPointer, to buffer: DeviceBuffer, byteOffset: Int = 0
    ) throws(DeviceError) {
        buffer.requireRange(byteOffset, bytes.count)
        guard !bytes.isEmpty else { return }
        try upload(StagedBytes(copying: bytes), to: buffer, byteOffset: byteOffset)
    }

    /// Enqueues an upload of an array's elements and returns at once.
    ///
    /// - Precondition: the elements fit into the buffer at that offset, which is in bytes.
    /// - Throws: `DeviceError` if the driver refuses, or an earlier upload failed.
    public func write<Element: BitwiseCopyable>(
        _ array: [Element], to buffer: DeviceBuffer, byteOffset: Int = 0
    ) throws(DeviceError) {
        let staged = array.withUnsafeBytes { bytes in
            buffer.requireRange(byteOffset, bytes.count)
            return bytes.isEmpty ? nil : StagedBytes(copying: bytes)
        }
        guard let staged else { return }
        try upload(staged, to: buffer, byteOffset: byteOffset)
    }

    /// Waits for all earlier work of this queue and reads part of a buffer.
    ///
    /// - Precondition: the elements lie inside the buffer.
    /// - Parameter type: a numeric type, or another for which every pattern of bits is a value.
    /// - Parameter count: number of elements.
    /// - Parameter buffer: where they lie.
    /// - Parameter byteOffset: where the first one lies, in bytes.
    /// - Throws: `DeviceError` if the device failed.
    public func read<Element: BitwiseCopyable>(
        _ type: Element.Type, count: Int, from buffer: DeviceBuffer, byteOffset: Int = 0
    ) throws(DeviceError) -> [Element] {
        precondition(count >= 0, "\(count) elements")
        let byteCount = count * MemoryLayout<Element>.stride
        buffer.requireRange(byteOffset, byteCount)
        guard count > 0 else { return [] }
        var status: cl_int = CL_SUCCESS
        let elements = [Element](unsafeUninitializedCapacity: count) { memory, initialized in
            status = clEnqueueReadBuffer(
                handle, buffer.handle, cl_bool(CL_TRUE), byteOffset, byteCount, memory.baseAddress, 0, nil, nil)
            initialized = status == CL_SUCCESS ? count : 0
        }
        try check(
            status, "clEnqueueReadBuffer", device: device,
            detail: "reading \(byteCount) bytes at \(byteOffset) of a buffer of \(buffer.byteCount)")
        try uploads.sweep(device: device)
        return elements
    }

    /// Enqueues a copy from one buffer to another.
    ///
    /// - Precondition: both ranges lie inside their buffers. Offsets and size are in bytes.
    /// - Throws: `DeviceError` if the driver refuses, for example because the ranges overlap.
    public func copy(
        from source: DeviceBuffer, to destination: DeviceBuffer, byteCount: Int, sourceOffset: Int = 0,
        destinationOffset: Int = 0
    ) throws(DeviceError) {
        source.requireRange(sourceOffset, byteCount)
        destination.requireRange(destinationOffset, byteCount)
        guard byteCount > 0 else { return }
        try check(
            clEnqueueCopyBuffer(
                handle, source.handle, destination.handle, sourceOffset, destinationOffset, byteCount, 0, nil, nil),
            "clEnqueueCopyBuffer", device: device,
            detail: "copying \(byteCount) bytes from offset \(sourceOffset) to offset \(destinationOffset)")
    }

    /// Enqueues a command that sets every byte of a buffer to zero.
    ///
    /// - Throws: `DeviceError` if the driver refuses.
    public func fillZero(_ buffer: DeviceBuffer) throws(DeviceError) {
        var pattern: (UInt64, UInt64) = (0, 0)
        let patternBytes = [16, 4, 1].first { buffer.byteCount.isMultiple(of: $0) } ?? 1
        try check(
            clEnqueueFillBuffer(
                handle, buffer.handle, &pattern, patternBytes, 0, buffer.byteCount, 0, nil, nil),
            "clEnqueueFillBuffer", device: device, detail: "filling a buffer of \(buffer.byteCount) bytes")
    }

    private func upload(_ staged: StagedBytes, to buffer: DeviceBuffer, byteOffset: Int) throws(DeviceError) {
        try uploads.sweep(device: device)
        try uploads.enqueue(staged, device: device) { event in
            clEnqueueWriteBuffer(
                handle, buffer.handle, cl_bool(CL_FALSE), byteOffset, staged.memory.count,
                staged.memory.baseAddress, 0, nil, event)
        }
    }
}
