/// Whether bytes are JSON, told without making values of them: files of long runs are large.
package enum JSONSyntax {
    /// Values in each other: no file of ours has as many.
    package static let deepest = 64

    /// Whether arrays and objects nest at most so deep as `JSONValue.parse` takes; of no JSON it says nothing. Readers
    /// take time that grows with the square of the depth.
    package static func isShallow(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var (depth, at) = (0, 0)
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= deepest else { return false }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "\""):
                at += 1
                while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
                    at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1
                }
            default: break
            }
            at += 1
        }
        return true
    }

    /// Whether the bytes are one object and nothing else, as `JSONValue.parse` takes it: numbers are finite, and
    /// surrogates come in pairs.
    package static func isObject(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var reader = Reader(bytes: bytes)
        guard reader.value(depth: 0), reader.begins == UInt8(ascii: "{") else { return false }
        reader.passSpace()
        return reader.at == bytes.count
            && (!reader.isBeyondASCII || String(validating: bytes, as: UTF8.self) != nil)
    }

    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var at = 0
        /// The first byte of the outermost value.
        var begins: UInt8 = 0
        var isBeyondASCII = false

        private var next: UInt8 { at < bytes.count ? bytes[at] : 0 }

        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        mutating func passSpace() {
            while true {
                switch next {
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): at += 1
                default: return
                }
            }
        }

        private mutating func take(_ byte: UInt8) -> Bool {
            guard next == byte else { return false }
            at += 1
            return true
        }

        mutating func value(depth: Int) -> Bool {
            passSpace()
            if depth == 0 { begins = next }
            guard depth < JSONSyntax.deepest else { return false }
            switch next {
            case UInt8(ascii: "{"): return list(to: UInt8(ascii: "}")) { $0.member(depth: depth + 1) }
            case UInt8(ascii: "["): return list(to: UInt8(ascii: "]")) { $0.value(depth: depth + 1) }
            case UInt8(ascii: "\""): return string()
            case UInt8(ascii: "t"): return word("true")
            case UInt8(ascii: "f"): return word("false")
            case UInt8(ascii: "n"): return word("null")
            default: return number()
            }
        }

        /// What stands between brackets, its parts between commas.
        private mutating func list(to end: UInt8, _ part: (inout Reader) -> Bool) -> Bool {
            at += 1
            passSpace()
            if take(end) { return true }
            repeat {
                guard part(&self) else { return false }
                passSpace()
            } while take(UInt8(ascii: ","))
            return take(end)
        }

        private mutating func member(depth: Int) -> Bool {
            passSpace()
            guard next == UInt8(ascii: "\""), string() else { return false }
            passSpace()
            return take(UInt8(ascii: ":")) && value(depth: depth)
        }

        private mutating func string() -> Bool {
            at += 1
            while at < bytes.count {
                let byte = bytes[at]
                at += 1
                switch byte {
                case UInt8(ascii: "\""): return true
                case UInt8(ascii: "\\"): guard escape() else { return false }
                case 0..<0x20: return false
                default: if byte >= 0x80 { isBeyondASCII = true }
                }
            }
            return false
        }

        private mutating func escape() -> Bool {
            let byte = next
            at += 1
            guard byte == UInt8(ascii: "u") else { return "\"\\/bfnrt".utf8.contains(byte) }
            guard let unit = codeUnit() else { return false }
            guard (0xD800...0xDFFF).contains(unit) else { return true }
            // Two of them are one character.
            guard unit < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let second = codeUnit() else {
                return false
            }
            return (0xDC00...0xDFFF).contains(second)
        }

        /// Four hexadecimal digits.
        private mutating func codeUnit() -> Int? {
            var value = 0
            for _ in 0..<4 {
                guard next < 0x80, let digit = Character(Unicode.Scalar(next)).hexDigitValue else { return nil }
                value = 16 * value + digit
                at += 1
            }
            return value
        }

        private mutating func word(_ word: String) -> Bool { word.utf8.allSatisfy { take($0) } }

        private mutating func digits() -> Bool {
            let start = at
            while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) { at += 1 }
            return at > start
        }

        /// A number by the grammar, and finite.
        private mutating func number() -> Bool {
            let start = at
            _ = take(UInt8(ascii: "-"))
            // Only 0 itself begins with it.
            guard take(UInt8(ascii: "0")) || digits() else { return false }
            if take(UInt8(ascii: ".")), !digits() { return false }
            var exponent = at
            if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
                _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
                exponent = at
                guard digits() else { return false }
            }
            // So few digits are finite.
            guard at - exponent > 2 || at - start > 100 else { return true }
            return Double(String(decoding: bytes[start..<at], as: UTF8.self))?.isFinite ?? false
        }
    }
}
