import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceEvent {
    /// Whether the point is reached, or never will be because the work failed.
    fileprivate var isComplete: Bool { (try? status()).map { $0 <= 0 } ?? true }
}

extension DeviceLayerTests {
    @Suite struct BufferTests {
        @Test(arguments: [(0, 512), (1, 512), (512, 512), (513, 1024)])
        func buffersAreRoundedUpAndZero(asked: Int, given: Int) throws {
            let context = try TestDevice.context()
            let buffer = try context.makeBuffer(byteCount: asked)
            #expect(buffer.byteCount == given)
            let zeros = [UInt8](repeating: 0, count: given)
            #expect(try context.queue.read(UInt8.self, count: given, from: buffer) == zeros)
        }

        @Test func tooLargeABufferSaysWhatIsAllowed() throws {
            let context = try TestDevice.context()
            let limit = context.device.maximumAllocationBytes
            let error = try TestDevice.error { _ = try context.makeBuffer(byteCount: limit + 1) }
            #expect(error.description.contains("\(limit + 1)") && error.description.contains("\(limit) in one piece"))
        }

        @Test func writesAndReadsAtOffsets() throws {
            let context = try TestDevice.context()
            let buffer = try context.makeBuffer(byteCount: 512)
            try context.queue.write([Int32(1), 2, 3, 4], to: buffer, byteOffset: 8)
            try [UInt8(7), 8].withUnsafeBytes { try context.queue.write($0, to: buffer, byteOffset: 3) }
            try context.queue.write([Int32](), to: buffer)
            #expect(try context.queue.read(Int32.self, count: 6, from: buffer) == [7 << 24, 8, 1, 2, 3, 4])
            #expect(try context.queue.read(Int32.self, count: 2, from: buffer, byteOffset: 12) == [2, 3])
            #expect(try context.queue.read(UInt8.self, count: 1, from: buffer, byteOffset: 511) == [0])
            #expect(try context.queue.read(Int32.self, count: 0, from: buffer).isEmpty)
        }

        /// Each upload is seen by what the compute queue was given after it and by nothing before, however far behind
        /// it is.
        @Test func streamedUploadsKeepTheirOrder() throws {
            let context = try TestDevice.context()
            let stream = try UploadStream(context: context)
            let inputs = try (0..<2).map { _ in try context.makeBuffer(byteCount: 1024) }
            let seen = try (0..<7).map { _ in try context.makeBuffer(byteCount: 1024) }
            try TestDevice.occupy(context.queue, of: context, result: try context.makeBuffer(byteCount: 4))
            for (step, target) in seen.enumerated() {
                // Sizes that change, so that memory is exchanged while uploads are under way.
                let count = 100 + 60 * step
                let pieces = inputs.enumerated().map { index, buffer in
                    (bytes: [UInt8](repeating: UInt8(10 * step + index + 1), count: count - index), buffer: buffer)
                }
                try stream.write(pieces)
                try context.queue.copy(from: inputs[0], to: target, byteCount: 512)
                try context.queue.copy(from: inputs[1], to: target, byteCount: 512, destinationOffset: 512)
            }
            try stream.write([])
            for (step, target) in seen.enumerated() {
                let bytes = try context.queue.read(UInt8.self, count: 1024, from: target)
                let count = 100 + 60 * step
                #expect(bytes[..<count].allSatisfy { $0 == UInt8(10 * step + 1) } && bytes[count] == 0, "\(step)")
                #expect(bytes[512..<(511 + count)].allSatisfy { $0 == UInt8(10 * step + 2) }, "\(step)")
            }
        }

        @Test func writeTakesACopyAndDoesNotWait() throws {
            let context = try TestDevice.context()
            let queue = context.queue
            try queue.finish()
            let buffer = try context.makeBuffer(byteCount: 512)
            let busy = try context.makeBuffer(byteCount: 4)
            try TestDevice.occupy(queue, of: context, result: busy)
            let behindKernel = try queue.marker()
            let memory = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 4)
            defer { memory.deallocate() }
            for index in 0..<4 { memory[index] = Int32(index) }
            try queue.write(UnsafeRawBufferPointer(memory), to: buffer)
            #expect(!behindKernel.isComplete, "the write came back while the kernel before it was running")
            #expect(queue.uploads.count == 1)
            for index in 0..<4 { memory[index] = -1 }
            #expect(try queue.read(Int32.self, count: 4, from: buffer) == [0, 1, 2, 3])
        }

        @Test func manyWritesKeepOrderAndLetTheirMemoryGo() throws {
            let context = try TestDevice.context()
            let buffer = try context.makeBuffer(byteCount: 1 << 20)
            for round in 0..<200 {
                try context.queue.write([Int32](repeating: Int32(round), count: 1 << 18), to: buffer)
            }
            let last = try context.queue.read(Int32.self, count: 1 << 18, from: buffer)
            #expect(last.allSatisfy { $0 == 199 })
            #expect(context.queue.uploads.count == 0)
            try context.queue.write([Int32(1)], to: buffer)
            #expect(context.queue.uploads.count == 1, "negative control: a fresh upload is held")
            try context.queue.finish()
            #expect(context.queue.uploads.count == 0)
        }

