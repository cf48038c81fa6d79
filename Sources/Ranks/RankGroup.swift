import Foundation

/// The processes that train one network together, each on a device of its own: a power of two of them.
///
/// They speak from one thread, in the order in which that is asked for, which has to be the same in all of them.
public final class RankGroup: @unchecked Sendable {
    private let transport: any RankTransport
    private let jobs = JobQueue()
    /// What went wrong first, on the thread that speaks.
    private let failure = Failure()
    private let ended: JobResult<Void>
    /// Of all processes, what this one adds; kept for the next sum.
    private var terms: [Float] = []
    /// Called once, on the thread that speaks, where another process cannot be reached any more.
    private let failed: @Sendable (RankError) -> Void

    /// Which process this is, from 0.
    public var index: Int { transport.index }
    /// How many there are.
    public var count: Int { transport.count }
    /// Which one it is of those on its host, and how many these are.
    public var local: (index: Int, count: Int) { transport.local }
    /// What connects them, for people.
    public var description: String { transport.description }
    /// Whether this is the one that writes what a run leaves.
    public var isFirst: Bool { index == 0 }

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - failed: called where another process cannot be reached any more; by default the error is thrown alone, to
    ///     whoever waits for what was asked.
    ///   - open: makes the transport, on the thread that will use it.
    /// - Throws: what `open` throws; `RankError` where there is no power of two of processes.
    public init(
        failed: @escaping @Sendable (RankError) -> Void = { _ in },
        open: @escaping @Sendable () throws -> any RankTransport
    ) throws {
        self.failed = failed
        let (opened, ended) = (JobResult<any RankTransport>(), JobResult<Void>())
        self.ended = ended
        let (jobs, failure) = (jobs, failure)
        let thread = Thread {
            let transport: any RankTransport
            do {
                transport = try open()
            } catch {
                return opened.set(.failure(error))
            }
            opened.set(.success(transport))
            var isAlive = true
            while let job = jobs.next(orIdle: {
                guard isAlive else { return }
                do {
                    try transport.idle()
                } catch {
                    isAlive = false
                    failed(error as? RankError ?? RankError("\(error)"))
                }
            }) { job() }
            // Behind a failure the others are somewhere else.
            if failure.error == nil {
                do { try transport.close() } catch { failed(error as? RankError ?? RankError("\(error)")) }
            }
            ended.set(.success(()))
        }
        thread.name = "ranks"
        thread.stackSize = 4 << 20
        thread.start()
        transport = try opened.wait()
        guard transport.count.nonzeroBitCount == 1 else {
            jobs.close()
            try? ended.wait()
            throw RankError("found \(transport.count) processes, expected a power of two: training.shards is one")
        }
    }

    private final class Failure: @unchecked Sendable {
        var error: (any Error)?
    }

    deinit { jobs.close() }

    /// Waits until all processes have come here, and ends their bond. Nothing can be asked after that.
    public func close() {
        jobs.close()
        try? ended.wait()
    }

    /// Has the thread that speaks do something, after what it was asked before.
    public func start<Result: Sendable>(
        _ work: @escaping @Sendable (RankGroup) throws -> Result
    ) -> JobResult<Result> {
        let result = JobResult<Result>()
        jobs.append {
            do {
                // What comes behind a failure would meet something else of the others.
                if let error = self.failure.error { throw error }
                result.set(.success(try work(self)))
            } catch {
                let isNew = self.failure.error == nil
                if isNew { self.failure.error = error }
                if isNew, let error = error as? RankError { self.failed(error) }
                result.set(.failure(error))
            }
        }
        return result
    }

    /// Waits for something that is no other process's. To be called on the thread that speaks.
    ///
    /// - Parameter isThere: asked again and again.
    /// - Throws: what it throws; `RankError` where another process gives no sign of life.
    package func wait(_ isThere: () throws -> Bool) throws { try transport.wait(isThere) }

    /// The bytes of every process, in their order; waits for all.
    ///
    /// - Throws: `RankError`.
    public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
        guard count > 1 else { return [bytes] }
        return try start { try $0.transport.gather(bytes) }.wait()
    }

    /// A value of every process, in their order; waits for all.
    ///
    /// - Throws: `RankError`, or what decoding throws.
    public func gather<Element: Codable>(_ value: Element) throws -> [Element] {
        guard count > 1 else { return [value] }
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try gather(Array(try encoder.encode([value]))).map {
            try decoder.decode([Element].self, from: Data($0))[0]
        }
    }

    /// The bytes that the first process has; the others give what they like.
    ///
    /// - Throws: `RankError`.
    public func first(_ bytes: @autoclosure () throws -> [UInt8]) throws -> [UInt8] {
        try gather(isFirst ? try bytes() : [])[0]
    }

    /// The numbers of every process one behind the other. To be called on the thread that speaks.
    ///
    /// - Throws: `RankError`.
    package func gatherNumbers(_ own: [Float]) throws -> [Float] {
        var all = [Float](repeating: 0, count: count * own.count)
        var span = all.mutableSpan
        try transport.gather(own.span, counts: [Int](repeating: own.count, count: count), into: &span)
        return all
    }

    /// Replaces numbers by the sums of those of all processes, added as a binary tree over the processes in their
    /// order. To be called on the thread that speaks.
    ///
    /// - Throws: `RankError`.
    package func sum(_ values: inout MutableSpan<Float>) throws {
        let bounds = (0...count).map { values.count * $0 / count }
        let parts = (0..<count).map { bounds[$0]..<bounds[$0 + 1] }
        let own = parts[index].count
        var terms = takeTerms(count * own)
        defer { self.terms = terms }
        var all = terms.mutableSpan
        try transport.exchange(values.span, parts: parts, into: &all)
        Self.addTree(&all, terms: count, each: own)
        try transport.gather(all.span.extracting(first: own), counts: parts.map(\.count), into: &values)
    }

    private func takeTerms(_ count: Int) -> [Float] {
        defer { terms = [] }
        return terms.count >= count ? terms : [Float](repeating: 0, count: count)
    }

    /// Adds equal pieces of numbers as a binary tree, into the first one.
    static func addTree(_ values: inout MutableSpan<Float>, terms: Int, each: Int) {
        values.withUnsafeMutableBufferPointer { values in
            var distance = 1
            while distance < terms {
                for term in stride(from: 0, to: terms, by: 2 * distance) {
                    let (a, b) = (term * each, (term + distance) * each)
                    for index in 0..<each { values[a + index] += values[b + index] }
                }
                distance *= 2
            }
        }
    }

    /// Ends all processes at once, this one included, after what the thread that speaks is at.
    public func abort(code: Int32) {
        let done = JobResult<Void>()
        jobs.append {
            self.transport.abort(code: code)
            done.set(.success(()))
        }
        try? done.wait()
    }
}
