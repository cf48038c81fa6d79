import AdaShareGraph
import AdaShareOperators

/// How parameters move.
public enum UpdateRule: Hashable, Sendable {
    /// Stochastic gradient descent with momentum μ and coupled (L2) weight decay λ.
    ///
    ///     g ← ∇ + λ · w;  m ← μ · m + g;  w ← w − rate · m
    case sgd(momentum: Double, weightDecay: Double)
    /// Adam with coupled (L2) weight decay λ, which is added to the gradient before the moments.
    ///
    /// - Source: Kingma & Ba 2015, algorithm 1.
    case adam(beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double)
}

extension UpdateRule {
    /// The same without weight decay.
    package var withoutDecay: UpdateRule {
        switch self {
        case .sgd(let momentum, _): .sgd(momentum: momentum, weightDecay: 0)
        case .adam(let beta1, let beta2, let epsilon, _):
            .adam(beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: 0)
        }
    }

    /// Records one parameter's update, with state of its own.
    ///
    /// - Returns: the state.
    @discardableResult
    package func update(
        _ spec: ParameterSpec, _ parameter: Value, _ gradient: Value, slot: RateSlot, flag: Value, in graph: Graph
    ) -> [OptimizerState] {
        let (operation, kinds): (any Operator, [String]) =
            switch self {
            case .sgd(let momentum, let decay):
                (SGDUpdate(rate: slot, momentum: momentum, weightDecay: decay), ["momentum"])
            case .adam(let beta1, let beta2, let epsilon, let decay):
                (
                    AdamUpdate(rate: slot, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay),
                    ["first", "second"]
                )
            }
        let state = kinds.map { OptimizerState(spec: spec, kind: $0) }
        let own = state.map { graph.parameter($0.name, parameter.shape) }
        _ = graph.scope("update/" + spec.name) {
            graph.record(operation, [parameter, gradient] + own + [graph.step, flag])
        }
        return state
    }
}

/// What an optimiser remembers of one parameter: a tensor of that parameter's shape.
package struct OptimizerState {
    let spec: ParameterSpec
    /// `momentum`, or `first` and `second` of Adam's moments.
    let kind: String

    /// What all names of optimiser state begin with, in the tensor store and in files.
    package static let prefix = "optimizer/"

    /// In the tensor store and in files.
    let name: String

    init(spec: ParameterSpec, kind: String) {
        (self.spec, self.kind) = (spec, kind)
        name = Self.prefix + spec.name + "/" + kind
    }
}
