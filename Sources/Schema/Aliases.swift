import Yams

/// What aliases may do: each stands for a value, which may hold aliases itself, so that a few lines can stand for more
/// values than any memory has.
enum Aliases {
    /// So many, each within the value of another, make few values whatever they are.
    private static let few = 12
    /// Values of a file, those that aliases stand for included.
    private static let mostValues = 100_000

    /// What is wrong with a text before it is parsed; nil where nothing is. The parser compares keys, and those that
    /// are not words with everything in them.
    static func fault(in text: String) -> String? {
        let bytes = Array(text.utf8)
        guard bytes.count(where: { $0 == UInt8(ascii: "*") }) > few else { return nil }
        let (space, tab) = (UInt8(ascii: " "), UInt8(ascii: "\t"))
        for (at, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "?"):
                // As an indicator it begins a key of any kind.
                let before = at == 0 ? space : bytes[at - 1]
                if before <= space || "[{,:-".utf8.contains(before) { return "a key that may be an alias" }
            case UInt8(ascii: ":"):
                var end = at
                while end > 0, bytes[end - 1] == space || bytes[end - 1] == tab { end -= 1 }
                guard end > 0 else { continue }
                if bytes[end - 1] == UInt8(ascii: "]") || bytes[end - 1] == UInt8(ascii: "}") {
                    return "a list or mapping as a key"
                }
                // The word before the colon.
                var start = end
                while start > 0, bytes[start - 1] > space, !"[]{},".utf8.contains(bytes[start - 1]) { start -= 1 }
                if start < end, bytes[start] == UInt8(ascii: "*") { return "an alias as a key" }
            default: continue
            }
        }
        return nil
    }

    /// Whether a tree has more values than a file may have.
    static func areTooMany(in root: Node) -> Bool {
        var left = mostValues
        var waiting = [root]
        while let node = waiting.popLast() {
            left -= 1
            switch node {
            case .mapping(let mapping):
                left -= mapping.count
                for (key, value) in mapping {
                    // Words need no further look.
                    if key.scalar == nil { waiting.append(key) }
                    waiting.append(value)
                }
            case .sequence(let items): waiting += items
            case .scalar, .alias: break
            }
            if left < waiting.count { return true }
        }
        return false
    }

    /// What a message asks for.
    static let expected = "words as keys, and at most \(mostValues) values with those that aliases stand for"
}
