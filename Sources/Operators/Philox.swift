import AdaShareSupport

/// Philox 4x32-10, the counter-based generator behind every random number of a run.
///
/// - Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Kernel: `random.cl`.
public enum Philox {
    /// The four words at one counter.
    public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var c = counter
        var k = key
        for _ in 0..<10 {
            let first = c[0].multipliedFullWidth(by: 0xD251_1F53)
            let second = c[2].multipliedFullWidth(by: 0xCD9E_8D57)
            c = SIMD4(second.high ^ c[1] ^ k[0], second.low, first.high ^ c[3] ^ k[1], first.low)
            k = SIMD2(k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85)
        }
        return c
    }

    /// A uniform in (0, 1) from 23 random bits, (k + ½)·2⁻²³: exact in float32, never 0 or 1.
    public static func uniform(_ word: UInt32) -> Float { (Float(word >> 9) + 0.5) * 0x1p-23 }

    /// What `UniformNoise` draws on the device: [rows, columns] uniforms.
    public static func uniforms(rows: Int, columns: Int, name: String, state: StepState) -> [Float] {
        let key = state.seed ^ nameHash(name)
        let halves = SIMD2(UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
        return (0..<rows).flatMap { row in
            let words = (0..<(columns + 3) / 4).map { part in
                block(counter: SIMD4(UInt32(row), state.step, state.phase, UInt32(part)), key: halves)
            }
            return (0..<columns).map { uniform(words[$0 / 4][$0 % 4]) }
        }
    }

    /// Stable 64-bit hash of an operation's name (FNV-1a).
    public static func nameHash(_ name: String) -> UInt64 {
        FNV1a.hash(of: name)
    }
}
