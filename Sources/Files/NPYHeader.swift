import AdaShareSupport
import Foundation

/// The header of a NumPy array file: a Python dictionary literal after a magic string, a version and a length.
///
/// - Source: NumPy's documented format: `\x93NUMPY`, major, minor, header length (two bytes in version 1, four in 2 and
///   3, little-endian), then `{'descr': '<f4', 'fortran_order': False, 'shape': (480, 640), }` padded to 64 bytes.
struct NPYHeader {
    var descriptor: String
    var fortranOrder: Bool
    var shape: [Int]
    /// Bytes before the first element.
    var byteCount: Int

    /// Bytes of a dictionary: NumPy itself trusts none of more than 10,000.
    private static let longest = 65_535

    /// Parses the start of a file.
    ///
    /// - Throws: `InputError` if it is not an NPY header of version 1 to 3 with all three keys.
    init(_ data: Data, path: String) throws {
        let bytes = [UInt8](data.prefix(12))
        guard bytes.count >= 10, bytes.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) else {
            throw InputError(
                file: path, found: "\(data.count) bytes without the NPY signature", expected: "a NumPy array")
        }
        guard (1...3).contains(bytes[6]) else {
            throw InputError(file: path, found: "NPY version \(bytes[6]).\(bytes[7])", expected: "1, 2 or 3")
        }
        let lengthSize = bytes[6] == 1 ? 2 : 4
        let length = bytes.dropFirst(8).prefix(lengthSize).reversed().reduce(0) { $0 << 8 | Int($1) }
        byteCount = 8 + lengthSize + length
        guard bytes.count >= 8 + lengthSize, byteCount <= data.count else {
            throw InputError(
                file: path, found: "a truncated NPY of \(data.count) bytes",
                expected: "\(byteCount) for its header alone")
        }
        guard length <= Self.longest else {
            throw InputError(
                file: path, found: "an NPY header of \(length) bytes", expected: "at most \(Self.longest)")
        }
        let text = String(decoding: data.dropFirst(8 + lengthSize).prefix(length), as: UTF8.self)
        let parsed = Self.quoted("descr", in: text)
        guard let parsed, let order = Self.value("fortran_order", in: text), let axes = Self.tuple("shape", in: text),
            order.hasPrefix("True") || order.hasPrefix("False")
        else {
            throw InputError(
                file: path, found: "the NPY header '\(text.trimmingCharacters(in: .whitespacesAndNewlines))'",
                expected: "a dictionary with a plain 'descr', 'fortran_order' and 'shape'")
        }
        descriptor = parsed
        fortranOrder = order.hasPrefix("True")
        shape = axes
    }

    /// A version 1.0 header, padded so that the elements begin at a multiple of 64 bytes.
    static func encode(descriptor: String, shape: [Int]) -> Data {
        let axes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        var text = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(axes)), }"
        text += String(repeating: " ", count: 63 - (10 + text.utf8.count) % 64) + "\n"
        let length = text.utf8.count
        return Data(
            [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(length & 255), UInt8(length >> 8)] + Array(text.utf8))
    }

    /// The text that follows `'key':`.
    private static func value(_ key: String, in text: String) -> Substring? {
        guard let range = text.range(of: "'\(key)'") ?? text.range(of: "\"\(key)\"") else { return nil }
        let rest = text[range.upperBound...].drop { $0 == " " }
        guard rest.first == ":" else { return nil }
        return rest.dropFirst().drop { $0 == " " }
    }

    private static func quoted(_ key: String, in text: String) -> String? {
        guard let rest = value(key, in: text), let quote = rest.first, quote == "'" || quote == "\"" else { return nil }
        let body = rest.dropFirst()
        guard let end = body.firstIndex(of: quote) else { return nil }
        return String(body[..<end])
    }

    private static func tuple(_ key: String, in text: String) -> [Int]? {
        guard let rest = value(key, in: text), rest.first == "(", let end = rest.firstIndex(of: ")") else { return nil }
        var axes: [Int] = []
        for part in rest[rest.index(after: rest.startIndex)..<end].split(separator: ",") {
            let part = part.trimmingCharacters(in: .whitespaces)
            if part.isEmpty { continue }
            guard let axis = Int(part), axis >= 0 else { return nil }
            axes.append(axis)
        }
        return axes
    }
}
