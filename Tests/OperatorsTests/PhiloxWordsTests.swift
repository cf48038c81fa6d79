import AdaShareDeviceLayer
import Reference
import TestSupport
import Testing

@testable import AdaShareOperators

extension OperatorsTests {
    /// The generator every kernel draws from, by a kernel of the test's own that writes its raw words.
    @Suite struct PhiloxWordsTests {
        private static let kernel = """
            __kernel void philox(__global const uint *counters, __global uint *words) {
                const int i = (int)get_global_id(0);
                uint c0 = counters[6 * i], c1 = counters[6 * i + 1], c2 = counters[6 * i + 2], c3 = counters[6 * i + 3];
                uint k0 = counters[6 * i + 4], k1 = counters[6 * i + 5];
                PHILOX_ROUNDS(uint)
                words[4 * i] = c0;
                words[4 * i + 1] = c1;
                words[4 * i + 2] = c2;
                words[4 * i + 3] = c3;
            }
            """

        /// The words of some counters and keys, six numbers each.
        private func words(_ counters: [[UInt32]], _ family: KernelFamily) throws -> [UInt32] {
            let context = try TestDevice.library(family).context
            let program = try context.program(
                name: "philox", source: KernelLibrary.source("prelude") + Self.kernel,
                options: ["-DCPU_FAMILY=\(family == .cpu ? 1 : 0)"])
            let kernel = try program.kernel("philox")
            let input = try context.makeBuffer(byteCount: counters.count * 24)
            let output = try context.makeBuffer(byteCount: counters.count * 16)
            try context.queue.write(counters.flatMap { $0 }, to: input)
            try kernel.setArguments([.buffer(input), .buffer(output)])
            try context.queue.launch(kernel, WorkSize(global: [counters.count]))
            return try context.queue.read(UInt32.self, count: counters.count * 4, from: output)
        }

        @Test(arguments: TestDevice.families)
        func wordsAreThePublishedOnes(family: KernelFamily) throws {
            let known: [(counter: [UInt32], words: [UInt32])] = [
                ([0, 0, 0, 0, 0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
                (Array(repeating: .max, count: 6), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
                (
                    [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344, 0xa409_3822, 0x299f_31d0],
                    [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
                ),
            ]
            let others = (0..<20).map { row in (0..<6).map { UInt32(truncatingIfNeeded: (row * 6 + $0) &* 0x9E37_79B1) }
            }
            let counters = known.map(\.counter) + others
            let words = try words(counters, family)
            #expect(try words == self.words(counters, family))
            for (row, vector) in known.enumerated() { #expect(Array(words[row * 4..<row * 4 + 4]) == vector.words) }
            for (row, counter) in counters.enumerated() {
                let (first, key) = (Array(counter[..<4]), Array(counter[4...]))
                #expect(Array(words[row * 4..<row * 4 + 4]) == Reference.philox4x32(counter: first, key: key))
                #expect(words[row * 4..<row * 4 + 4] != Reference.philox4x32(counter: first, key: key, rounds: 9)[...])
                let host = Philox.block(
                    counter: SIMD4(first[0], first[1], first[2], first[3]), key: SIMD2(key[0], key[1]))
                #expect(Array(words[row * 4..<row * 4 + 4]) == [host[0], host[1], host[2], host[3]])
            }
        }
    }
}
