import Foundation

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

    /// Steps were waited for that had been enqueued before.
    mutating func wait(seconds elapsed: Double) { seconds += elapsed }

    var imagesPerSecond: Double { seconds > 0 ? images / seconds : 0 }
    var secondsPerStep: Double { steps > 0 ? seconds / steps : 0 }

    /// Seconds since the last call, or since the beginning.
    mutating func takeElapsed() -> Double {
        let now = Date()
        defer { start = now }
        return now.timeIntervalSince(start)
    }
}
