import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSchema

/// Homoscedastic uncertainty: Σ c · exp(−s) · λ · loss + s/2 with a learned s = log σ² for each task, c = 1 where a
/// task predicts classes and ½ where it predicts numbers.
///
/// - Source: Kendall, Gal, Cipolla, "Multi-task learning using uncertainty to weigh losses", CVPR 2018.
public struct Uncertainty: Objective {
    public static let kind = "uncertainty"
    public static let meaning = "each loss divided by a variance that is learned with it (Kendall et al. 2018)"
    public static var fields: [ConfigurationField<Uncertainty>] {
        [
            .key(
                "learning_rate", \.learningRate, limit: .above(0),
                "Learning rate of the log variances, which have no weight decay.")
        ]
    }

    public var learningRate = 1e-3
    public var isLinear: Bool { true }

    public init() {}

    public func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec] {
        architecture.tasks.indices.map { task in
            ParameterSpec(
                name: Self.name(task, architecture), diskShape: [1], layout: .vector, group: .objective,
                initializer: .zeros, isTrainable: true)
        }
    }

    private static func name(_ task: Int, _ architecture: NetworkArchitecture) -> String {
        "task\(architecture.number(task: task))_log_variance"
    }

    public func total(_ losses: [Value], in recorder: StepRecorder) -> Value {
        let terms = zip(recorder.present, losses).map { term($1, of: $0, in: recorder) }
        for (task, term) in zip(recorder.present, terms) { recorder.note(term: term, of: task) }
        return recorder.graph.record(WeightedSum(terms.map { _ in 1 }), terms)[0]
    }

    public func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value {
        let (graph, network) = (recorder.graph, recorder.network)
        let variance = graph.parameter(Self.name(task, network.architecture), Shape([1]))
        let weighted = graph.record(WeightedSum([recorder.weight(of: task)]), [loss])[0]
        let isOfClasses = network.tasks[task].kind.label.element == .classes
        let loss = UncertainLoss(factor: isOfClasses ? 1 : 0.5, share: recorder.shard.share)
        return graph.record(loss, [weighted, variance])[0]
    }
}
