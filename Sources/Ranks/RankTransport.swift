#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How the processes that train one network together reach each other. Called by one thread.
public protocol RankTransport: AnyObject, Sendable {
    /// Which process this is, from 0.
    var index: Int { get }
    /// How many there are.
    var count: Int { get }
    /// Which one it is of those on its host, and how many these are.
    var local: (index: Int, count: Int) { get }
    /// What connects them, for people.
    var description: String { get }

    /// The bytes of every process, in their order.
    ///
    /// - Throws: `RankError`.
    func gather(_ bytes: [UInt8]) throws -> [[UInt8]]
    /// The numbers of every process one behind the other, in their order.
    ///
    /// - Parameters:
    ///   - own: of this one.
    ///   - counts: how many each has.
    ///   - all: takes them; as long as all counts together.
    /// - Throws: `RankError`.
    func gather(_ own: Span<Float>, counts: [Int], into all: inout MutableSpan<Float>) throws
    /// Gives each process its part of the numbers and takes this one's part of everybody's.
    ///
    /// - Parameters:
    ///   - values: of this process.
    ///   - parts: each process's part of them, one behind the other.
    ///   - all: takes this one's part of the numbers of every process, one behind the other; there may be more room.
    /// - Throws: `RankError`.
    func exchange(_ values: Span<Float>, parts: [Range<Int>], into all: inout MutableSpan<Float>) throws
    /// Called now and then where nothing else is: for signs of life.
    ///
    /// - Throws: `RankError` where another process gives none.
    func idle() throws
    /// Ends all processes at once.
    func abort(code: Int32)
    /// Ends the use of the transport, when all processes have come to this point.
    ///
    /// - Throws: `RankError` where another process gives no sign of life meanwhile.
    func close() throws
}

extension RankTransport {
    /// Waits, a little longer from look to look, without ever spinning on a core that computes.
    ///
    /// - Parameter isThere: what is waited for.
    /// - Throws: what it throws; `RankError` where another process gives no sign of life.
    func wait(_ isThere: () throws -> Bool) throws {
        var pause: UInt32 = 10
        while try !isThere() {
            usleep(pause)
            pause = min(2 * pause, mostMicroseconds)
            try idle()
        }
    }
}

/// Between two looks, at most.
private let mostMicroseconds: UInt32 = 500

extension MutableSpan<Float> {
    /// Takes as many numbers, from a place on.
    ///
    /// - Precondition: there are as many from there.
    package mutating func take(_ numbers: Span<Float>, at start: Int = 0) {
        precondition(start + numbers.count <= count, "\(numbers.count) numbers at \(start) of \(count)")
        for index in numbers.indices { self[start + index] = numbers[index] }
    }
}

/// A process that cannot be reached, or is another one than was expected.
public struct RankError: Error, CustomStringConvertible, Sendable {
    /// What has happened.
    public let description: String

    /// Creates an error.
    public init(_ description: String) { self.description = description }
}
