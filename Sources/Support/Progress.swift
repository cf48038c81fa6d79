/// What a long command tells a person while it runs.
public enum ProgressEvent: Sendable {
    /// A line that is marked as a note.
    case notice(String)
    /// A line as it is.
    case line(String)
    case step(StepReport)
    case evaluating(phase: String, done: Int, total: Int)
    /// Kernels that are compiled, of those that are needed next.
    case compiling(done: Int, total: Int)
    /// Convolutions whose algorithms are measured, of those that have to be.
    case measuring(done: Int, total: Int)
}

/// One logged step.
public struct StepReport: Sendable {
    public let phase: String
    public let iteration, total: Int
    public let losses: [String: Double]
    public let imagesPerSecond: Double
    public let secondsLeft: Double

    /// Creates a report.
    package init(
        phase: String, iteration: Int, total: Int, losses: [String: Double], imagesPerSecond: Double,
        secondsLeft: Double
    ) {
        (self.phase, self.iteration, self.total, self.losses) = (phase, iteration, total, losses)
        (self.imagesPerSecond, self.secondsLeft) = (imagesPerSecond, secondsLeft)
    }
}
