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
    package func update(
        _ spec: ParameterSpec, _ parameter: Value, _ gradient: Value, slot: RateSlot, flag: Value, in graph: Graph
    ) {
        func state(_ kind: String) -> Value {
            graph.parameter(OptimizerState.name(kind, of: spec.name), parameter.shape)
        }
        _ = graph.scope("update/" + spec.name) {
            switch self {
            case .sgd(let momentum, let decay):
                graph.record(
                    SGDUpdate(rate: slot, momentum: momentum, weightDecay: decay),
                    [parameter, gradient, state(Self.momentum), graph.step, flag])
            case .adam(let beta1, let beta2, let epsilon, let decay):
                graph.record(
                    AdamUpdate(rate: slot, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay),
                    [parameter, gradient, state(Self.first), state(Self.second), graph.step, flag])
            }
        }
    }

    /// What it remembers of a parameter.
    func state(of spec: ParameterSpec) -> [OptimizerState] {
        let kinds =
            switch self {
            case .sgd: [Self.momentum]
            case .adam: [Self.first, Self.second]
            }
        return kinds.map { OptimizerState(spec: spec, kind: $0) }
    }

    private static let (momentum, first, second) = ("momentum", "first", "second")
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
        name = Self.name(kind, of: spec.name)
    }

    /// Steps have thousands: one allocation each.
    static func name(_ kind: String, of parameter: String) -> String {
        var name = ""
        name.reserveCapacity(prefix.utf8.count + parameter.utf8.count + 1 + kind.utf8.count)
        name += prefix
        name += parameter
        name += "/"
        name += kind
        return name
    }
}
