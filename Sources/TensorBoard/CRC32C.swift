/// The checksum of records: CRC-32 with Castagnoli's polynomial, bits reflected.
///
/// - Source: Castagnoli, Bräuer and Herrmann 1993; RFC 3720, section 12.1 and appendix B.4.
enum CRC32C {
    /// What a byte contributes, by its place among eight that are taken at once, from the last.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var remainder = UInt32(byte)
            for _ in 0..<8 { remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1 }
            tables[byte] = remainder
        }
        for entry in 256..<tables.count {
            let before = tables[entry - 256]
            tables[entry] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()

    /// The checksum of some bytes.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { tables in
            var remainder = UInt32.max
            var at = 0
            while at + 8 <= bytes.count {
                let low = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) ^ remainder
                let high = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self))
                remainder = 0
                for byte in 0..<4 {
                    remainder ^= tables[(7 - byte) * 256 + Int(low >> (8 * UInt32(byte)) & 0xFF)]
                    remainder ^= tables[(3 - byte) * 256 + Int(high >> (8 * UInt32(byte)) & 0xFF)]
                }
                at += 8
            }
            for byte in bytes[at...] { remainder = remainder >> 8 ^ tables[Int((remainder ^ UInt32(byte)) & 0xFF)] }
            return ~remainder
        }
    }

    /// The same as records carry it: turned and moved, since the checksum of bytes with their own checksum says little.
    static func masked(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let sum = checksum(bytes)
        return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
    }
}
