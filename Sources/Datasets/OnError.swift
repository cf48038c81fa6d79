import AdaShareSchema

/// What is done about a sample that cannot be decoded.
public enum OnError: String, Sendable, ConfigurationChoice {
    /// The work ends with its error.
    case stop
    /// Training takes the next sample of the pass that can be decoded; evaluation leaves it out.
    case skip
}

/// A sample that could not be decoded, and was left out for it.
public struct SkippedSample: Sendable, Equatable, Codable {
    /// Which one of the data set.
    public let index: Int
    /// Its error, one line.
    public let reason: String

    /// Creates a record.
    public init(index: Int, reason: String) {
        self.index = index
        self.reason = reason
    }
}
