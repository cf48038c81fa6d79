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

    /// How parameters move, whatever the rate is called.
    var rule: UpdateRule {
        switch self {
        case .sgd(_, let momentum, let decay): .sgd(momentum: momentum, weightDecay: decay)
        case .adam(_, let beta1, let beta2, let epsilon, let decay):
            .adam(beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay)
        }
    }
}
