import Foundation
import TestSupport
import Testing

@testable import AdaShareDeviceLayer

/// Root of every suite that uses a device: the tests of one process take turns.
@Suite(.serialized, .needsDevice) struct DeviceLayerTests {}

/// Sources and small tools the tests share.
extension TestDevice {
    /// A context of a test's own: it counts what it builds, has a cache directory or profiles its queue.
    static func freshContext(cache: URL? = nil, profiling: Bool = false) throws -> DeviceContext {
        try DeviceContext(device: try device(), cacheDirectory: cache, profiling: profiling)
    }

    static let source = """
        __kernel void add(__global const float* a, __global const float* b, __global float* y, float scale) {
            size_t i = get_global_id(0);
            y[i] = a[i] + scale * b[i];
        }
        __kernel void number(__global ulong* y, int a, uint b, uint c, __local int* scratch) {
            size_t l = get_local_id(0);
            scratch[l] = a;
            barrier(CLK_LOCAL_MEM_FENCE);
            y[get_global_id(0)] =
                (ulong)(scratch[get_local_size(0) - 1 - l] + OFFSET) + b + ((ulong)c << 32) + get_global_id(0);
        }
        """

    static func program(_ context: DeviceContext, offset: Int = 0) throws -> Program {
        try context.program(name: "sample", source: source, options: ["-DOFFSET=\(offset)"])
    }

    /// Keeps a queue busy for some tenths of a second and leaves a number above 1 in a buffer.
    static func occupy(_ queue: CommandQueue, of context: DeviceContext, result: DeviceBuffer) throws {
        let source = """
            __kernel void slow(__global float* y, int rounds) {
                float x = y[0];
                for (int i = 0; i < rounds; ++i) x = sin(x) + 1.0f;
                y[0] = x;
            }
            """
        let kernel = try context.program(name: "slow", source: source, options: []).kernel("slow")
        try kernel.setArguments([.buffer(result), .int(4_000_000)])
        try queue.launch(kernel, WorkSize(global: [1]))
    }

    /// Runs `number` on 8 work-items in groups of 4 and returns what it wrote.
    static func numbers(_ context: DeviceContext, offset: Int = 0) throws -> [UInt64] {
        let kernel = try program(context, offset: offset).kernel("number")
        let result = try context.makeBuffer(byteCount: 64)
        try kernel.setArguments([
            .buffer(result), .int(-3), .uint(4_000_000_000), .uint(256), .local(byteCount: 16),
        ])
        try context.queue.launch(kernel, WorkSize(global: [8], local: [4]))
        return try context.queue.read(UInt64.self, count: 8, from: result)
    }

    static func expectedNumbers(offset: Int = 0) -> [UInt64] {
        (0..<8).map { UInt64(Int64(offset) - 3 + 4_000_000_000 + (1 << 40) + $0) }
    }

    /// The error a body throws.
    static func error(_ body: () throws -> Void) throws -> DeviceError {
        try #require(throws: DeviceError.self, performing: body)
    }
}
