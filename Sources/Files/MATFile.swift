import AdaShareSupport
import CAdaShareZlib
import Foundation

/// Arrays of numbers in a file of MATLAB 5 to 7.2, such as the small files that come with data sets. Files of MATLAB
/// 7.3 are ``HDF5File``'s.
///
/// Not read through libmatio: that of version 1.5 makes zeros of the values that a damaged array lacks, and says so to
/// nobody.
///
/// - Source: "MAT-File Format", MathWorks.
package struct MATFile {
    /// Numbers by the name of their array, in MATLAB's order: the first axis varies fastest. Of complex numbers the
    /// real parts; text, cells and structures are left out.
    package private(set) var arrays: [String: [Double]] = [:]
    /// Of all arrays of numbers, kept or not.
    package private(set) var names: [String] = []
    private let path: String
    /// Bytes that may still be unpacked.
    private var room = mostBytes

    /// Of a file, of all that is unpacked out of it, and of an array's numbers: larger ones are not made for this.
    private static let mostBytes = 1 << 26
    private static let headerBytes = 128

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - wanted: the arrays to keep; nil for all.
    /// - Throws: `InputError` if it is missing, damaged, too large, or of another kind.
    package init(_ url: URL, arrays wanted: Set<String>? = nil) throws {
        path = url.path
        let (bytes, isLittle) = try Self.contents(of: url)
        var elements = Elements(bytes: bytes[Self.headerBytes...], isLittle: isLittle, file: path)
        while let element = try elements.next() {
            guard element.type == .compressed else {
                try add(element, elements, wanted)
                continue
            }
            let place = "byte \(element.start)"
            var inner = Elements(
                bytes: try inflated(element.data, place)[...], isLittle: isLittle, file: path,
                place: "\(place), unpacked")
            while let element = try inner.next() { try add(element, inner, wanted) }
        }
    }

    /// The bytes, once header and size have been found to be right, and whether low bytes come first.
    private static func contents(of url: URL) throws -> (bytes: [UInt8], isLittle: Bool) {
        try WholeFile.check(url)
        guard let handle = try? FileHandle(forReadingFrom: url), let size = try? handle.seekToEnd(),
            (try? handle.seek(toOffset: 0)) != nil, let data = try? handle.read(upToCount: headerBytes)
        else {
            // Says why it cannot be read; an empty file can.
            let found = try WholeFile.read(url).isEmpty ? "an empty file" : "a file that cannot be read"
            throw InputError(file: url.path, found: found, expected: "a file of MATLAB 5 to 7.2")
        }
        let header = [UInt8](data)
        let mark = header.count == headerBytes ? String(decoding: header[126...], as: UTF8.self) : ""
        guard ["IM", "MI"].contains(mark) else {
            throw InputError(file: url.path, found: "no header of MATLAB 5", expected: "a file of MATLAB 5 to 7.2")
        }
        let version = mark == "IM" ? header[125] : header[124]
        guard version == 1 else {
            throw InputError(
                file: url.path, found: "a file of MATLAB \(version == 2 ? "7.3, which is HDF5" : "version \(version)")",
                expected: "a file of MATLAB 5 to 7.2, as save -v7 writes")
        }
        guard size <= mostBytes else { throw tooLarge(url.path, nil, "a file of \(size) bytes") }
        return ([UInt8](try WholeFile.read(url)), mark == "IM")
    }

    private static func tooLarge(_ file: String, _ place: String?, _ found: String) -> InputError {
        InputError(
            file: file, place: place, found: found,
            expected: "at most \(mostBytes >> 20) MiB: larger files are not made for this")
    }

    private mutating func add(_ element: Elements.Element, _ source: Elements, _ wanted: Set<String>?) throws {
        guard element.type == .matrix else { return }
        var parts = Elements(
            bytes: element.data, isLittle: source.isLittle, file: path, place: source.place)
        let isLittle = source.isLittle
        guard let flags = try parts.next(), let shape = try parts.next(), let label = try parts.next(),
            flags.data.count >= 4, shape.type == .int32
        else { throw damage(parts.place(of: element)) }
        let name = String(decoding: label.data, as: UTF8.self)
        // Classes 6 to 15 are numbers.
        guard 6...15 ~= (isLittle ? flags.data[flags.data.startIndex] : flags.data[flags.data.startIndex + 3]) else {
            return
        }
        names.append(name)
        guard wanted?.contains(name) ?? true else { return }
        let place = "\(name), \(parts.place(of: element))"
        guard let lengths = shape.numbers(isLittle), lengths.allSatisfy({ $0 >= 0 }), let values = try parts.next()
        else {
            throw damage(place)
        }
        // Even bytes become numbers of eight.
        guard values.data.count <= Self.mostBytes / 8 || values.type == .double else {
            throw Self.tooLarge(path, place, "an array of \(values.data.count) bytes")
        }
        guard let numbers = values.numbers(isLittle), Double(numbers.count) == lengths.reduce(1, *) else {
            throw damage(place)
        }
        arrays[name] = numbers
    }

    private func damage(_ place: String) -> InputError {
        InputError(file: path, place: place, found: "a damaged array", expected: "a whole file of MATLAB 5 to 7.2")
    }

    /// What zlib has packed; its size is not in the file.
    private mutating func inflated(_ packed: ArraySlice<UInt8>, _ place: String) throws -> [UInt8] {
        var stream = z_stream()
        guard inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw damage(place)
        }
        defer { inflateEnd(&stream) }
        var (source, result) = (Array(packed), [UInt8]())
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let status = source.withUnsafeMutableBufferPointer { source in
            stream.next_in = source.baseAddress
            stream.avail_in = uInt(source.count)
            while true {
                let (status, count) = chunk.withUnsafeMutableBufferPointer { chunk in
                    stream.next_out = chunk.baseAddress
                    stream.avail_out = uInt(chunk.count)
                    let status = inflate(&stream, Z_NO_FLUSH)
                    return (status, chunk.count - Int(stream.avail_out))
                }
                result += chunk.prefix(count)
                // No progress is an error of zlib's own, so this ends.
                if status != Z_OK || result.count > room { return status }
            }
        }
        guard result.count <= room else {
            throw Self.tooLarge(path, place, "arrays that are more than \(Self.mostBytes >> 20) MiB when unpacked")
        }
        guard status == Z_STREAM_END else { throw damage(place) }
        room -= result.count
        return result
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
        /// Where its tag lies.
        let start: Int
        let data: ArraySlice<UInt8>
    }

    let bytes: ArraySlice<UInt8>
    let isLittle: Bool
    let file: String
    /// What the bytes are, where they are not the file's.
    let place: String?
    private var at: Int

    init(bytes: ArraySlice<UInt8>, isLittle: Bool, file: String, place: String? = nil) {
        (self.bytes, self.isLittle, self.file, self.place) = (bytes, isLittle, file, place)
        at = bytes.startIndex
    }

    func place(of element: Element) -> String { place(element.start) }

    private func place(_ start: Int) -> String { (place.map { "\($0), " } ?? "") + "byte \(start)" }

    /// The next one; nil at the end.
    mutating func next() throws -> Element? {
        func word(_ place: Int) -> UInt32 { UInt32(truncatingIfNeeded: bytes[place..<place + 4].integer(isLittle)) }
        let first = at
        func cut() -> InputError {
            InputError(
                file: file, place: place(first), found: "an element that ends beyond what holds it",
                expected: "a whole file of MATLAB 5 to 7.2")
        }
        guard at < bytes.endIndex else { return nil }
        guard at + 8 <= bytes.endIndex else { throw cut() }
        let tag = word(at)
        if tag >> 16 != 0 {
            // Up to four bytes lie in the tag itself.
            let count = Int(tag >> 16)
            guard count <= 4 else { throw cut() }
            at += 8
            return Element(type: Kind(rawValue: tag & 0xFFFF), start: first, data: bytes[first + 4..<first + 4 + count])
        }
        let (kind, count, start) = (Kind(rawValue: tag), Int(word(at + 4)), at + 8)
        guard count <= bytes.endIndex - start else { throw cut() }
        at = min(bytes.endIndex, start + (kind == .compressed ? count : (count + 7) / 8 * 8))
        return Element(type: kind, start: first, data: bytes[start..<start + count])
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
