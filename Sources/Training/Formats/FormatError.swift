/// A file whose contents are not what its format demands.
///
/// The message is one line: the file, where in it, what was found, what was expected.
public struct FormatError: Error, CustomStringConvertible, Equatable, Sendable {
    /// Path of the file.
    public let file: String
    /// Tensor, key or part of the file the error is about; `nil` for the file as a whole.
    public let place: String?
    /// What the file holds.
    public let found: String
    /// What the format or the caller wants.
    public let expected: String

    /// Creates an error about `place` in `file`.
    public init(file: String, place: String? = nil, found: String, expected: String) {
        self.file = file
        self.place = place
        self.found = found
        self.expected = expected
    }

    public var description: String {
        "\(file): " + (place.map { "\($0): " } ?? "") + "found \(found), expected \(expected)"
    }
}
