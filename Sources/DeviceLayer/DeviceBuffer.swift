internal import CAdaShareOpenCL
import Foundation
import Synchronization

/// Memory of a device, or a slice of such memory.
///
/// Released with its last reference; commands already enqueued keep what they use. A slice keeps the buffer it was cut
/// from alive. Queues do not order commands among one another: a buffer used on two queues needs an event between them.
public final class DeviceBuffer: @unchecked Sendable {
    /// Size in bytes; for a whole buffer rounded up from what was asked for to a multiple of 512.
    public let byteCount: Int

    let handle: OpaquePointer
    /// Unlike the handle, no later buffer's.
    private let number = numbers.wrappingAdd(1, ordering: .relaxed).newValue
    private static let numbers = Atomic<Int>(0)
    /// Nil in a slice: a device is a long description, and slices are many.
    private let ownDevice: Device?
    private let root: DeviceBuffer?
    private let rootOffset: Int
    private let scratch: Scratch?

    /// Of the memory: slices start at multiples of it.
    private let alignment: Int
    private var device: Device? { root?.ownDevice ?? ownDevice }

    /// Allocation is rounded up to this, in bytes, so that kernels can work on whole vectors without a bounds check.
    static let granularity = 512

    /// Allocates a whole buffer with undefined contents.
    ///
    /// - Throws: `DeviceError` if the device cannot give that much memory in one piece.
    init(context: OpaquePointer, device: Device, byteCount: Int) throws(DeviceError) {
        precondition(byteCount >= 0, "a buffer of \(byteCount) bytes")
        let limit = device.maximumAllocationBytes
        guard byteCount <= limit else {
            throw DeviceError(
                call: "clCreateBuffer", code: CL_INVALID_BUFFER_SIZE, device: device.name,
                detail: "a buffer of \(byteCount) bytes was asked for, the device allows at most \(limit) in one piece")
        }
        let rounded = max(1, (byteCount + Self.granularity - 1) / Self.granularity) * Self.granularity
        handle = try create("clCreateBuffer", device: device, detail: "a buffer of \(rounded) bytes was asked for") {
            clCreateBuffer(context, cl_mem_flags(CL_MEM_READ_WRITE), rounded, nil, $0)
        }
        self.byteCount = rounded
        ownDevice = device
        alignment = device.baseAddressAlignmentBytes
        scratch = nil
        root = nil
        rootOffset = 0
    }

    /// Memory of this process that the system gives as it is touched, zeros before that.
    ///
    /// - Throws: `DeviceError` if there is none, or the device cannot use it.
    init(scratch context: OpaquePointer, device: Device, byteCount: Int) throws(DeviceError) {
        let rounded = max(1, (byteCount + Self.granularity - 1) / Self.granularity) * Self.granularity
        let memory = try Scratch(byteCount: rounded, device: device)
        handle = try create("clCreateBuffer", device: device, detail: "a buffer of \(rounded) bytes was asked for") {
            clCreateBuffer(
                context, cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR), rounded, memory.pointer, $0)
        }
        self.byteCount = rounded
        ownDevice = device
        alignment = device.baseAddressAlignmentBytes
        scratch = memory
        root = nil
        rootOffset = 0
    }

    private init(root: DeviceBuffer, offset: Int, byteCount: Int) throws(DeviceError) {
        var region = cl_buffer_region(origin: offset, size: byteCount)
        handle = try create(
            "clCreateSubBuffer", device: root.device,
            detail: "a slice of \(byteCount) bytes at \(offset) of a buffer of \(root.byteCount)"
        ) {
            clCreateSubBuffer(
                root.handle, cl_mem_flags(CL_MEM_READ_WRITE), cl_buffer_create_type(CL_BUFFER_CREATE_TYPE_REGION),
                &region, $0)
        }
        self.byteCount = byteCount
        ownDevice = nil
        alignment = root.alignment
        scratch = nil
        self.root = root
        rootOffset = offset
    }

    deinit {
        checkRelease(clReleaseMemObject(handle), "clReleaseMemObject")
    }

    /// The buffer for those whose use of it ends before its owner lets go of it.
    public var lent: LentBuffer { LentBuffer(handle: handle, number: number, byteCount: byteCount) }

    /// Cuts a slice that shares this buffer's memory.
    ///
    /// - Precondition: the slice is not empty and lies inside this buffer; its offset is a multiple of the device's
    ///   `baseAddressAlignmentBytes`.
    /// - Parameter byteOffset: where the slice starts in this buffer, in bytes.
    /// - Parameter byteCount: size of the slice, in bytes.
    /// - Returns: the slice; a slice of a slice refers to the whole buffer directly.
    /// - Throws: `DeviceError` if the device refuses.
    public func slice(byteOffset: Int, byteCount: Int) throws(DeviceError) -> DeviceBuffer {
        requireRange(byteOffset, byteCount)
        precondition(byteCount > 0, "an empty slice")
        precondition(byteOffset % alignment == 0, "offset \(byteOffset) is not a multiple of \(alignment) bytes")
        return try DeviceBuffer(root: root ?? self, offset: rootOffset + byteOffset, byteCount: byteCount)
    }

    /// Whether it is the memory where another buffer begins.
    package func begins(with other: DeviceBuffer) -> Bool {
        (root ?? self) === (other.root ?? other) && rootOffset == other.rootOffset
    }

    /// Stops unless the bytes lie inside this buffer.
    func requireRange(_ byteOffset: Int, _ count: Int) {
        precondition(
            byteOffset >= 0 && count >= 0 && count <= byteCount && byteOffset <= byteCount - count,
            "bytes \(byteOffset) ..< \(byteOffset)+\(count) of a buffer of \(byteCount)")
    }
}

/// A buffer that somebody else keeps alive: plans pass thousands on, whose references need no counting.
public struct LentBuffer: BitwiseCopyable, @unchecked Sendable {
    let handle: OpaquePointer
    /// Of the buffer: equal numbers are the same memory.
    let number: Int
    let byteCount: Int
}

/// Pages of this process, reserved only.
private final class Scratch {
    let pointer: UnsafeMutableRawPointer
    private let byteCount: Int

    init(byteCount: Int, device: Device) throws(DeviceError) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let pages = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), pages != MAP_FAILED else {
            throw DeviceError(
                call: "mmap", code: CL_OUT_OF_HOST_MEMORY, device: device.name,
                detail: "\(byteCount) bytes of address space cannot be had")
        }
        pointer = pages
        self.byteCount = byteCount
    }

    deinit { munmap(pointer, byteCount) }
}
