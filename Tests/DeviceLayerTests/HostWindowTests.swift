import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceLayerTests {
    /// Numbers that the host changes beside the compute queue.
    @Suite(.needsDevice) struct HostWindowTests {
        /// One buffer is lent as it lies where that can be, several pass through host memory: to the same numbers, and
        /// to none beside them.
        @Test(arguments: [[5], [1, 7, 0, 300], [300], [0]]) func numbersAreChangedInPlace(counts: [Int]) throws {
            let context = try TestDevice.context().makeContext(profiling: false)
            let window = try HostWindow(context: context)
            let longest = 512
            let values = counts.indices.map { buffer in (0..<longest).map { Float(1000 * buffer + $0) } }
            let buffers = try values.map { values in
                let buffer = try context.makeBuffer(byteCount: 4 * longest)
                try context.queue.write(values, to: buffer)
                return buffer
            }
            let pieces = Array(zip(buffers, counts)).map { (buffer: $0, count: $1) }
            let before = zip(values, counts).flatMap { $0.prefix($1) }
            #expect(try window.read(pieces, after: try context.queue.marker()) == before)
            try window.change(pieces, after: try context.queue.marker()) { numbers in
                #expect(numbers.count == before.count)
                for index in numbers.indices { numbers[index] += 0.5 }
            }
            for (index, buffer) in buffers.enumerated() {
                let after = try context.queue.read(Float.self, count: longest, from: buffer)
                let expected = values[index].enumerated().map { $1 + ($0 < counts[index] ? 0.5 : 0) }
                #expect(after == expected, "buffer \(index)")
            }
        }
    }
}
