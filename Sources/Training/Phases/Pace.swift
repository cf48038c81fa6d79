import AdaShareMethods
import Foundation

/// Speed over the last steps and time since it was last asked for.
struct Pace {
    private var images = 0.0
    private var seconds = 0.0
    private var steps = 0.0
    private var start = Date()
    /// Steps that begin before threads can have made batches ahead: what they wait says nothing about the others.
    private var cold: Int
    /// Of all steps but those, since it was last asked for; and of the last ones.
    private var wait = DataWait()
    private var recent = DataWait()

    /// - Parameter cold: steps to come whose waiting does not count.
    init(cold: Int) { self.cold = cold }

    /// Old steps fade.
    ///
    /// - Parameters:
    ///   - count: images of the step.
    ///   - elapsed: seconds that it took.
    ///   - waiting: seconds of them that it waited for its images.
    mutating func add(images count: Int, seconds elapsed: Double, waiting: Double) {
        let keep = 0.98
        images = images * keep + Double(count)
        seconds = seconds * keep + elapsed
        steps = steps * keep + 1
        guard cold == 0 else {
            cold -= 1
            return
        }
        wait.add(seconds: elapsed, waiting: waiting)
        recent.fade(keep)
        recent.add(seconds: elapsed, waiting: waiting)
    }

    /// Steps were waited for that had been enqueued before.
    mutating func finish(seconds elapsed: Double) {
        seconds += elapsed
        // What was enqueued may be cold steps alone.
        guard recent.share != nil else { return }
        wait.add(seconds: elapsed, waiting: 0)
        recent.add(seconds: elapsed, waiting: 0)
    }

    var imagesPerSecond: Double { seconds > 0 ? images / seconds : 0 }
    var secondsPerStep: Double { steps > 0 ? seconds / steps : 0 }
    /// Share of the last steps' time that they waited for images; nil before the first that counts.
    var waitShare: Double? { recent.share }

    /// Seconds since the last call, or since the beginning.
    mutating func takeElapsed() -> Double {
        let now = Date()
        defer { start = now }
        return now.timeIntervalSince(start)
    }

    /// The waiting since the last call, or since the beginning.
    mutating func takeWait() -> DataWait {
        defer { wait = DataWait() }
        return wait
    }
}
