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
    /// - Throws: `RankError`.
    func gather(_ own: ArraySlice<Float>, counts: [Int]) throws -> [Float]
    /// Gives each process its part of the numbers and takes this one's part of everybody's.
    ///
    /// - Parameters:
    ///   - values: of this process.
    ///   - parts: each process's part of them, one behind the other.
    /// - Returns: this one's part of the numbers of every process, one behind the other.
    /// - Throws: `RankError`.
    func exchange(_ values: [Float], parts: [Range<Int>]) throws -> [Float]
    /// Called now and then where nothing else is: for signs of life.
    ///
    /// - Throws: `RankError` where another process gives none.
    func idle() throws
    /// Ends all processes at once.
    func abort(code: Int32)
    /// Ends the use of the transport, when all processes have come to this point.
    func close()
}

/// A process that cannot be reached, or is another one than was expected.
public struct RankError: Error, CustomStringConvertible, Sendable {
    /// What has happened.
    public let description: String

    /// Creates an error.
    public init(_ description: String) { self.description = description }
}

/// The only process.
public final class Alone: RankTransport {
    public let (index, count) = (0, 1)
    public var local: (index: Int, count: Int) { (0, 1) }
    public var description: String { "one process" }

    /// Creates the transport.
    public init() {}

    public func gather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
    public func gather(_ own: ArraySlice<Float>, counts: [Int]) -> [Float] { Array(own) }
    public func exchange(_ values: [Float], parts: [Range<Int>]) -> [Float] { values }
    public func idle() {}
    public func abort(code: Int32) {}
    public func close() {}
}
