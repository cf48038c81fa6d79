import AdaShareDeviceLayer

extension Recorder {
    /// Records the statistics of the rows of both.
    ///
    /// - Precondition: both are of as many rows.
    public func join(_ first: ChannelStatistics, _ second: ChannelStatistics) -> ChannelStatistics {
        precondition(first.rows == second.rows, "statistics of \(first.rows) and of \(second.rows) rows")
        let both = record(
            BatchStatisticsJoin(rows: first.rows),
            [first.mean, first.unbiasedVariance, second.mean, second.unbiasedVariance])
        return ChannelStatistics(mean: both[0], unbiasedVariance: both[1], rows: 2 * first.rows)
    }
}

/// Statistics of twice as many rows from those of both halves; inputs μ [C] and unbiased σ² [C] of each half, outputs
/// the same of both together.
///
/// - Source: Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
///   Kernel `batchnorm_join` in `batchnorm.cl`.
public struct BatchStatisticsJoin: Operator {
    /// Rows of each half.
    public let rows: Int

    /// Creates the operator.
    ///
    /// - Parameter rows: of each half.
    /// - Precondition: at least one.
    public init(rows: Int) {
        precondition(rows > 0, "statistics of \(rows) rows")
        self.rows = rows
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.count == 4 && inputs.allSatisfy { $0 == inputs[0] }, "cannot join \(inputs)")
        return [inputs[0], inputs[0]]
    }

    public var isEager: Bool { true }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (each, both) = (Double(rows), 2 * Double(rows))
        e.launch(
            "batchnorm", "batchnorm_join",
            [
                .input(0), .input(1), .input(2), .input(3), .output(0), .output(1),
                .float((each - 1) / (both - 1)), .float(each / 2 / (both - 1)),
            ], e.library.grid(e.wideRowVectors(e.inputs[0])))
    }
}
