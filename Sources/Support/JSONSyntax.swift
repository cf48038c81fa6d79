/// Whether bytes are JSON, told without making values of them: files of long runs are large.
package enum JSONSyntax {
    /// Whether the bytes are one object by JSON's grammar, and nothing else. `JSONValue.parse` also refuses numbers and
    /// surrogates that no value can have.
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

        /// Deeper is no line of ours.
        private static let deepest = 64

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
            guard depth < Self.deepest else { return false }
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
            for _ in 0..<4 {
                guard next < 0x80, Character(Unicode.Scalar(next)).isHexDigit else { return false }
                at += 1
            }
            return true
        }

        private mutating func word(_ word: String) -> Bool { word.utf8.allSatisfy { take($0) } }

        private mutating func digits() -> Bool {
            let start = at
            while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) { at += 1 }
            return at > start
        }

        private mutating func number() -> Bool {
            _ = take(UInt8(ascii: "-"))
            // Only 0 itself begins with it.
            guard take(UInt8(ascii: "0")) || digits() else { return false }
            if take(UInt8(ascii: ".")), !digits() { return false }
            guard take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) else { return true }
            _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
            return digits()
        }
    }
}
