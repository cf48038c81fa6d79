/// Δ_T, the mean relative gain over a reference, such as single-task networks or the end of warm-up.
public enum RelativeGain {
    /// The metrics that the literature's Δ_T is made of; the others only describe.
    public static let publishedNames: Set<String> = [
        "miou", "pixel_accuracy", "angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30",
        "absolute_error", "relative_error", "delta_1.25", "delta_1.25^2", "delta_1.25^3", "top_1", "top_5",
    ]

    /// Gain of one task, in %.
    ///
    ///     mean over metrics of ± (M − R) / |R| · 100,  + where higher is better
    ///
    /// - Parameter names: metrics that take part, or `nil` for all that both sides have.
    /// - Returns: the mean; `nil` if no metric takes part or one that does is not finite. A metric whose reference is 0
    ///   or not finite does not take part.
    public static func ofTask(_ metrics: [Metric], over reference: [Metric], names: Set<String>? = nil) -> Double? {
        let references = Dictionary(reference.map { ($0.name, $0.value) }) { first, _ in first }
        var gain = MeanAccumulator()
        for metric in metrics where names?.contains(metric.name) ?? true {
            guard let base = references[metric.name], base != 0, base.isFinite else { continue }
            // Leaving it out would reward a network whose outputs have no such metric.
            guard metric.value.isFinite else { return nil }
            gain.add((metric.higherIsBetter ? 1 : -1) * (metric.value - base) / abs(base) * 100)
        }
        return gain.count == 0 ? nil : gain.mean
    }

    /// Mean over tasks of `ofTask`, in %; tasks without a gain are left out.
    ///
    /// - Parameters: metrics and references by task name, of one convention.
    /// - Returns: Δ_T; `nil` if no task has a gain or a metric that takes part is not finite.
    public static func overall(
        _ metrics: [String: [Metric]], over reference: [String: [Metric]], names: Set<String>? = nil
    ) -> Double? {
        var gain = MeanAccumulator()
        // Sorted: a sum in floating point depends on its order.
        for task in metrics.keys.sorted() {
            guard let mine = metrics[task], let base = reference[task] else { continue }
            if let value = ofTask(mine, over: base, names: names) {
                gain.add(value)
            } else if mine.contains(where: { !$0.value.isFinite }) {
                return nil
            }
        }
        return gain.count == 0 ? nil : gain.mean
    }
}
