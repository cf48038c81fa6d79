/// Time that steps of training took, and how much of it they waited for their images.
///
/// Left out are the first steps of a phase in each process, before threads could make batches ahead.
public struct DataWait: Codable, Sendable, Equatable {
    /// Seconds of the steps.
    public private(set) var seconds = 0.0
    /// Seconds of these in which the loop of steps waited for images; a device may still have worked.
    public private(set) var waiting = 0.0

    /// No steps.
    public init() {}

    /// Adds a step.
    ///
    /// - Parameters:
    ///   - elapsed: seconds that it took.
    ///   - waited: seconds of them that it waited.
    public mutating func add(seconds elapsed: Double, waiting waited: Double) {
        seconds += elapsed
        waiting += waited
    }

    /// Has what is there count less beside what is added from here on.
    public mutating func fade(_ factor: Double) {
        seconds *= factor
        waiting *= factor
    }

    /// Adds other steps.
    public mutating func add(_ other: DataWait) { add(seconds: other.seconds, waiting: other.waiting) }

    /// Waiting ÷ all; nil without steps.
    public var share: Double? { seconds > 0 ? waiting / seconds : nil }
}
