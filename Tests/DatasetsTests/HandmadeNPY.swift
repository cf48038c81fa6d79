/// A NumPy array file put together by hand.
enum HandmadeNPY {
    static func file(_ dictionary: String, version: UInt8 = 1, elements: [UInt8]) -> [UInt8] {
        let text = Array((dictionary + "\n").utf8)
        let length = text.count
        var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0, UInt8(length & 255), UInt8(length >> 8)]
        if version > 1 { bytes += [0, 0] }
        return bytes + text + elements
    }

    /// Integers in little-endian order.
    static func file<Element: FixedWidthInteger>(
        _ descriptor: String, _ shape: [Int], _ values: [Element], columnMajor: Bool = false
    ) -> [UInt8] {
        let axes = shape.map { "\($0), " }.joined()
        return file(
            "{'descr': '\(descriptor)', 'fortran_order': \(columnMajor ? "True" : "False"), 'shape': (\(axes)), }",
            elements: values.flatMap { value in
                (0..<Element.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            })
    }
}
