/// What is wrong with a configuration, in one line: file, key path, what was found, what was expected.
public struct ConfigurationError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The file, or the `--set` option that the value came from.
    public let file: String
    /// Dotted path of the key (`tasks.0.weight`), or `nil` for the file as a whole.
    public let path: String?
    /// What the file holds.
    public let found: String
    /// What the key wants.
    public let expected: String

    /// Creates an error about the key `path` in `file`.
    public init(file: String, path: String? = nil, found: String, expected: String) {
        self.file = file
        self.path = path
        self.found = found
        self.expected = expected
    }

    public var description: String {
        "\(file): " + (path.map { "\($0): " } ?? "") + "found \(found), expected \(expected)"
    }
}
