/// What a long command tells a person while it runs.
public enum ProgressEvent: Sendable {
    /// A line that is marked as a note.
    case notice(String)
    /// A line as it is.
    case line(String)
    /// A step of training that is logged.
    case step(StepReport)
    /// Images that are scored, of those of a phase's evaluation.
    case evaluating(phase: String, done: Int, total: Int)
    /// Images of a data set that are decoded, of all it has.
    case checking(dataset: String, done: Int, total: Int)
    /// Kernels that are compiled, of those that are needed next.
    case compiling(done: Int, total: Int)
    /// Convolutions whose algorithms are measured, of those that have to be.
    case measuring(done: Int, total: Int)
}

/// One logged step.
public struct StepReport: Sendable {
    /// Name of the phase.
    public let phase: String
    /// Steps of the phase that are done, and all of them.
    public let iteration, total: Int
    /// Losses of the step by task, and what the objective makes of them as `total`.
    public let losses: [String: Double]
    /// Images per second over the last steps.
    public let imagesPerSecond: Double
    /// Share of the last steps' time in which they waited for images; nil while nothing is known of it.
    public let waitShare: Double?
    /// Seconds that the rest of the phase will take at that pace.
    public let secondsLeft: Double

    /// Creates a report.
    package init(
        phase: String, iteration: Int, total: Int, losses: [String: Double], imagesPerSecond: Double,
        waitShare: Double? = nil, secondsLeft: Double
    ) {
        (self.phase, self.iteration, self.total, self.losses) = (phase, iteration, total, losses)
        (self.imagesPerSecond, self.waitShare, self.secondsLeft) = (imagesPerSecond, waitShare, secondsLeft)
    }
}
