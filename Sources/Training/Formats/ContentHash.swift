import Foundation

/// A 64-bit hash that notices every change of a single byte: files of one checkpoint vouch for each other.
///
/// FNV-1a over 8-byte words. Each step is invertible, so two contents that differ in one word never meet. It guards
/// against damage, not against an attacker.
enum ContentHash {
    static func text(_ data: Data) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01B3 }
        data.withUnsafeBytes { bytes in
            let words = bytes.count / 8
            for i in 0..<words { add(bytes.loadUnaligned(fromByteOffset: i * 8, as: UInt64.self)) }
            for i in (words * 8)..<bytes.count { add(UInt64(bytes[i])) }
        }
        add(UInt64(data.count))
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
