/// The type of a NumPy array's elements, as its header describes it: `<f4`, `>i2`, `|u1`, `|b1`.
struct NPYElement {
    /// Bytes of an element.
    let size: Int
    /// `f`, `i`, `u` or `b`.
    private let kind: Character
    private let isBigEndian: Bool

    /// Nil for what is no number of up to 64 bits.
    init?(_ descriptor: String) {
        let parts = Array(descriptor)
        guard parts.count == 3, let size = parts[2].wholeNumberValue,
            ["f2", "f4", "f8", "b1"].contains("\(parts[1])\(size)")
                || (["i", "u"].contains(parts[1]) && [1, 2, 4, 8].contains(size)),
            // Without an order there is one byte.
            ["<", ">"].contains(parts[0]) || (parts[0] == "|" && size == 1)
        else { return nil }
        self.size = size
        kind = parts[1]
        isBigEndian = parts[0] == ">"
    }

    /// The elements as float32.
    ///
    /// - Parameters:
    ///   - bytes: `count` elements.
    ///   - inexact: the error for an integer that float32 does not hold, and its place.
    func decode(
        _ bytes: UnsafeRawBufferPointer, _ count: Int, inexact: (any BinaryInteger, Int) -> any Error
    ) throws -> [Float] {
        func integers<Stored: FixedWidthInteger>(_: Stored.Type) throws -> [Float] {
            try map(bytes, count) { (stored: Stored, at) in
                guard let value = Float(exactly: stored) else { throw inexact(stored, at) }
                return value
            }
        }
        switch (kind, size) {
        case ("f", 2): return map(bytes, count) { (stored: UInt16, _) in Float(Float16(bitPattern: stored)) }
        case ("f", 4) where isBigEndian == (1.bigEndian == 1):
            // The bytes as they are.
            return [Float](unsafeUninitializedCapacity: count) { values, initialized in
                UnsafeMutableRawBufferPointer(values).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[..<(count * size)]))
                initialized = count
            }
        case ("f", 4): return map(bytes, count) { (stored: UInt32, _) in Float(bitPattern: stored) }
        case ("f", _): return map(bytes, count) { (stored: UInt64, _) in Float(Double(bitPattern: stored)) }
        case ("b", _): return map(bytes, count) { (stored: UInt8, _) in stored == 0 ? 0 : 1 }
        case ("i", 1): return try integers(Int8.self)
        case ("i", 2): return try integers(Int16.self)
        case ("i", 4): return try integers(Int32.self)
        case ("i", _): return try integers(Int64.self)
        case (_, 1): return try integers(UInt8.self)
        case (_, 2): return try integers(UInt16.self)
        case (_, 4): return try integers(UInt32.self)
        default: return try integers(UInt64.self)
        }
    }

    private func map<Stored: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer, _ count: Int, _ value: (Stored, Int) throws -> Float
    ) rethrows -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(count)
        for at in 0..<count {
            let stored = bytes.loadUnaligned(fromByteOffset: at * size, as: Stored.self)
            values.append(try value(isBigEndian ? Stored(bigEndian: stored) : Stored(littleEndian: stored), at))
        }
        return values
    }
}
