import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What is wrong with something that was given: a file, a key, an option, a folder or the system under them.
///
/// The message is one line: the file, where in it, what was found, what was expected.
public struct InputError: Error, CustomStringConvertible, Equatable, Sendable {
    /// Path of the file or folder, or the option, data set or part of the system that stands in its place.
    public let file: String
    /// Key path (`tasks.0.weight`), tensor or line that the error is about; nil for the file as a whole.
    public let place: String?
    /// What is there.
    public let found: String
    /// What is wanted there.
    public let expected: String
    /// Further ones that were found with it, all of one kind, such as other files that are missing.
    public private(set) var others: [InputError] = []

    /// Creates an error about `place` in `file`.
    public init(file: String, place: String? = nil, found: String, expected: String) {
        self.file = file
        self.place = place
        self.found = found
        self.expected = expected
    }

    /// Several of one kind as one; nil of none.
    package static func all(_ errors: [InputError]) -> InputError? {
        guard var first = errors.first else { return nil }
        first.others = Array(errors.dropFirst())
        return first
    }

    /// This one alone, then those that were found with it.
    public var each: [InputError] {
        [InputError(file: file, place: place, found: found, expected: expected)] + others
    }

    /// The failure of a system call on `file`, with the system's reason.
    package static func system(_ call: String, _ file: String, expected: String) -> InputError {
        InputError(file: file, found: "\(call) failed (\(String(cString: strerror(errno))))", expected: expected)
    }

    /// A file that could not be made: that its folder is missing, or the system's reason.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - reason: `errno`, as the call left it.
    ///   - expected: what the system's reason asks for.
    package static func unwritable(
        _ url: URL, reason: Int32, expected: String = "a folder that can be written"
    ) -> InputError {
        let folder = url.deletingLastPathComponent().path
        guard reason == ENOENT, !FileManager.default.fileExists(atPath: folder) else {
            errno = reason
            return system("open", url.path, expected: expected)
        }
        return InputError(file: url.path, found: "no folder \(folder)", expected: "one, which can be written")
    }

    /// A file that could not be read: whether it is not there, or what keeps it from being read.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - expected: what it is to be, such as "a safetensors file".
    package static func unreadable(_ url: URL, expected: String) -> InputError {
        var status = stat()
        let found: String
        if stat(url.path, &status) != 0 {
            // A name below a file is none either.
            found = [ENOENT, ENOTDIR].contains(errno) ? "no such file" : String(cString: strerror(errno))
        } else if status.st_mode & S_IFMT == S_IFDIR {
            found = "a folder"
        } else {
            let isAllowed = access(url.path, R_OK) == 0
            found = "a file that cannot be read" + (isAllowed ? "" : ": " + String(cString: strerror(errno)))
        }
        return InputError(file: url.path, found: found, expected: expected)
    }

    /// Of the others, as many as a line names.
    private static let mostNamed = 100
    /// Bytes of a part of the message: what a file holds may be longer than anybody reads.
    private static let mostBytes = 1000

    private static func short(_ text: String) -> String {
        guard text.utf8.count > mostBytes else { return text }
        return String(decoding: text.utf8.prefix(mostBytes), as: UTF8.self) + "… (\(text.utf8.count) bytes)"
    }

    /// The message, one line: control characters in names are spelled out, and what is very long is cut.
    public var description: String {
        let own =
            "\(file): " + (place.map { "\(Self.short($0)): " } ?? "")
            + "found \(Self.short(found)), expected \(Self.short(expected))"
        guard !others.isEmpty else { return visible(own) }
        let named = others.prefix(Self.mostNamed).map { other in
            (other.file == file ? "" : "\(other.file): ") + (other.place.map { "\(Self.short($0)): " } ?? "")
                + Self.short(other.found)
        }
        let rest = others.count - named.count
        return visible(own + "; likewise " + named.joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : ""))
    }
}
