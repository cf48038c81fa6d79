import AdaShareOperators

/// The batch norms that were applied in training, for their running statistics.
struct BatchStatistics {
    /// Where statistics are collected.
    struct Running {
        let scope: String
        let mean, variance, tracked: Value
    }

    /// Applications in order; those of one batch norm that follow each other with equal input are counted.
    private var visits: [(running: Running, result: BatchNormResult, paths: Int)] = []
    /// Position of each batch norm's latest visit.
    private var latest: [String: Int] = [:]

    /// Notes an application.
    mutating func visit(_ running: Running, _ result: BatchNormResult) {
        // Statistics forget: A, B, A is not A, A, B, so only neighbours are merged.
        if let known = latest[running.scope], visits[known].result.mean == result.mean {
            visits[known].paths += 1
        } else {
            latest[running.scope] = visits.count
            visits.append((running, result, 1))
        }
    }

    /// Records the updates.
    func record(in recorder: any LayerRecorder, flag: Value) {
        for visit in visits {
            recorder.scope("\(visit.running.scope)/statistics") {
                recorder.updateStatistics(
                    of: visit.result, mean: visit.running.mean, variance: visit.running.variance,
                    tracked: visit.running.tracked, paths: visit.paths, flag: flag)
            }
        }
    }
}
