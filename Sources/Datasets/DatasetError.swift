/// A fault in a data set's files or in how a data set was asked for.
///
/// The message is one line that names the file or setting, what was found and what was expected.
public struct DatasetError: Error, CustomStringConvertible, Sendable, Equatable {
    /// The whole message, ready for a person.
    public let message: String

    /// Creates an error with a finished message.
    public init(_ message: String) {
        self.message = message
    }

    public var description: String { message }
}
