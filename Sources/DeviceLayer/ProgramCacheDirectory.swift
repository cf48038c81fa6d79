import AdaShareSupport
import Foundation

/// A directory of program binaries that several processes may share.
///
/// A file is written under a name of its own and then renamed, so a reader sees a whole file or none. What it reads is
/// verified before the driver sees it, because drivers crash on damaged binaries and run whole ones: directory and file
/// must be this user's alone. Nothing here fails loudly: a cache that does not work costs time only.
struct ProgramCacheDirectory {
    let url: URL

    /// Makes the directory if need be, for this user alone, and tells whether files can be made there.
    var isWritable: Bool {
        PrivateFolder.make(url) == nil && FileManager.default.isWritableFile(atPath: url.path)
    }

    /// Reads a binary.
    ///
    /// - Returns: the binary, or `nil` if there is none, the file is damaged or belongs to another key, or somebody
    ///   else could have written it.
    func load(_ key: ProgramCacheKey) -> [UInt8]? {
        guard PrivateFolder.problem(url.path) == nil,
            let file = PrivateFolder.contents(url.appendingPathComponent(key.fileName))
        else { return nil }
        return ProgramCacheFile.payload(of: [UInt8](file), key: key)
    }

    /// Writes a binary, replacing what is there.
    func store(_ binary: [UInt8], _ key: ProgramCacheKey) {
        removeAbandoned()
        let temporary = url.appendingPathComponent(
            "\(key.fileName).\(UUID().uuidString)\(Self.temporarySuffix)")
        let target = url.appendingPathComponent(key.fileName)
        do {
            try Data(ProgramCacheFile.encode(binary, key: key)).write(to: temporary, options: .withoutOverwriting)
        } catch {
            try? FileManager.default.removeItem(at: temporary)
            return
        }
        if rename(temporary.path, target.path) != 0 { try? FileManager.default.removeItem(at: temporary) }
    }

    /// Removes temporary files that a killed process left behind, which an hour's age tells from those in use.
    private func removeAbandoned() {
        let manager = FileManager.default
        guard let names = try? manager.contentsOfDirectory(atPath: url.path) else { return }
        for name in names where name.hasSuffix(Self.temporarySuffix) {
            let file = url.appendingPathComponent(name)
            let attributes = try? manager.attributesOfItem(atPath: file.path)
            guard let written = attributes?[.modificationDate] as? Date else { continue }
            if written.timeIntervalSinceNow < -3600 { try? manager.removeItem(at: file) }
        }
    }

    static let temporarySuffix = ".tmp"
}

/// The format of one file: a header that says what the payload is and proves it whole, then the payload.
///
/// | bytes | content |
/// |---|---|
/// | 0 ..< 8 | `ADAPROG` and a zero |
/// | 8 ..< 12 | version of the format, little endian |
/// | 12 ..< 44 | the key's digest |
/// | 44 ..< 52 | length of the payload in bytes, little endian |
/// | 52 ..< 84 | SHA-256 of the payload |
/// | 84 ... | payload |
enum ProgramCacheFile {
    static let magic = Array("ADAPROG\0".utf8)
    static let version: UInt32 = 1
    static let headerBytes = 84

    static func encode(_ payload: [UInt8], key: ProgramCacheKey) -> [UInt8] {
        header(of: payload, key: key) + payload
    }

    /// Takes a file apart.
    ///
    /// - Returns: the payload, or `nil` unless every byte of the file is as `encode` leaves it for this key.
    static func payload(of file: [UInt8], key: ProgramCacheKey) -> [UInt8]? {
        guard file.count > headerBytes else { return nil }
        let payload = Array(file[headerBytes...])
        // The header is a function of payload and key, so one comparison checks every field of it.
        return file[..<headerBytes].elementsEqual(header(of: payload, key: key)) ? payload : nil
    }

    private static func header(of payload: [UInt8], key: ProgramCacheKey) -> [UInt8] {
        magic + littleEndian(version) + key.digest + littleEndian(UInt64(payload.count)) + SHA256.digest(of: payload)
    }

    private static func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
