import Foundation

/// Threads that make the batches of coming steps, and a queue that hands them out in step order.
///
/// Unchecked because the compiler cannot see that `condition` guards every stored `var`.
final class PrefetchQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private let ahead: Int
    private let make: @Sendable (Int) throws -> Batch
    private var ready: [Int: Result<Batch, any Error>] = [:]
    /// The next step no thread has begun, and the next one nobody has asked for.
    private var unclaimed, untaken: Int
    private var running: Int
    private var isStopped = false

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - start: the first step.
    ///   - ahead: steps made ahead of the one asked for.
    ///   - make: makes the batch of a step; called on any thread.
    init(start: Int, ahead: Int, threads: Int, make: @escaping @Sendable (Int) throws -> Batch) {
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

    /// The batch of the next step, waiting for it if need be.
    func take() throws -> Batch {
        condition.lock()
        defer { condition.unlock() }
        let step = untaken
        untaken += 1
        condition.broadcast()
        while true {
            if let result = ready.removeValue(forKey: step) { return try result.get() }
            condition.wait()
        }
    }

    /// Ends the threads and waits until they have finished the batches in hand.
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
