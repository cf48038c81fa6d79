import AdaShareGraph
import AdaShareOperators

/// How a group of parameters learns.
public enum Optimizer: Hashable, Sendable {
    /// Stochastic gradient descent with momentum and coupled weight decay.
    ///
    /// - Parameter rate: name of the step's scalar that is the learning rate.
    case sgd(rate: String, momentum: Double = 0, weightDecay: Double = 0)
    /// Adam with coupled weight decay.
    ///
    /// - Parameter rate: name of the step's scalar that is the learning rate.
    case adam(rate: String, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0)

    /// Name of the learning rate.
    public var rate: String {
        switch self {
        case .sgd(let rate, _, _), .adam(let rate, _, _, _, _): rate
        }
    }

    /// What an update reads of the step buffer, where it is the `t`-th, from 1.
    func rate(_ learningRate: Double, t: Int) -> StepState.Rate {
        switch self {
        case .sgd: StepState.Rate(learningRate: learningRate)
        case .adam(_, let beta1, let beta2, _, _):
            StepState.Rate(learningRate: learningRate, beta1: beta1, beta2: beta2, t: t)
        }
    }

    /// Records one parameter's update, with state of its own.
    ///
    /// - Returns: the state.
    func update(
        _ spec: ParameterSpec, _ parameter: Value, _ gradient: Value, slot: RateSlot, flag: Value, in graph: Graph
    ) -> [OptimizerState] {
        let (operation, kinds): (any Operator, [String]) =
            switch self {
            case .sgd(_, let momentum, let decay):
                (SGDUpdate(rate: slot, momentum: momentum, weightDecay: decay), ["momentum"])
            case .adam(_, let beta1, let beta2, let epsilon, let decay):
                (
                    AdamUpdate(rate: slot, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay),
                    ["first", "second"]
                )
            }
        let state = kinds.map { OptimizerState(spec: spec, kind: $0) }
        let own = state.map { graph.parameter($0.name, parameter.shape) }
        _ = graph.scope("update/\(spec.name)") {
            graph.record(operation, [parameter, gradient] + own + [graph.step, flag])
        }
        return state
    }
}

/// What an optimiser remembers of one parameter: a tensor of that parameter's shape.
struct OptimizerState {
    let spec: ParameterSpec
    /// `momentum`, or `first` and `second` of Adam's moments.
    let kind: String

    /// In the tensor store and in files.
    var name: String { "optimizer/\(spec.name)/\(kind)" }
}
