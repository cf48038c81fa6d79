import Foundation

/// A 64-bit hash that notices every change of a single byte: files of one checkpoint vouch for each other.
///
/// FNV-1a over 8-byte words. Each step is invertible, so two contents that differ in one word never meet. It guards
/// against damage, not against an attacker.
package struct ContentHash {
    private var sum = FNV1a()
    /// Bytes that have not made a word yet, and how many they are.
    private var (rest, restCount): (UInt64, Int) = (0, 0)
    private var count = 0

    /// Of contents in pieces, however they are cut.
    package static func text(_ chunks: [Data]) -> String {
        var hash = ContentHash()
        for chunk in chunks { hash.append(chunk) }
        return hash.text
    }

    package static func text(_ data: Data) -> String { text([data]) }

    private mutating func append(_ data: Data) {
        count += data.count
        data.withUnsafeBytes { bytes in
            var next = 0
            while restCount > 0, next < bytes.count { push(bytes[next], &next) }
            let words = (bytes.count - next) / 8
            for i in 0..<words { add(bytes.loadUnaligned(fromByteOffset: next + i * 8, as: UInt64.self)) }
            next += words * 8
            while next < bytes.count { push(bytes[next], &next) }
        }
    }

    private mutating func push(_ byte: UInt8, _ next: inout Int) {
        rest |= UInt64(byte) << (8 * UInt64(restCount))
        restCount += 1
        next += 1
        guard restCount == 8 else { return }
        add(rest)
        (rest, restCount) = (0, 0)
    }

    private mutating func add(_ word: UInt64) { sum.add(word) }

    private var text: String {
        var end = self
        for i in 0..<restCount { end.add(rest >> (8 * UInt64(i)) & 0xFF) }
        end.add(UInt64(count))
        let digits = String(end.sum.hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
