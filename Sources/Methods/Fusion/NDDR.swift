import AdaShareLayers
import AdaShareOperators

/// A backbone for each task; behind the stem and behind every stage each task goes on with a 1×1 convolution of all
/// tasks' features, batch norm and ReLU.
///
///     yᵢ = ReLU(BN(Wᵢ · [x₁; …; x_T]))
///
/// - Source: Gao, Ma, Zhao, Liu, Yuille, "NDDR-CNN: layerwise feature fusing in multi-task CNNs by neural
/// discriminative   dimensionality reduction", CVPR 2019, with the diagonal initial weights.
public struct NDDR: FusionMethod {
    public static let kind = "nddr"
    public static let meaning =
        "a backbone for each task, joined by 1×1 convolutions of all tasks' features behind the stem and every stage; "
        + "one phase, `train`"

    public var selfWeight = 0.9
    public var fusionRate = 10.0
    public init() {}

    public var unit: NDDRUnit { NDDRUnit(selfWeight: selfWeight) }
}

/// Wᵢ by its columns, a 1×1 convolution `task<i>_nddr.<place>.of_task<j>` for each task's features, and the batch norm
/// `task<i>_nddr.<place>.bn`.
public struct NDDRUnit: FusionUnit {
    /// First weight of a task's own features.
    public let selfWeight: Double

    public func callAsFunction(_ features: [Value], at place: String, tasks: [String], in s: Scope) -> [Value] {
        tasks.indices.map { task in
            let s = s("\(tasks[task])_nddr.\(place)")
            let weights = fusionWeights(selfWeight, of: task, among: tasks.count)
            // The convolution of a concatenation is the sum of the convolutions.
            let terms = features.indices.map { other in
                s("of_\(tasks[other])").convolution(
                    features[other], channels: features[other].shape.channels, kernel: 1,
                    initial: .diagonal(weights[other]))
            }
            return s("bn").batchNorm(s.sum(terms), tail: .relu)
        }
    }
}
