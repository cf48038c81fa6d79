import AdaShareRanks
import Foundation
import Synchronization

/// Processes that are threads of this one: what they give each other meets in memory.
final class ThreadTransport: RankTransport, @unchecked Sendable {
    let index, count: Int
    var local: (index: Int, count: Int) { (index, count) }
    let description = "threads"
    private let room: Room
    /// What goes wrong on the way.
    enum Mistake: Sendable {
        /// Terms of sums are handed over in this order, which is not that of the processes.
        case order([Int])
        /// The last process finds another sign, which is a bit, in the n-th numbers that it gathers.
        case bit(Int)
    }

    private let mistake: Mistake?
    private var gathered = 0

    init(_ index: Int, in room: Room, mistake: Mistake? = nil) {
        (self.index, self.room, self.mistake, count) = (index, room, mistake, room.count)
    }

    /// Where all of them come together.
    final class Room: @unchecked Sendable {
        let count: Int
        private let condition = NSCondition()
        private var given: [Int: [UInt8]] = [:]
        private var taken: [[UInt8]] = []
        private var round = 0
        private var isClosed = false

        init(_ count: Int) { self.count = count }

        /// Waits for what everybody gives.
        func meet(_ index: Int, _ bytes: [UInt8]) throws -> [[UInt8]] {
            condition.lock()
            defer { condition.unlock() }
            given[index] = bytes
            let mine = round
            if given.count == count {
                (taken, given) = ((0..<count).map { given[$0] ?? [] }, [:])
                round += 1
                condition.broadcast()
            }
            while round == mine, !isClosed { condition.wait() }
            guard round > mine else { throw RankError("another process has ended") }
            return taken
        }

        /// Has nobody wait any more.
        func close() {
            condition.lock()
            isClosed = true
            condition.broadcast()
            condition.unlock()
        }
    }

    func gather(_ bytes: [UInt8]) throws -> [[UInt8]] { try room.meet(index, bytes) }

    func gather(_ own: Span<Float>, counts: [Int], into all: inout MutableSpan<Float>) throws {
        let bytes = own.withUnsafeBytes { Array($0) }
        var floats = try room.meet(index, bytes).flatMap(Self.floats)
        if case .bit(gathered) = mistake, index == count - 1, let place = floats.firstIndex(where: { $0 != 0 }) {
            floats[place].negate()
        }
        gathered += 1
        all.take(floats.span)
    }

    func exchange(_ values: Span<Float>, parts: [Range<Int>], into all: inout MutableSpan<Float>) throws {
        let bytes = values.withUnsafeBytes { Array($0) }
        let terms = try room.meet(index, bytes).map(Self.floats)
        var order = Array(0..<count)
        if case .order(let other) = mistake { order = other }
        let own = order.flatMap { terms[$0][parts[index]] }
        all.take(own.span)
    }

    func idle() {}
    func abort(code: Int32) { room.close() }
    func close() {}

    private static func floats(_ bytes: [UInt8]) -> [Float] {
        bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}

/// Does the same in so many processes that are threads, and gives what each comes to.
func asRanks<Result: Sendable>(
    _ count: Int, mistake: ThreadTransport.Mistake? = nil, _ body: @escaping @Sendable (RankGroup) throws -> Result
) throws -> [Result] {
    let room = ThreadTransport.Room(count)
    let results = Mutex([Int: Swift.Result<Result, any Error>]())
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        let thread = Thread {
            let result = Swift.Result<Result, any Error> {
                try body(try RankGroup { ThreadTransport(index, in: room, mistake: mistake) })
            }
            if case .failure = result { room.close() }
            results.withLock { $0[index] = result }
            group.leave()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }
    group.wait()
    return try results.withLock { results in try (0..<count).compactMap { try results[$0]?.get() } }
}
