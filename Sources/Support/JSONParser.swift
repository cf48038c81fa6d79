import Foundation

/// Reads JSON into values, each byte once; `JSONDecoder` asks a value whether it is one kind after another, and each
/// refusal costs as much as the value lies deep.
struct JSONParser {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The one value that the bytes are.
    ///
    /// - Throws: `DecodingError` if they are not one JSON value in UTF-8, or have more than `JSONSyntax.deepest` values
    ///   in each other.
    mutating func parse() throws -> JSONValue {
        let value = try value(depth: 0)
        passSpace()
        guard at == bytes.count else { throw wrong("something after it") }
        return value
    }

    private var next: UInt8 { at < bytes.count ? bytes[at] : 0 }

    private func wrong(_ what: String) -> DecodingError {
        .dataCorrupted(DecodingError.Context(codingPath: [], debugDescription: "\(what) at byte \(at)"))
    }

    private mutating func passSpace() {
        while [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n")].contains(next) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte, at < bytes.count else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws -> JSONValue {
        passSpace()
        guard depth < JSONSyntax.deepest else { throw wrong("more than \(JSONSyntax.deepest) values in each other") }
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws -> JSONValue {
        for byte in word.utf8 {
            guard take(byte) else { throw wrong("no value") }
        }
        return value
    }

    private mutating func array(depth: Int) throws -> JSONValue {
        at += 1
        passSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        var values: [JSONValue] = []
        repeat {
            values.append(try value(depth: depth))
            passSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw wrong("no end of an array") }
        return .array(values)
    }

    /// Of a key that is given twice the first value counts.
    private mutating func object(depth: Int) throws -> JSONValue {
        at += 1
        passSpace()
        if take(UInt8(ascii: "}")) { return .object([:]) }
        var members: [String: JSONValue] = [:]
        repeat {
            passSpace()
            guard next == UInt8(ascii: "\"") else { throw wrong("no key") }
            let key = try string()
            passSpace()
            guard take(UInt8(ascii: ":")) else { throw wrong("no colon") }
            let value = try value(depth: depth)
            if members[key] == nil { members[key] = value }
            passSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw wrong("no end of an object") }
        return .object(members)
    }

    // MARK: - Text

    private mutating func string() throws -> String {
        at += 1
        let start = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\"), bytes[at] >= 0x20 {
            at += 1
        }
        if next == UInt8(ascii: "\""), at < bytes.count {
            at += 1
            return try text(UnsafeRawBufferPointer(rebasing: bytes[start..<at - 1]))
        }
        var units = Array(bytes[start..<at])
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return try units.withUnsafeBytes { try text($0) }
            case UInt8(ascii: "\\"): units += try escape()
            case 0..<0x20: throw wrong("a control character")
            default: units.append(byte)
            }
        }
        throw wrong("no end of a text")
    }

    private func text(_ units: UnsafeRawBufferPointer) throws -> String {
        guard let text = String(validating: units, as: UTF8.self) else { throw wrong("bytes that are not UTF-8") }
        return text
    }

    /// The UTF-8 of what stands behind a backslash.
    private mutating func escape() throws -> [UInt8] {
        let byte = next
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"): break
        default: throw wrong("an unknown escape")
        }
        var scalar = try codeUnit()
        if (0xD800..<0xDC00).contains(scalar), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
            let second = try codeUnit()
            guard (0xDC00...0xDFFF).contains(second) else { throw wrong("half a character") }
            scalar = 0x10000 + (scalar - 0xD800) << 10 + (second - 0xDC00)
        }
        guard let known = Unicode.Scalar(scalar) else { throw wrong("half a character") }
        return Array(String(Character(known)).utf8)
    }

    /// Four hexadecimal digits.
    private mutating func codeUnit() throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard next < 0x80, let digit = Character(Unicode.Scalar(next)).hexDigitValue else {
                throw wrong("no hexadecimal digit")
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    // MARK: - Numbers

    private mutating func digits() -> Bool {
        let start = at
        while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) { at += 1 }
        return at > start
    }

    /// A number that is whole and fits is an integer, however it is written.
    private mutating func number() throws -> JSONValue {
        let start = at
        _ = take(UInt8(ascii: "-"))
        // Only 0 itself begins with it.
        guard take(UInt8(ascii: "0")) || digits() else { throw wrong("no value") }
        var isPlain = true
        if take(UInt8(ascii: ".")) {
            isPlain = false
            guard digits() else { throw wrong("no digit") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isPlain = false
            _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
            guard digits() else { throw wrong("no digit") }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isPlain, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw wrong("a number beyond float64") }
        return Int(exactly: number).map { .integer($0) } ?? .number(number)
    }
}
