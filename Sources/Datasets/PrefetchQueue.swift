import Foundation

/// Threads that make what coming steps need, such as batches, and a queue that hands it out in step order.
///
/// Unchecked because the compiler cannot see that `condition` guards every stored `var`.
final class PrefetchQueue<Element: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private let ahead: Int
    private let make: @Sendable (Int) throws -> Element
    private var ready: [Int: Result<Element, any Error>] = [:]
    /// The next step no thread has begun, and the next one nobody has asked for.
    private var unclaimed, untaken: Int
    private var running: Int
    private var isStopped = false

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - start: the first step.
    ///   - ahead: steps made ahead of the one asked for.
    ///   - make: makes what a step needs; called on any thread.
    init(start: Int, ahead: Int, threads: Int, make: @escaping @Sendable (Int) throws -> Element) {
        self.ahead = ahead
        self.make = make
        unclaimed = start
        untaken = start
        running = threads
        for _ in 0..<threads {
            // The threads keep the queue alive, not the loader, whose release stops them.
            Thread { self.work() }.start()
        }
    }

    /// What the next step needs, waiting for it if need be.
    ///
    /// - Throws: what making it threw; `CancellationError` once the queue is stopped.
    func take() throws -> Element {
        condition.lock()
        defer { condition.unlock() }
        let step = untaken
        untaken += 1
        condition.broadcast()
        while !isStopped {
            if let result = ready.removeValue(forKey: step) { return try result.get() }
            condition.wait()
        }
        throw CancellationError()
    }

    /// Ends the threads and waits until they have finished what they have in hand.
    func stop() {
        condition.lock()
        isStopped = true
        condition.broadcast()
        while running > 0 { condition.wait() }
        ready = [:]
        condition.unlock()
    }

    private func work() {
        while let step = claim() {
            let result = Result { try make(step) }
            condition.lock()
            ready[step] = result
            condition.broadcast()
            condition.unlock()
        }
    }

    /// The next step to make, or nil when stopped.
    private func claim() -> Int? {
        condition.lock()
        defer { condition.unlock() }
        while !isStopped, unclaimed >= untaken + ahead { condition.wait() }
        guard !isStopped else {
            running -= 1
            condition.broadcast()
            return nil
        }
        unclaimed += 1
        return unclaimed - 1
    }
}
