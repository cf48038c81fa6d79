import AdaShareLayers
import AdaShareOperators

/// A backbone for each task, whose features are mixed channel by channel behind the stem and behind every stage.
///
///     yᵢ[c] = Σⱼ αᵢⱼ[c] · xⱼ[c]
///
/// - Source: Misra, Shrivastava, Gupta, Hebert, "Cross-stitch networks for multi-task learning", CVPR 2016: one unit
///   for every channel, behind pooling layers; here behind the stem's pool and the stages, as ResNets have them.
public struct CrossStitch: FusionMethod {
    public static let kind = "cross_stitch"
    public static let meaning =
        "a backbone for each task, their features mixed channel by channel behind the stem and every stage; one "
        + "phase, `train`"

    public var selfWeight = 0.9
    public var fusionRate = 10.0
    public init() {}

    public var unit: CrossStitchUnit { CrossStitchUnit(selfWeight: selfWeight) }
}

/// A weight for each channel of each task's features: `task<k>_stitch.<place>.weight`, [T, C].
public struct CrossStitchUnit: FusionUnit {
    /// First weight of a task's own features.
    public let selfWeight: Double

    public func callAsFunction(_ features: [Value], at place: String, tasks: [String], in s: Scope) -> [Value] {
        tasks.indices.map { task in
            let s = s("\(tasks[task])_stitch.\(place)")
            let weights = s.parameter(
                "weight", [tasks.count, features[task].shape.channels],
                initial: .rows(fusionWeights(selfWeight, of: task, among: tasks.count)))
            return s.record(ChannelMix(), features + [weights])[0]
        }
    }
}
