import AdaShareSupport
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
    private var slices: [(place: Place, buffer: DeviceBuffer)] = []
    private var index = HashIndex(capacity: 1 << 10)
    private static let mostSlices = 1 << 12

    /// Where a value lies.
    public struct Place: Equatable, Sendable {
        /// Which chunk.
        public let chunk: Int
        /// Where in the chunk it starts, and its size, in bytes.
        public let offset, byteCount: Int

        /// Creates a place; nobody looks whether there is such a chunk.
        public init(chunk: Int, offset: Int, byteCount: Int) {
            (self.chunk, self.offset, self.byteCount) = (chunk, offset, byteCount)
        }
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
                forgetSlices()
                replaced = true
            }
            _ = try allocated(index)
        }
        return replaced
    }

    /// Cuts slices out of the chunks; perhaps some that were cut before.
    ///
    /// - Precondition: the chunks exist and hold the places; offsets have the device's base alignment.
    /// - Parameter places: nil for what lives elsewhere.
    /// - Returns: a slice for each place.
    /// - Throws: `DeviceError` if the device cannot give a chunk or a slice.
    public func slices(_ places: [Place?]) throws(DeviceError) -> [DeviceBuffer?] {
        lock.lock()
        defer { lock.unlock() }
        var cut = [DeviceBuffer?](repeating: nil, count: places.count)
        for (index, place) in places.enumerated() {
            if let place { cut[index] = try slice(place) }
        }
        return cut
    }

    private func slice(_ place: Place) throws(DeviceError) -> DeviceBuffer {
        precondition(sizes.indices.contains(place.chunk), "chunk \(place.chunk) of an arena of \(sizes.count)")
        let hash = HashIndex.hash(place.offset ^ place.chunk << 56, place.byteCount << 24)
        if let known = index.position(hash: hash, where: { slices[$0].place == place }) { return slices[known].buffer }
        let slice = try allocated(place.chunk).slice(byteOffset: place.offset, byteCount: place.byteCount)
        if slices.count == Self.mostSlices { forgetSlices() }
        slices.append((place, slice))
        index.append(hash: hash)
        return slice
    }

    private func forgetSlices() {
        slices = []
        index.removeAll()
    }

    private func allocated(_ index: Int) throws(DeviceError) -> DeviceBuffer {
        if let chunk = chunks[index] { return chunk }
        let chunk = try context.makeBuffer(byteCount: sizes[index])
        chunks[index] = chunk
        return chunk
    }
}
