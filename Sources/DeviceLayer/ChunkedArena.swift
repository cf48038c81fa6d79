import Foundation

/// Memory for planned values, made of chunks that each stay under the device's allocation limit.
///
/// A plan places every value inside one chunk. Chunks are allocated at their first use or when they grow, start out
/// zero and never shrink.
public final class ChunkedArena: @unchecked Sendable {
    private let context: DeviceContext
    private let lock = NSLock()
    private var sizes: [Int]
    private var chunks: [DeviceBuffer?]
    /// Those that have been cut: plan after plan asks for many of the same, and kernels know them again.
    private var slices: [Slice: DeviceBuffer] = [:]
    private static let mostSlices = 1 << 12

    private struct Slice: Hashable {
        let chunk, byteOffset, byteCount: Int
    }

    /// Describes an arena; no memory is taken before the first slice.
    ///
    /// - Parameter context: where memory is taken.
    /// - Parameter chunkBytes: the size of every chunk in bytes, each at most the device's `maximumAllocationBytes`.
    public init(context: DeviceContext, chunkBytes: [Int]) {
        precondition(chunkBytes.allSatisfy { $0 >= 0 }, "a negative chunk size in \(chunkBytes)")
        self.context = context
        sizes = chunkBytes
        chunks = Array(repeating: nil, count: chunkBytes.count)
    }

    /// Sum of the chunks' sizes, in bytes.
    public var totalBytes: Int {
        lock.lock()
        defer { lock.unlock() }
        return sizes.reduce(0, +)
    }

    /// Whether `grow` would replace a chunk, so that slices handed out before become stale.
    public func mustReplaceChunks(for chunkBytes: [Int]) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        return zip(sizes, chunkBytes).contains { $0 < $1 }
    }

    /// Makes every chunk at least as large as asked, and adds chunks that are missing.
    ///
    /// A chunk that grows loses its contents. Its old memory goes when the last slice of it does.
    ///
    /// - Parameter chunkBytes: the least size of each chunk, in bytes.
    /// - Returns: whether a chunk was replaced, so that slices handed out before are stale.
    /// - Throws: `DeviceError` if the device cannot give the memory; a later call tries again.
    public func grow(to chunkBytes: [Int]) throws(DeviceError) -> Bool {
        precondition(chunkBytes.allSatisfy { $0 >= 0 }, "a negative chunk size in \(chunkBytes)")
        lock.lock()
        defer { lock.unlock() }
        var replaced = false
        for (index, wanted) in chunkBytes.enumerated() {
            if index == sizes.count {
                sizes.append(wanted)
                chunks.append(nil)
            } else if wanted > sizes[index] {
                sizes[index] = wanted
                // Dropped before the new one is made: the two need not fit side by side.
                chunks[index] = nil
                slices = [:]
                replaced = true
            }
            _ = try allocated(index)
        }
        return replaced
    }

    /// Cuts a slice out of one chunk; perhaps one that was cut before.
    ///
    /// - Precondition: the chunk exists and holds the range; the offset has the device's base alignment.
    /// - Throws: `DeviceError` if the device cannot give the chunk or the slice.
    public func slice(chunk: Int, byteOffset: Int, byteCount: Int) throws(DeviceError) -> DeviceBuffer {
        lock.lock()
        defer { lock.unlock() }
        precondition(sizes.indices.contains(chunk), "chunk \(chunk) of an arena of \(sizes.count)")
        let key = Slice(chunk: chunk, byteOffset: byteOffset, byteCount: byteCount)
        if let known = slices[key] { return known }
        let slice = try allocated(chunk).slice(byteOffset: byteOffset, byteCount: byteCount)
        if slices.count == Self.mostSlices { slices = [:] }
        slices[key] = slice
        return slice
    }

    private func allocated(_ index: Int) throws(DeviceError) -> DeviceBuffer {
        if let chunk = chunks[index] { return chunk }
        let chunk = try context.makeBuffer(byteCount: sizes[index])
        chunks[index] = chunk
        return chunk
    }
}
