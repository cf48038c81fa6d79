import Foundation

/// What work on another thread comes to.
public final class JobResult<Value: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var result: Result<Value, any Error>?

    func set(_ result: Result<Value, any Error>) {
        condition.lock()
        self.result = result
        condition.broadcast()
        condition.unlock()
    }

    /// Waits until it is there.
    ///
    /// - Throws: what the work threw.
    public func wait() throws -> Value {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let result { return try result.get() }
            condition.wait()
        }
    }
}

/// Work that one thread does in order.
final class JobQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: [() -> Void] = []
    private var isClosed = false
    private static let idleSeconds = 0.5

    func append(_ job: @escaping () -> Void) {
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
    }

    func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }

    /// The next job; nil when there will be none.
    func next(orIdle idle: () -> Void) -> (() -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if !jobs.isEmpty { return jobs.removeFirst() }
            if isClosed { return nil }
            if !condition.wait(until: Date(timeIntervalSinceNow: Self.idleSeconds)) {
                condition.unlock()
                idle()
                condition.lock()
            }
        }
    }
}
