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

    /// Creates an error about `place` in `file`.
    public init(file: String, place: String? = nil, found: String, expected: String) {
        self.file = file
        self.place = place
        self.found = found
        self.expected = expected
    }

    /// The failure of a system call on `file`, with the system's reason.
    package static func system(_ call: String, _ file: String, expected: String) -> InputError {
        InputError(file: file, found: "\(call) failed (\(String(cString: strerror(errno))))", expected: expected)
    }

    /// The message, one line.
    public var description: String {
        "\(file): " + (place.map { "\($0): " } ?? "") + "found \(found), expected \(expected)"
    }
}
