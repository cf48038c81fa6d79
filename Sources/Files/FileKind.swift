import AdaShareSupport
import Foundation

/// What a file is that was taken for safetensors.
struct FileKind {
    /// What a message says was found, and what to do.
    let found, expected: String

    /// Looks at the first bytes; nil where they say nothing.
    init?(_ data: Data) {
        func begins(_ bytes: [UInt8]) -> Bool { data.starts(with: bytes) }
        let archive =
            "safetensors: `tools/pickle-to-safetensors FILE OUTPUT` makes them of it, nothing is unpickled here"
        if begins(Array("version https://git-lfs".utf8)) {
            self.init(
                "a pointer of Git's large-file storage: the file itself was not downloaded",
                "the file, which `git lfs pull` fetches")
        } else if begins([0x50, 0x4B, 3, 4]) {
            self.init("a ZIP archive, as PyTorch saves weights", archive)
        } else if begins([0x80, 2]) || begins([0x80, 3]) || begins([0x80, 4]) {
            self.init("a pickle, as PyTorch once saved weights", archive)
        } else if begins([0x89, 0x48, 0x44, 0x46]) {
            self.init("an HDF5 file", "a safetensors file")
        } else if begins([0x1F, 0x8B]) {
            self.init("a file packed by gzip", "the safetensors file in it")
        } else if begins(Array("GGUF".utf8)) {
            self.init("a GGUF file", "a safetensors file")
        } else if begins([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) {
            self.init("a NumPy array", "a safetensors file")
        } else if data.count > 3, begins([8]), (3...32).contains(data[data.startIndex + 1]),
            [0x12, 0x3A, 0x42].contains(data[data.startIndex + 2])
        {
            // Field 1, the version of the form, then a string or the graph: as PyTorch and the onnx package write them.
            self.init("an ONNX model", "a safetensors file: of the weights, before they were exported")
        } else if begins([0x89, 0x50, 0x4E, 0x47]) || begins([0xFF, 0xD8, 0xFF]) {
            self.init("an image", "a safetensors file")
        } else if let text = Self.text(data) {
            self.init("text (\"\(text)\")", "a safetensors file")
        } else {
            return nil
        }
    }

    private init(_ found: String, _ expected: String) { (self.found, self.expected) = (found, expected) }

    /// The beginning of the first line, if what there is is text.
    private static func text(_ data: Data) -> String? {
        let head = data.prefix(512)
        guard head.allSatisfy({ $0 >= 0x20 || (9...13).contains($0) }) else { return nil }
        // A letter may be cut at the end.
        let text = (0..<4).lazy.compactMap { String(data: head.dropLast($0), encoding: .utf8) }.first
        guard let line = text?.split(whereSeparator: \.isNewline).first else { return nil }
        return line.count > 40 ? line.prefix(40) + "…" : String(line)
    }
}

/// A key that stands twice in a JSON object, in itself and not within its members; nil where there is none, or no
/// valid JSON.
func repeatedKey(in json: Data) -> String? {
    var seen: Set<String> = []
    var depth = 0
    var place = json.startIndex
    while place < json.endIndex {
        switch json[place] {
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        case UInt8(ascii: "\""):
            var end = place + 1
            while end < json.endIndex, json[end] != UInt8(ascii: "\"") {
                end += json[end] == UInt8(ascii: "\\") ? 2 : 1
            }
            guard end < json.endIndex else { return nil }
            let next = json[(end + 1)...].first { ![9, 10, 13, 32].contains($0) }
            if depth == 1, next == UInt8(ascii: ":") {
                guard let name = (try? JSONValue.parse(json[place...end]))?.string else { return nil }
                if !seen.insert(name).inserted { return name }
            }
            place = end
        default: break
        }
        place += 1
    }
    return nil
}
