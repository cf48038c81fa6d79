import AdaShareSchema

/// A training phase without settings of its own.
public struct PhaseConfiguration: Sendable, Equatable {
    /// Optimiser steps; 0 leaves the phase out.
    public var iterations: Int

    /// Creates a phase.
    public init(iterations: Int) {
        self.iterations = iterations
    }
}

/// What retraining starts from.
public enum RetrainStart: String, Sendable, CaseIterable, ConfigurationChoice {
    /// New weights.
    case fresh
    /// The weights at the end of policy learning.
    case learned
}

/// The last phase: `training.retrain`.
public struct RetrainConfiguration: Sendable, Equatable {
    /// Optimiser steps; 0 leaves the phase out.
    public var iterations = 20_000
    /// What it starts from.
    public var start = RetrainStart.fresh

    /// Creates the defaults.
    public init() {}
}

/// Rates of the weight optimisers: `training.learning_rate`.
public struct LearningRateConfiguration: Sendable, Equatable {
    /// Rate of the task heads.
    public var heads = 1e-3
    /// Rate of stem, projections and blocks.
    public var backbone = 1e-3

    /// Creates the defaults.
    public init() {}
}

/// Which learning rates a step decay acts on.
public enum DecayScope: String, Sendable, CaseIterable, ConfigurationChoice {
    /// All rates, or that of the task heads alone.
    case all, heads
}

/// Step decay in warm-up and retraining: `training.learning_rate_decay`.
public struct LearningRateDecayConfiguration: Sendable, Equatable {
    /// Factor on the rate at each step of the decay.
    public var factor = 0.5
    /// Iterations between two steps of the decay; 0 = never.
    public var every = 4000
    /// Which rates decay.
    public var scope = DecayScope.all

    /// Creates the defaults.
    public init() {}
}

/// β₁, β₂ and ε of an Adam optimiser.
public struct AdamConfiguration: Sendable, Equatable {
    /// Decay of the running mean of gradients.
    public var beta1: Double
    /// Decay of the running mean of squared gradients.
    public var beta2: Double
    /// Added to the root in the denominator.
    public var epsilon: Double

    /// Creates the settings.
    public init(beta1: Double, beta2: Double, epsilon: Double = 1e-8) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
    }
}

/// Length and optimisers of the phases: `training` in the file.
public struct TrainingConfiguration: Sendable, Equatable {
    /// Seed of weights, order, augmentation, dropout and policy noise.
    public var seed = 1
    /// Images per step.
    public var batch = 16
    /// Into how many equal parts a step's images are divided, each of which is computed alone.
    public var shards = 1
    /// Iterations between two lines of the log.
    public var logEvery = 20
    /// Iterations between two checkpoints.
    public var checkpointEvery = 200
    /// Iterations between two evaluations; 0 = at the ends of phases only.
    public var evaluateEvery = 0
    /// Iterations between two comparisons of the parameters of all processes that train together; 0 = never.
    public var verifyEvery = 1000
    /// Whether the run is written for TensorBoard too.
    public var tensorboard = true
    /// Hard sharing, weights only.
    public var warmup = PhaseConfiguration(iterations: 4000)
    /// Weights and policy in turn; a weight step and a logit step each count one.
    public var policy = PhaseConfiguration(iterations: 16_000)
    /// Weights under each candidate for the discrete policy in turn, an equal part of the steps for each.
    public var trials = PhaseConfiguration(iterations: 0)
    /// Fixed policy, weights only.
    public var retrain = RetrainConfiguration()
    /// Rates of the weight optimisers.
    public var learningRate = LearningRateConfiguration()
    /// Step decay in warm-up and retraining.
    public var learningRateDecay = LearningRateDecayConfiguration()
    /// Coupled (L2) decay of all weights.
    public var weightDecay = 1e-4
    /// SGD momentum of the weights in policy learning.
    public var momentum = 0.9
    /// Adam of the weights in warm-up and retraining.
    public var adam = AdamConfiguration(beta1: 0.5, beta2: 0.999)
    /// Whether the backward pass computes the blocks' branches again instead of keeping their activations.
    public var recompute = false
    /// Whether convolutions keep to algorithms that round as the plain sum does.
    public var exactConvolutions = false
    /// Whether hard sharing is trained too, for the retraining's iterations, to compare with.
    public var hardSharingBaseline = false
    /// Widths, as factors on the model's, at which hard sharing is trained too.
    public var narrowBaselines: [Double] = []

    /// Creates the defaults.
    public init() {}
}