        @Test func slicesShareTheirBuffer() throws {
            let context = try TestDevice.context()
            let step = max(context.device.baseAddressAlignmentBytes, 16)
            let queue = context.queue
            weak var root: DeviceBuffer?
            let inner: DeviceBuffer
            do {
                let buffer = try context.makeBuffer(byteCount: 8 * step)
                root = buffer
                let outer = try buffer.slice(byteOffset: 2 * step, byteCount: 4 * step)
                inner = try outer.slice(byteOffset: step, byteCount: 12)
                #expect(inner.byteCount == 12)
                try queue.write([Int32(5), 6, 7], to: inner)
                try queue.write([Int32(-1)], to: buffer, byteOffset: 3 * step + 4)
                #expect(try queue.read(Int32.self, count: 3, from: buffer, byteOffset: 3 * step) == [5, -1, 7])
                #expect(try queue.read(Int32.self, count: 2, from: outer, byteOffset: step) == [5, -1])
                #expect(try queue.read(Int32.self, count: 3, from: outer) == [0, 0, 0], "negative control")
            }
            #expect(root != nil, "a slice keeps its buffer")
            #expect(try queue.read(Int32.self, count: 3, from: inner) == [5, -1, 7])
            try queue.fillZero(inner)
            #expect(try queue.read(Int32.self, count: 3, from: inner) == [0, 0, 0])
        }

        @Test func kernelsWorkOnSlices() throws {
            let context = try TestDevice.context()
            let step = max(context.device.baseAddressAlignmentBytes, 64)
            let buffer = try context.makeBuffer(byteCount: 4 * step)
            let slices = try (1...3).map { try buffer.slice(byteOffset: $0 * step, byteCount: 16) }
            try context.queue.write([Float](repeating: 4, count: 4), to: slices[0])
            try context.queue.write([Float](repeating: 5, count: 4), to: slices[1])
            let kernel = try TestDevice.program(context).kernel("add")
            try kernel.setArguments([.buffer(slices[0]), .buffer(slices[1]), .buffer(slices[2]), .float(1)])
            try context.queue.launch(kernel, WorkSize(global: [4]))
            let sums = try context.queue.read(Float.self, count: 4, from: buffer, byteOffset: 3 * step)
            #expect(sums == [9, 9, 9, 9])
            #expect(try context.queue.read(Float.self, count: 4, from: buffer) == [0, 0, 0, 0])
        }

        @Test func copiesAndFills() throws {
            let context = try TestDevice.context()
            let queue = context.queue
            let source = try context.makeBuffer(byteCount: 512)
            let target = try context.makeBuffer(byteCount: 512)
            try queue.write((0..<8).map { Int32($0) }, to: source)
            try queue.copy(from: source, to: target, byteCount: 12, sourceOffset: 8, destinationOffset: 4)
            #expect(try queue.read(Int32.self, count: 5, from: target) == [0, 2, 3, 4, 0])
            let odd = try target.slice(byteOffset: 0, byteCount: 7)
            try queue.fillZero(odd)
            #expect(try queue.read(UInt8.self, count: 9, from: target) == [0, 0, 0, 0, 0, 0, 0, 0, 3])
            let overlap = try TestDevice.error {
                try queue.copy(from: source, to: source, byteCount: 8, sourceOffset: 0, destinationOffset: 4)
            }
            #expect(overlap.call == "clEnqueueCopyBuffer")
        }

        @Test func markersCompleteAfterEarlierWork() throws {
            let context = try TestDevice.context()
            let queue = context.queue
            let buffer = try context.makeBuffer(byteCount: 4)
            try TestDevice.occupy(queue, of: context, result: buffer)
            let event = try queue.marker()
            #expect(!event.isComplete, "negative control: the kernel takes far longer than this line")
            let copies = try context.makeQueue(profiling: false)
            let copied = try context.makeBuffer(byteCount: 4)
            try copies.wait(for: queue.marker())
            try copies.copy(from: buffer, to: copied, byteCount: 4)
            try event.wait()
            #expect(event.isComplete)
            let value = try queue.read(Float.self, count: 1, from: buffer)
            #expect(value[0] > 1)
            #expect(try copies.read(Float.self, count: 1, from: copied) == value)
        }

        @Test func arenaGrowsByChunks() throws {
            let context = try TestDevice.context()
            let step = max(context.device.baseAddressAlignmentBytes, 512)
            let arena = ChunkedArena(context: context, chunkBytes: [2 * step, step])
            #expect(arena.totalBytes == 3 * step)
            func slice(_ chunk: Int, _ offset: Int, _ byteCount: Int) throws -> DeviceBuffer {
                let place = ChunkedArena.Place(chunk: chunk, offset: offset, byteCount: byteCount)
                let slices = try arena.slices([nil, place])
                #expect(slices[0] == nil)
                return try #require(slices[1])
            }
            let old = try slice(0, step, step)
            let other = try slice(1, 0, step)
            try context.queue.write([Int32(42)], to: old)
            try context.queue.write([Int32(43)], to: other)
            #expect(try context.queue.read(Int32.self, count: 1, from: slice(0, step, 4)) == [42])

            #expect(try !arena.grow(to: [step, step]), "nothing needs to grow")
            #expect(try !arena.grow(to: [step, step, step]), "a new chunk makes no slice stale")
            #expect(arena.totalBytes == 4 * step)
            #expect(try arena.grow(to: [4 * step]))
            #expect(arena.totalBytes == 6 * step)
            let grown = try slice(0, 3 * step, step)
            #expect(try context.queue.read(Int32.self, count: 1, from: grown) == [0])
            #expect(try context.queue.read(Int32.self, count: 1, from: other) == [43], "chunk 1 stayed")
            #expect(try context.queue.read(Int32.self, count: 1, from: old) == [42], "stale, but still memory")
        }

        @Test func arenaChunkOverTheLimitIsAnError() throws {
            let context = try TestDevice.context()
            let limit = context.device.maximumAllocationBytes
            let arena = ChunkedArena(context: context, chunkBytes: [512])
            let error = try TestDevice.error { _ = try arena.grow(to: [limit + 512]) }
            #expect(error.description.contains("\(limit)"))
        }
    }
}
