/// What a long command tells a person while it runs.
public enum ProgressEvent: Sendable {
    /// A line that is marked as a note; the same one is said once.
    case notice(String)
    /// A line as it is.
    case line(String)
    /// A line for those who want to know more.
    case detail(String)
    /// A phase of training that begins or goes on.
    case phase(PhaseReport)
    /// A step of training that is logged.
    case step(StepReport)
    /// A step whose losses nobody has read.
    case working(StepReport)
    /// Images that are scored, of those of a phase's evaluation.
    case evaluating(phase: String, done: Int, total: Int)
    /// Images of a data set that are decoded, of all it has.
    case checking(dataset: String, done: Int, total: Int)
    /// Kernels that are compiled, of those that are needed next.
    case compiling(done: Int, total: Int)
    /// Convolutions whose algorithms are measured, of those that have to be.
    case measuring(done: Int, total: Int)
    /// Runs of what is timed, of those that are known to be needed.
    case timing(String, done: Int, total: Int)
}

/// A phase of training.
public struct PhaseReport: Sendable {
    /// Its name.
    public let name: String
    /// Its place among the phases that are asked for, from 1, and how many these are.
    public let number, count: Int
    /// Steps of the phase.
    public let total: Int
    /// What it does, in a few words; empty where the name says it.
    public let meaning: String

    /// Creates a report.
    package init(name: String, number: Int, count: Int, total: Int, meaning: String) {
        (self.name, self.number, self.count) = (name, number, count)
        (self.total, self.meaning) = (total, meaning)
    }
}

/// One step.
public struct StepReport: Sendable {
    /// Name of the phase.
    public let phase: String
    /// Steps of the phase that are done, and all of them.
    public let iteration, total: Int
    /// Losses of the step: those of the tasks in their order, then what the objective makes of them, `total`; empty
    /// where they were not read.
    public let losses: [(name: String, value: Double)]
    /// Images per second over the last steps.
    public let imagesPerSecond: Double
    /// Share of the last steps' time in which they waited for images; nil while nothing is known of it.
    public let waitShare: Double?
    /// Seconds that the rest of the phase will take at that pace.
    public let secondsLeft: Double
    /// Seconds that the rest of the run may take, evaluations included; nil while nothing is known of it.
    public let runSecondsLeft: Double?

    /// Creates a report.
    package init(
        phase: String, iteration: Int, total: Int, losses: [(name: String, value: Double)], imagesPerSecond: Double,
        waitShare: Double? = nil, secondsLeft: Double, runSecondsLeft: Double? = nil
    ) {
        (self.phase, self.iteration, self.total, self.losses) = (phase, iteration, total, losses)
        (self.imagesPerSecond, self.waitShare) = (imagesPerSecond, waitShare)
        (self.secondsLeft, self.runSecondsLeft) = (secondsLeft, runSecondsLeft)
    }
}
