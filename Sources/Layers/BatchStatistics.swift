import AdaShareOperators

/// The batch norms that were applied in training, for their running statistics.
package struct BatchStatistics {
    /// Where statistics are collected.
    struct Running {
        let scope: String
        let mean, variance, tracked: Value
    }

    /// Applications of a batch norm that follow each other with equal input.
    private struct Visit {
        let running: Running
        var batch: ChannelStatistics
        /// How many they are.
        var paths: Int
    }

    /// In order.
    private var visits: [Visit] = []
    /// Position of each batch norm's latest visit.
    private var latest: [String: Int] = [:]

    /// Of nothing yet.
    package init() {}

    /// Notes an application.
    mutating func visit(_ running: Running, _ batch: ChannelStatistics) {
        // Statistics forget: A, B, A is not A, A, B, so only neighbours are merged.
        if let known = latest[running.scope], visits[known].batch.mean == batch.mean {
            visits[known].paths += 1
        } else {
            latest[running.scope] = visits.count
            visits.append(Visit(running: running, batch: batch, paths: 1))
        }
    }

    /// What was collected, in order: of each batch norm mean and variance.
    package var values: [Value] {
        get { visits.flatMap { [$0.batch.mean, $0.batch.unbiasedVariance] } }
        set {
            precondition(newValue.count == 2 * visits.count, "\(newValue.count) values of \(visits.count) batch norms")
            for index in visits.indices {
                visits[index].batch = ChannelStatistics(
                    mean: newValue[2 * index], unbiasedVariance: newValue[2 * index + 1],
                    rows: visits[index].batch.rows)
            }
        }
    }

    /// Records the statistics of two parts of a batch together.
    ///
    /// - Precondition: both have passed the same layers.
    package mutating func join(_ other: BatchStatistics, in recorder: any LayerRecorder) {
        precondition(visits.count == other.visits.count, "\(visits.count) and \(other.visits.count) batch norms")
        for (index, part) in other.visits.enumerated() {
            let scope = visits[index].running.scope
            precondition(scope == part.running.scope && visits[index].paths == part.paths, "other batch norms")
            recorder.scope("\(scope)/statistics") {
                visits[index].batch = recorder.join(visits[index].batch, part.batch)
            }
        }
    }

    /// Records the updates: n equal ones at once where n applications in a row had the same input, one after the other
    /// where inputs differ.
    ///
    /// - Parameter flag: the non-finite flag that gates updates.
    package func update(in recorder: any LayerRecorder, flag: Value) {
        for visit in visits {
            recorder.scope("\(visit.running.scope)/statistics") {
                recorder.updateStatistics(
                    towards: visit.batch, mean: visit.running.mean, variance: visit.running.variance,
                    tracked: visit.running.tracked, paths: visit.paths, flag: flag)
            }
        }
    }
}
