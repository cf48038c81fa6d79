import Foundation

/// A folder that exists as long as this object.
public final class TemporaryFolder: Sendable {
    public let url: URL

    public init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("adashare-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The place of a file, whether or not there is one.
    public func file(_ name: String) -> URL { url.appendingPathComponent(name) }

    /// Writes a file.
    @discardableResult
    public func write(_ bytes: some Sequence<UInt8>, _ name: String) throws -> URL {
        try Data(bytes).write(to: file(name))
        return file(name)
    }

    /// Writes a file of text.
    @discardableResult
    public func write(_ text: String, _ name: String) throws -> URL { try write(text.utf8, name) }

    /// Names in the folder, sorted.
    public var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted()
    }
}
