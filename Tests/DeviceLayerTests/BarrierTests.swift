import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceLayerTests {
    /// The loop of the GPU family's convolutions: two buffers in local memory, one barrier a step, the same number of
    /// steps for all items of a group, and no item that leaves early.
    @Suite struct BarrierTests {
        /// y[group, item] = Σ over steps of what the item's neighbour loaded, times the step; with `nested`, through a
        /// barrier in a function that is called under a condition all items agree on.
        private static let source = """
            static inline float exchange(__local float* registers, float value) {
                const int item = get_local_id(0), count = get_local_size(0);
                registers[item] = value;
                barrier(CLK_LOCAL_MEM_FENCE);
                const float other = registers[(item + 1) % count];
                barrier(CLK_LOCAL_MEM_FENCE);
                return other;
            }
            __kernel void staged(__global const float* x, __global float* y, int limit, int nested) {
                __local float buffers[2][64];
                __local float registers[64];
                const int item = get_local_id(0), count = get_local_size(0), group = get_group_id(0);
                const int steps = min(limit, (group + 1) * limit / 2);
                float sum = 0.0f;
                for (int number = -1; number < steps; ++number) {
                    float next = 0.0f;
                    if (number + 1 < steps) next = x[(group * limit + number + 1) * count + item];
                    if (number >= 0) {
                        float value = buffers[number & 1][(item + 1) % count];
                        if (nested) value = exchange(registers, buffers[number & 1][item]);
                        sum += value * (number + 1);
                    }
                    if (number + 1 < steps) buffers[(number + 1) & 1][item] = next;
                    barrier(CLK_LOCAL_MEM_FENCE);
                }
                y[group * count + item] = sum;
            }
            """

        @Test(arguments: [0, 1, 2, 7], [false, true])
        func stagedLoops(limit: Int, isNested: Bool) throws {
            let (context, items, groups) = (try TestDevice.context(), 64, 3)
            let x = (0..<groups * max(1, limit) * items).map { Float($0 * 37 % 101) - 50 }
            let buffers = try [x.count, groups * items].map { try context.makeBuffer(byteCount: $0 * 4) }
            try context.queue.write(x, to: buffers[0])
            let kernel = try context.program(name: "staged", source: Self.source, options: []).kernel("staged")
            try kernel.setArguments([
                .buffer(buffers[0]), .buffer(buffers[1]), .int(Int32(limit)), .int(isNested ? 1 : 0),
            ])
            try context.queue.launch(kernel, WorkSize(global: [groups * items], local: [items]))
            let found = try context.queue.read(Float.self, count: groups * items, from: buffers[1])
            for group in 0..<groups {
                let steps = min(limit, (group + 1) * limit / 2)
                // What an item would have without the barrier that lets it see its neighbour's value.
                var ownSums: [Float] = []
                for item in 0..<items {
                    func sum(of item: Int) -> Float {
                        (0..<steps).reduce(0) { $0 + x[(group * limit + $1) * items + item] * Float($1 + 1) }
                    }
                    #expect(found[group * items + item] == sum(of: (item + 1) % items), "group \(group), item \(item)")
                    ownSums.append(sum(of: item))
                }
                let own = Array(found[group * items..<(group + 1) * items])
                #expect(steps == 0 || own != ownSums, "negative control: group \(group)")
            }
        }
    }
}
