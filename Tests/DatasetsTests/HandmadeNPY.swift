/// A NumPy array file put together by hand.
enum HandmadeNPY {
    static func file(_ dictionary: String, version: UInt8 = 1, elements: [UInt8]) -> [UInt8] {
        let text = Array((dictionary + "\n").utf8)
        let length = (0..<(version > 1 ? 4 : 2)).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
        return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + text + elements
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
