import Foundation
import Methods

/// What a long command tells a person while it runs.
public enum ProgressEvent: Sendable {
    /// A line that is marked as a note.
    case notice(String)
    /// A line as it is.
    case line(String)
    case step(StepReport)
    case evaluating(phase: Phase, done: Int, total: Int)
    /// Kernels that are compiled, of those that are needed next.
    case compiling(done: Int, total: Int)
    /// Convolutions whose algorithms are measured, of those that have to be.
    case measuring(done: Int, total: Int)
}

/// One logged step.
public struct StepReport: Sendable {
    public let phase: Phase
    public let iteration, total: Int
    public let losses: [String: Double]
    public let imagesPerSecond: Double
    public let secondsLeft: Double
}

/// Speed over the last steps and time since it was last asked for.
struct Pace {
    private var images = 0.0
    private var seconds = 0.0
    private var steps = 0.0
    private var start = Date()

    /// Old steps fade.
    mutating func add(images count: Int, seconds elapsed: Double) {
        let keep = 0.98
        images = images * keep + Double(count)
        seconds = seconds * keep + elapsed
        steps = steps * keep + 1
    }

    var imagesPerSecond: Double { seconds > 0 ? images / seconds : 0 }
    var secondsPerStep: Double { steps > 0 ? seconds / steps : 0 }

    /// Seconds since the last call, or since the beginning.
    mutating func takeElapsed() -> Double {
        let now = Date()
        defer { start = now }
        return now.timeIntervalSince(start)
    }
}
