import AdaShareSupport
import Foundation

extension TensorFile {
    /// Longest header that is read, in bytes: a hundred thousand tensors, more than any model has.
    private static let longestHeader = 10_000_000

    /// Reads a safetensors file into host memory.
    ///
    /// - Throws: `InputError` if the file is missing, truncated or has bytes left over, if its header is not valid,
    ///   if a name is given twice, or if tensors overlap, leave gaps or do not match their shape.
    public static func read(_ url: URL) throws -> TensorFile {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw InputError.unreadable(url, expected: "a safetensors file")
        }
        var file = try decode(data, file: url.path)
        file.contentHash = ContentHash.text(data)
        return file
    }

    /// Decodes the bytes of a safetensors file; `file` names it in errors.
    ///
    /// - Throws: as `read`.
    public static func decode(_ bytes: Data, file: String) throws -> TensorFile {
        let data = bytes.startIndex == 0 ? bytes : Data(bytes)
        guard data.count >= 8 else {
            throw InputError(file: file, found: "\(data.count) bytes", expected: "a header length of 8 bytes")
        }
        let length = data.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(min(data.count - 8, longestHeader)) else {
            if let kind = FileKind(data) { throw InputError(file: file, found: kind.found, expected: kind.expected) }
            throw InputError(
                file: file, place: "header", found: "length \(length) in a file of \(data.count) bytes",
                expected: "at most \(min(data.count - 8, longestHeader)) (truncated, or not safetensors)")
        }
        let start = 8 + Int(length)
        if let name = repeatedKey(in: data[8..<start]) {
            throw InputError(file: file, place: "tensor \(name)", found: "it given twice", expected: "each name once")
        }
        let header = try Header(data[8..<start], file: file)
        var result = TensorFile(file: file)
        result.metadata = header.metadata
        try result.cut(header.tensors, from: data, start: start)
        return result
    }

    /// Cuts the tensors out of the data part, which begins at byte `start`.
    private mutating func cut(_ items: [String: Header.Item], from data: Data, start: Int) throws {
        let size = data.count - start
        var end = 0
        let ordered = items.sorted {
            ($0.value.begin, $0.value.end, $0.key) < ($1.value.begin, $1.value.end, $1.key)
        }
        for (name, item) in ordered {
            func fail(_ found: String, _ expected: String) -> InputError {
                InputError(file: file, place: "tensor \(name)", found: found, expected: expected)
            }
            guard item.begin >= 0, item.end >= item.begin, item.end <= size else {
                throw fail(
                    "offsets \(item.begin)..<\(item.end)", "a range in the \(size) bytes of data (truncated file?)")
            }
            guard item.begin == end else {
                throw fail(
                    "offset \(item.begin), which \(item.begin < end ? "overlaps another tensor" : "leaves a gap")",
                    "offset \(end)")
            }
            end = item.end
            guard let element = Element(rawValue: item.dtype) else {
                otherTypes[name] = item.dtype
                continue
            }
            guard let bytes = byteCount(shape: item.shape, element: element) else {
                throw fail("shape \(item.shape)", "sizes of at least 0 whose product is a byte count")
            }
            guard item.end - item.begin == bytes else {
                throw fail("\(item.end - item.begin) bytes", "\(bytes) for \(element) \(item.shape)")
            }
            tensors[name] = Entry(
                name: name, dtype: element, shape: item.shape, bytes: Data(data[start + item.begin..<start + item.end]))
        }
        guard end == size else {
            throw InputError(file: file, place: "data", found: "\(size) bytes", expected: "\(end), as the header says")
        }
    }

    /// Writes the file: a temporary name in the same folder, flushed to disk, then renamed.
    ///
    /// - Throws: `InputError` if the folder cannot be written; a file that was there before is then unchanged.
    public func write(to url: URL) throws {
        try AtomicFile.write(chunks: chunks(), to: url)
    }

    /// The bytes `write(to:)` puts into the file.
    public func encoded() -> Data { chunks().reduce(into: Data()) { $0.append($1) } }

    /// The same in pieces that share the tensors' memory.
    package func chunks() -> [Data] {
        let (header, entries) = encodedHeader()
        return [header] + entries.map(\.bytes)
    }

    /// Length field and header, padded with spaces to a multiple of 8 bytes, and the tensors in the order of their
    /// data.
    private func encodedHeader() -> (Data, [Entry]) {
        let entries = tensors.values.sorted { ($1.dtype.size, $0.name) < ($0.dtype.size, $1.name) }
        var header: [String: JSONValue] = [:]
        if !metadata.isEmpty {
            header["__metadata__"] = .object(metadata.mapValues { .string($0) })
        }
        var offset = 0
        for entry in entries {
            header[entry.name] = [
                "dtype": .string(entry.dtype.rawValue), "shape": .array(entry.shape.map { .integer($0) }),
                "data_offsets": [.integer(offset), .integer(offset + entry.bytes.count)],
            ]
            offset += entry.bytes.count
        }
        var text = Data(JSONValue.object(header).text.utf8)
        text.append(Data(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
        return (length + text, entries)
    }

    private func byteCount(shape: [Int], element: Element) -> Int? {
        var count = element.size
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }
}

/// The JSON header: tensors by name beside one object of text metadata.
private struct Header {
    struct Item {
        let dtype: String
        let shape: [Int]
        let begin: Int
        let end: Int
    }

    private static let metadataKey = "__metadata__"
    /// Axes of a tensor, and bytes of a name: no network has as many.
    private static let (mostAxes, longestName) = (32, 4096)

    var tensors: [String: Item] = [:]
    var metadata: [String: String] = [:]

    /// - Throws: `InputError` naming what is no header of a safetensors file.
    init(_ json: Data, file: String) throws {
        func fail(_ found: String) -> InputError {
            InputError(
                file: file, place: "header", found: found,
                expected: "a JSON object of name → dtype, shape, data_offsets")
        }
        guard let value = try? JSONValue.parse(json) else { throw fail("invalid JSON") }
        guard case .object(let members) = value else { throw fail("JSON that is no object") }
        for (name, value) in members {
            if name == Self.metadataKey {
                // Other tools write null, or numbers; what is no text says nothing here.
                if case .object(let texts) = value { metadata = texts.compactMapValues(\.string) }
                continue
            }
            guard name.utf8.count <= Self.longestName else { throw fail("a name of \(name.utf8.count) bytes") }
            func member(_ key: String) throws -> JSONValue {
                guard let member = value[key] else { throw fail("no \(key) at \(name)") }
                return member
            }
            func integers(_ key: String) throws -> [Int] {
                guard case .array(let values) = try member(key) else {
                    throw fail("something else than a list at \(name).\(key)")
                }
                return try values.map { value in
                    guard case .integer(let number) = value else { throw fail("\(value.text) at \(name).\(key)") }
                    return number
                }
            }
            guard let dtype = try member("dtype").string else {
                throw fail("something else than a text at \(name).dtype")
            }
            let (shape, offsets) = (try integers("shape"), try integers("data_offsets"))
            guard shape.count <= Self.mostAxes else { throw fail("\(shape.count) axes at \(name).shape") }
            guard offsets.count == 2 else { throw fail("\(offsets.count) offsets at \(name).data_offsets") }
            tensors[name] = Item(dtype: dtype, shape: shape, begin: offsets[0], end: offsets[1])
        }
    }
}
