import AdaShareSupport
import CAdaShareZlib
import Foundation

/// Arrays of numbers in a file of MATLAB 5 to 7.2, such as the small files that come with data sets. Files of MATLAB
/// 7.3 are ``HDF5File``'s.
///
/// - Source: "MAT-File Format", MathWorks.
package struct MATFile {
    /// Numbers by the name of their array, in MATLAB's order: the first axis varies fastest. Of complex numbers the
    /// real parts; text, cells and structures are left out.
    package private(set) var arrays: [String: [Double]] = [:]
    private let path: String

    /// A whole file is read: larger ones are not made for this.
    private static let mostBytes = 1 << 26

    /// Reads a file.
    ///
    /// - Throws: `InputError` if it is missing, damaged, or of another kind.
    package init(_ url: URL) throws {
        path = url.path
        let bytes = [UInt8](try WholeFile.read(url))
        guard bytes.count >= 128, bytes.count <= Self.mostBytes, ["IM", "MI"].contains(Self.mark(bytes)) else {
            throw InputError(file: path, found: "no header of MATLAB 5", expected: "a file of MATLAB 5 to 7.2")
        }
        let isLittle = Self.mark(bytes) == "IM"
        let version = isLittle ? bytes[125] : bytes[124]
        guard version == 1 else {
            throw InputError(
                file: path, found: "a file of MATLAB \(version == 2 ? "7.3, which is HDF5" : "version \(version)")",
                expected: "a file of MATLAB 5 to 7.2, as save -v7 writes")
        }
        var elements = Elements(bytes: bytes, at: 128, isLittle: isLittle)
        while let element = try elements.next(in: path) {
            guard element.type == .compressed else {
                try add(element, isLittle)
                continue
            }
            var inner = Elements(bytes: try inflated(element.data), at: 0, isLittle: isLittle)
            while let element = try inner.next(in: path) { try add(element, isLittle) }
        }
    }

    private static func mark(_ bytes: [UInt8]) -> String { String(decoding: bytes[126..<128], as: UTF8.self) }

    private mutating func add(_ element: Elements.Element, _ isLittle: Bool) throws {
        guard element.type == .matrix else { return }
        var parts = Elements(bytes: Array(element.data), at: 0, isLittle: isLittle)
        guard let flags = try parts.next(in: path), let shape = try parts.next(in: path),
            let name = try parts.next(in: path), flags.data.count >= 4, shape.type == .int32
        else { throw damage }
        // Classes 6 to 15 are numbers.
        guard 6...15 ~= (isLittle ? flags.data[flags.data.startIndex] : flags.data[flags.data.startIndex + 3]),
            let values = try parts.next(in: path)
        else { return }
        guard let lengths = shape.numbers(isLittle), let numbers = values.numbers(isLittle),
            lengths.allSatisfy({ $0 >= 0 }), Double(numbers.count) == lengths.reduce(1, *)
        else { throw damage }
        arrays[String(decoding: name.data, as: UTF8.self)] = numbers
    }

    private var damage: InputError {
        InputError(file: path, found: "a damaged array", expected: "a whole file of MATLAB 5 to 7.2")
    }

    /// What zlib has packed; its size is not in the file.
    private func inflated(_ packed: ArraySlice<UInt8>) throws -> [UInt8] {
        var room = max(1024, 4 * packed.count)
        while room <= Self.mostBytes {
            var (bytes, count) = ([UInt8](repeating: 0, count: room), uLongf(room))
            let status = packed.withUnsafeBufferPointer { source in
                uncompress(&bytes, &count, source.baseAddress, uLong(source.count))
            }
            if status == Z_OK { return Array(bytes.prefix(Int(count))) }
            guard status == Z_BUF_ERROR else { break }
            room *= 4
        }
        throw damage
    }
}

/// The elements of a stretch of bytes, one after another.
private struct Elements {
    enum Kind: UInt32 {
        case int8 = 1
        case uint8, int16, uint16, int32, uint32, single
        case double = 9
        case int64 = 12
        case uint64, matrix, compressed
    }

    struct Element {
        /// nil for one that nothing here reads.
        let type: Kind?
        let data: ArraySlice<UInt8>
    }

    let bytes: [UInt8]
    var at: Int
    let isLittle: Bool

    /// The next one; nil at the end.
    mutating func next(in file: String) throws -> Element? {
        func word(_ place: Int) -> UInt32 { UInt32(truncatingIfNeeded: bytes[place..<place + 4].integer(isLittle)) }
        func cut() -> InputError {
            InputError(
                file: file, found: "an element that ends beyond the file", expected: "a whole file of MATLAB 5 to 7.2")
        }
        guard at < bytes.count else { return nil }
        guard at + 8 <= bytes.count else { throw cut() }
        let tag = word(at)
        if tag >> 16 != 0 {
            // Up to four bytes lie in the tag itself.
            let count = Int(tag >> 16)
            guard count <= 4 else { throw cut() }
            let start = at + 4
            at += 8
            return Element(type: Kind(rawValue: tag & 0xFFFF), data: bytes[start..<start + count])
        }
        let (kind, count, start) = (Kind(rawValue: tag), Int(word(at + 4)), at + 8)
        guard count <= bytes.count - start else { throw cut() }
        at = min(bytes.count, start + (kind == .compressed ? count : (count + 7) / 8 * 8))
        return Element(type: kind, data: bytes[start..<start + count])
    }
}

extension Elements.Element {
    /// Its numbers; nil where it holds none.
    func numbers(_ isLittle: Bool) -> [Double]? {
        func each(_ size: Int, _ read: (UInt64) -> Double) -> [Double]? {
            guard data.count.isMultiple(of: size) else { return nil }
            return stride(from: data.startIndex, to: data.endIndex, by: size).map {
                read(data[$0..<$0 + size].integer(isLittle))
            }
        }
        switch type {
        case .int8: return each(1) { Double(Int8(truncatingIfNeeded: $0)) }
        case .uint8: return each(1) { Double($0) }
        case .int16: return each(2) { Double(Int16(truncatingIfNeeded: $0)) }
        case .uint16: return each(2) { Double($0) }
        case .int32: return each(4) { Double(Int32(truncatingIfNeeded: $0)) }
        case .uint32: return each(4) { Double($0) }
        case .single: return each(4) { Double(Float(bitPattern: UInt32(truncatingIfNeeded: $0))) }
        case .double: return each(8) { Double(bitPattern: $0) }
        case .int64: return each(8) { Double(Int64(bitPattern: $0)) }
        case .uint64: return each(8) { Double($0) }
        case .matrix, .compressed, nil: return nil
        }
    }
}

extension ArraySlice<UInt8> {
    /// An unsigned integer of at most eight bytes.
    fileprivate func integer(_ isLittle: Bool) -> UInt64 {
        (isLittle ? Array(reversed()) : Array(self)).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
