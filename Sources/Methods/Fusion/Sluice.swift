import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport

/// A backbone for each task, whose features are two subspaces each; behind the stem and behind every stage a subspace
/// of a task goes on with a combination of all tasks' subspaces, and the head is given one of the last layers.
///
///     y₍ᵢ,g₎ = Σ₍ⱼ,h₎ α₍ᵢ,g₎₍ⱼ,h₎ · x₍ⱼ,h₎,  head's input = Σ_b β_b · x_b
///
/// Beside the losses, λ · Σ ‖G₁ᵀ G₂‖² is minimised, over the convolutions that end where features meet: G₁ and G₂ are
/// the columns of their weights that give the two subspaces. Batch norm follows these convolutions, so small weights
/// lower it as orthogonal ones do.
///
/// - Source: Ruder, Bingel, Augenstein, Søgaard, "Latent multi-task architecture learning", AAAI 2019; there for
///   recurrent layers, all of one shape. Here β joins the blocks of the last stage, which are.
public struct Sluice: FusionMethod {
    public static let kind = "sluice"
    public static let meaning =
        "a backbone for each task, two subspaces of their features mixed behind the stem and every stage, and the last "
        + "blocks for the head; one phase, `train`"
    public static var fields: [ConfigurationField<Sluice>] {
        fusionFields + [
            .key(
                "orthogonality", \.orthogonality, limit: .atLeast(0),
                "λ of `sluice`'s penalty for weights whose subspaces are not orthogonal.")
        ]
    }

    public var selfWeight = 0.9
    public var fusionRate = 10.0
    /// `method.orthogonality`: λ of the subspaces' penalty.
    public var orthogonality = 0.01
    public init() {}

    public var unit: SluiceUnit { SluiceUnit(selfWeight: selfWeight, orthogonality: orthogonality) }

    public func check(_ architecture: NetworkArchitecture, file: String) throws {
        try requireSameImages(architecture, file: file)
        let multiple = SluiceUnit.subspaces * Shape.lanes
        let widths = [architecture.stem.channels] + architecture.stages.map(\.outputChannels)
        guard widths.allSatisfy({ $0.isMultiple(of: multiple) }) else {
            throw InputError(
                file: file, place: "model.width",
                found: "\(architecture.width), stem and stages of \(widths.map(String.init).joined(separator: ", ")) "
                    + "channels",
                expected: "multiples of \(multiple), such as 0.5 or 1 gives: method \(Self.kind) divides them into "
                    + "\(SluiceUnit.subspaces) subspaces of multiples of \(Shape.lanes)")
        }
    }
}

/// α of a task at a place, `task<i>_sluice.<place>.weight` [2, 2T], and its β, `task<i>_sluice.last.weight` [1, B].
public struct SluiceUnit: FusionUnit {
    /// Of the features of each task.
    static let subspaces = 2
    /// First weight of a task's own subspace, and of its last block.
    public let selfWeight: Double
    /// λ.
    public let orthogonality: Double

    public func callAsFunction(_ features: [Value], at place: String, tasks: [String], in s: Scope) -> [Value] {
        let count = Self.subspaces * tasks.count
        return tasks.indices.map { task in
            let s = s("\(tasks[task])_sluice.\(place)")
            let initial = (0..<Self.subspaces).flatMap {
                fusionWeights(selfWeight, of: task * Self.subspaces + $0, among: count)
            }
            let weights = s.parameter("weight", [Self.subspaces, count], initial: .values(initial))
            return s.record(SubspaceMix(subspaces: Self.subspaces), features + [weights])[0]
        }
    }

    public func last(_ outputs: [[Value]], tasks: [String], in s: Scope) -> [Value] {
        tasks.indices.map { task in
            let s = s("\(tasks[task])_sluice.last")
            let weights = s.parameter(
                "weight", [1, outputs.count],
                initial: .values(fusionWeights(selfWeight, of: outputs.count - 1, among: outputs.count)))
            return s.record(SubspaceMix(subspaces: 1), outputs.map { $0[task] } + [weights])[0]
        }
    }

    public func penalty(_ convolutions: [String], in recorder: StepRecorder) -> Value? {
        guard orthogonality > 0 else { return nil }
        let overlaps = convolutions.map { name -> Value in
            guard let spec = recorder.network.catalog[name] else { preconditionFailure("no parameter \(name)") }
            return recorder.graph.scope("penalty/\(name)") {
                recorder.graph.subspaceOverlap(recorder.graph.parameter(spec), subspaces: Self.subspaces)
            }
        }
        return recorder.graph.record(WeightedSum(overlaps.map { _ in orthogonality }), overlaps)[0]
    }
}
