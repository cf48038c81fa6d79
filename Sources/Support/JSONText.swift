import Foundation

/// The two ways this project writes JSON, both with sorted keys.
public enum JSONText {
    /// Indented, keys in snake case: for people and for `--json`.
    public static func pretty(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Reads what `pretty` has written, of types whose keys are their properties' names.
    package static func read<Value: Decodable>(_ type: Value.Type, _ data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decode(type, from: data, by: decoder)
    }

    /// Bytes of a file at most, but for lists of a data set: no other is as large, and values take many times as much.
    package static let mostBytes = 1 << 24

    /// Reads any JSON, keys as they are, that is no deeper than `JSONSyntax.deepest`.
    ///
    /// - Parameters:
    ///   - type: what it holds.
    ///   - data: its bytes.
    ///   - decoder: how keys are spelled.
    ///   - most: bytes that there may be.
    /// - Throws: `DecodingError`.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from data: Data, by decoder: JSONDecoder = JSONDecoder(), most: Int = mostBytes
    ) throws -> Value {
        guard data.count <= most else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: [], debugDescription: "\(data.count) bytes, more than \(most)"))
        }
        guard data.withUnsafeBytes(JSONSyntax.isShallow) else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: [], debugDescription: "too many values in each other"))
        }
        return try decoder.decode(type, from: data)
    }

    /// Reads a file that a command of this program has written with `pretty`.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - command: that writes it.
    ///   - expected: what to say where it is missing or damaged.
    /// - Throws: `InputError` if it is.
    package static func readFile<Value: Decodable>(
        _ url: URL, writtenBy command: String = "train",
        expected: String = "that of a finished run; without the folder it is trained again"
    ) throws -> Value {
        guard let data = try? Data(contentsOf: url), let value = try? read(Value.self, data) else {
            throw InputError(file: url.path, found: "no file that `\(command)` wrote", expected: expected)
        }
        return value
    }

    /// The same; nil where there is no such file.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - expected: what to say where it is damaged.
    /// - Throws: `InputError` if it is.
    package static func readFileIfThere<Value: Decodable>(
        _ url: URL, expected: String = "that of a finished run; `adashare train --resume` writes it again"
    ) throws -> Value? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        return try readFile(url, expected: expected)
    }

    /// One line, keys as they are: for metadata that is read back.
    package static func line(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

extension DecodingError {
    /// What was found and where, such as `no pass at choices[3].problem`.
    package var summary: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.reduce("") { text, key in
                key.intValue.map { "\(text)[\($0)]" } ?? (text.isEmpty ? "" : text + ".") + key.stringValue
            }
            return path.isEmpty ? "" : " at " + path
        }
        switch self {
        case .typeMismatch(let type, let context): return "something else than \(type)\(place(context))"
        case .valueNotFound(let type, let context): return "null instead of \(type)\(place(context))"
        case .keyNotFound(let key, let context): return "no \(key.stringValue)\(place(context))"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? "invalid JSON" : "\(context.debugDescription)\(place(context))"
        @unknown default: return "unreadable JSON"
        }
    }
}
