import AdaShareSupport
import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A reader that is given arbitrary bytes. It may refuse them with an error of its own, and do nothing else: no trap,
/// no access beyond memory, no message that a terminal would take for more than a line.
struct Target: Sendable {
    /// Gives the bytes to the reader.
    let read: @Sendable (Data) throws -> Void
    /// Makes mutated bytes whole again, such as checksums, so that more than the first check sees them.
    var mend: (@Sendable (UnsafeMutableBufferPointer<UInt8>, Int) -> Int)?

    /// What it may take of memory beside 16 times the bytes it is given: what a process makes once, such as the block
    /// in which a file is read; more where few bytes of a compressed image hold many pixels.
    let spare: Int

    init(
        mend: (@Sendable (UnsafeMutableBufferPointer<UInt8>, Int) -> Int)? = nil, spare: Int = 1 << 21,
        _ read: @escaping @Sendable (Data) throws -> Void
    ) {
        (self.read, self.mend, self.spare) = (read, mend, spare)
    }

    /// Every reader by name.
    static let all = files.merging(runs) { $1 }.merging(configurations) { $1 }.merging(datasets) { $1 }

    /// Gives the bytes to the reader.
    func give(_ bytes: Data) {
        do {
            try read(bytes)
        } catch let error as InputError {
            let text = "\(error)"
            require(visible(text) == text, "a message with control characters")
            require(text.utf8.count <= 64_000 + 4 * bytes.count, "a message of \(text.utf8.count) bytes")
        } catch is DecodingError {
            // Whoever decodes says which file it was.
        } catch {
            require(false, "an error of type \(type(of: error)): \(error)")
        }
    }
}

/// Ends the process; the input that led here is kept by whoever tries readers.
func require(_ isTrue: Bool, _ what: @autoclosure () -> String) {
    guard !isTrue else { return }
    FileHandle.standardError.write(Data("fuzz: found \(visible(what()))\n".utf8))
    abort()
}

/// A folder in memory for readers that open files.
enum Scratch {
    static let folder: URL = {
        let root = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        let folder = URL(fileURLWithPath: "\(root)/adashare-fuzz-\(getpid())", isDirectory: true)
        require(
            (try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)) != nil,
            "no place for files at \(folder.path)")
        atexit { try? FileManager.default.removeItem(at: Scratch.folder) }
        return folder
    }()

    /// A file with these bytes.
    static func file(_ name: String, _ bytes: Data) -> URL {
        let url = folder.appendingPathComponent(name)
        let file = open(url.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let written = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        require(file >= 0 && written == bytes.count, "no space for \(url.path)")
        close(file)
        return url
    }
}
