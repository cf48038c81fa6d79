/// Δ_T, the mean relative gain over a reference, such as single-task networks or the end of warm-up.
public enum RelativeGain {
    /// Gain of one task, in %.
    ///
    ///     mean over metrics of ± (M − R) / |R| · 100,  + where higher is better
    ///
    /// - Returns: the mean over the metrics that both sides have; `nil` if no metric takes part or one that does is not
    ///   finite. A metric whose reference is 0 or not finite does not take part.
    public static func ofTask(_ metrics: [Metric], over reference: [Metric]) -> Double? {
        let references = Dictionary(reference.map { ($0.name, $0.value) }) { first, _ in first }
        var gain = MeanAccumulator()
        for metric in metrics {
            guard let base = references[metric.name], base != 0, base.isFinite else { continue }
            // Leaving it out would reward a network whose outputs have no such metric.
            guard metric.value.isFinite else { return nil }
            gain.add((metric.higherIsBetter ? 1 : -1) * (metric.value - base) / abs(base) * 100)
        }
        return gain.count == 0 ? nil : gain.mean
    }

    /// What `overall` would be without the metrics that are not finite, and which these are, as `task metric`; a metric
    /// whose reference is 0 or not finite is in neither.
    ///
    /// Checkpoints of one run are ranked by it; see `ValidationScore`.
    public static func ofFinite(
        _ metrics: [String: [Metric]], over reference: [String: [Metric]]
    ) -> (gain: Double?, leftOut: [String]) {
        let leftOut = metrics.keys.sorted().flatMap { task in
            (metrics[task] ?? []).filter { metric in
                let base = reference[task]?.first { $0.name == metric.name }?.value ?? .nan
                return !metric.value.isFinite && base != 0 && base.isFinite
            }.map { "\(task) \($0.name)" }
        }
        return (overall(metrics.mapValues { $0.filter(\.value.isFinite) }, over: reference), leftOut)
    }

    /// The same of task → convention → metrics, in the exact convention.
    package static func overall(
        _ metrics: [String: [String: [Metric]]], over reference: [String: [String: [Metric]]]
    ) -> Double? {
        overall(metrics.of(.exact), over: reference.of(.exact))
    }

    /// Mean over tasks of `ofTask`, in %; tasks without a gain are left out.
    ///
    /// - Parameters: metrics and references by task name, of one convention.
    /// - Returns: Δ_T; `nil` if no task has a gain or a metric that takes part is not finite.
    public static func overall(
        _ metrics: [String: [Metric]], over reference: [String: [Metric]]
    ) -> Double? {
        var gain = MeanAccumulator()
        // Sorted: a sum in floating point depends on its order.
        for task in metrics.keys.sorted() {
            guard let mine = metrics[task], let base = reference[task] else { continue }
            if let value = ofTask(mine, over: base) {
                gain.add(value)
            } else if mine.contains(where: { !$0.value.isFinite }) {
                return nil
            }
        }
        return gain.count == 0 ? nil : gain.mean
    }
}

/// How good a checkpoint is among those of its phase: first by how few metrics are left out, since a network whose
/// outputs have no such metric must not be better for it, then by gain.
public struct ValidationScore: Comparable, Sendable {
    /// Δ_T in percent over the metrics that are finite.
    public let gain: Double
    /// How many are not.
    public let leftOut: Int

    /// Creates a score.
    public init(gain: Double, leftOut: Int) { (self.gain, self.leftOut) = (gain, leftOut) }

    public static func < (a: Self, b: Self) -> Bool { (-a.leftOut, a.gain) < (-b.leftOut, b.gain) }
}
