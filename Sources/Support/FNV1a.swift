/// FNV-1a, a 64-bit hash that is the same on every platform and in every version: each step is invertible.
///
/// - Source: Fowler, Noll, Vo; RFC 9923.
package struct FNV1a {
    /// Of what has been added.
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    /// Of nothing.
    package init() {}

    /// Adds a byte, or a longer word in one step.
    package mutating func add(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01B3 }

    /// Of a name, byte by byte in UTF-8.
    package static func hash(of name: String) -> UInt64 {
        var result = FNV1a()
        for byte in name.utf8 { result.add(UInt64(byte)) }
        return result.hash
    }
}
