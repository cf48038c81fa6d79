/// Batches of several data sets side by side: one of each for every step.
///
/// Each data set has passes of its own. One with fewer batches than another begins its next pass while that one is
/// still in its first, so that no image waits for a longer data set to end and none is left out; the batches of a step
/// stay a pure function of its number.
public final class BatchLoaders: Sendable {
    /// Batches in one pass over the data set that has most.
    public let stepsPerPass: Int
    /// One for each data set, in their order.
    public let loaders: [BatchLoader]

    /// - Precondition: at least one loader, and all start at the same step.
    public init(_ loaders: [BatchLoader]) {
        precondition(!loaders.isEmpty, "no data set")
        self.loaders = loaders
        stepsPerPass = loaders.reduce(0) { max($0, $1.stepsPerPass) }
    }

    /// The batches of the next step, in the order of the data sets; waits only if the threads are behind.
    ///
    /// - Throws: what making one of them threw.
    public func next() throws -> [Batch] { try loaders.map { try $0.next() } }
}
