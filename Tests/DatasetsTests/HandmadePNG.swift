/// A PNG put together by hand, independent of libpng: stored (uncompressed) zlib blocks.
enum HandmadePNG {
    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    static let end = chunk("IEND", [])

    static func file(
        width: Int, height: Int, depth: UInt8, colorType: UInt8, rows: [[UInt8]],
        extra: [(type: String, data: [UInt8])] = []
    ) -> [UInt8] {
        var bytes = signature + header(width, height, depth: depth, colorType: colorType)
        for (type, data) in extra { bytes += chunk(type, data) }
        return bytes + data(rows) + end
    }

    /// A whole IHDR chunk.
    static func header(
        _ width: Int, _ height: Int, depth: UInt8 = 8, colorType: UInt8, interlaced: Bool = false
    ) -> [UInt8] {
        chunk("IHDR", word(width) + word(height) + [depth, colorType, 0, 0, interlaced ? 1 : 0])
    }

    /// A whole IDAT chunk, no row filtered.
    static func data(_ rows: [[UInt8]]) -> [UInt8] {
        let raw: [UInt8] = rows.flatMap { row -> [UInt8] in [0] + row }
        let length = UInt16(raw.count)
        var stream: [UInt8] = [
            0x78, 0x01, 1, UInt8(length & 255), UInt8(length >> 8), UInt8(~length & 255), UInt8(~length >> 8),
        ]
        stream += raw
        var (a, b) = (1, 0)
        for byte in raw {
            a = (a + Int(byte)) % 65521
            b = (b + a) % 65521
        }
        stream += word(b << 16 | a)
        return chunk("IDAT", stream)
    }

    /// An 8-bit grey or RGB file whose pixels come in the seven passes of Adam7.
    static func interlaced(width: Int, height: Int, channels: Int, pixels: [UInt8]) -> [UInt8] {
        let passes = [
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
        ]
        var rows: [[UInt8]] = []
        for (left, top, across, down) in passes where left < width {
            for y in stride(from: top, to: height, by: down) {
                var row: [UInt8] = []
                for x in stride(from: left, to: width, by: across) {
                    row += pixels[(y * width + x) * channels..<(y * width + x + 1) * channels]
                }
                rows.append(row)
            }
        }
        let type: UInt8 = channels == 3 ? 2 : 0
        return signature + header(width, height, colorType: type, interlaced: true) + data(rows) + end
    }

    static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        return word(data.count) + body + word(Int(checksum(body)))
    }

    /// CRC-32 of a chunk's type and data.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }

    static func word(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
