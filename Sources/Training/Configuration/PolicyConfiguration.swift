import Operators

/// How decisions are sampled in policy learning.
public enum PolicySampling: String, Sendable, CaseIterable, ConfigurationChoice {
    /// Gumbel-Softmax weights mix both branches.
    case soft
    /// One-hot forward, gradient of the soft sample.
    case straightThrough = "straight_through"
    /// A discrete draw each step, of which only the selected blocks are executed.
    case hardSkip = "hard_skip"
}

/// What the logits start from; `initial_scale` is its number.
public enum InitialChoice: String, Sendable, CaseIterable, ConfigurationChoice {
    /// Both logits of every block equal the scale.
    case equal
    /// Normal with the scale as standard deviation.
    case normal
    /// Select 0, skip minus the scale.
    case allChosen = "all_chosen"

    /// The scale where the file gives none.
    public var defaultScale: Double {
        switch self {
        case .equal: 0.5
        case .normal: 1e-3
        case .allChosen: 3
        }
    }
}

/// How the discrete policy is taken from the probabilities after policy learning.
public enum DiscreteChoice: String, Sendable, CaseIterable, ConfigurationChoice {
    /// Select where α ≥ ½.
    case argmax
    /// Bernoulli(α) per block and task, within the budget if there is one.
    case sample
    /// The most probable policy that costs at most the budget.
    case budget
}

/// Length of one half of an alternation.
public enum AlternationLength: Sendable, Equatable {
    /// One pass of the half's split.
    case epoch
    /// This many iterations.
    case iterations(Int)
}

/// The two halves of a policy epoch: `policy.alternation`.
public struct AlternationConfiguration: Sendable, Equatable {
    /// Weight steps on `train1`.
    public var weights = AlternationLength.epoch
    /// Logit steps on `train2`.
    public var logits = AlternationLength.epoch

    /// Creates the defaults.
    public init() {}
}

/// Policy learning and the draw of the discrete policy: `policy` in the file.
public struct PolicyConfiguration: Sendable, Equatable {
    /// λ_sp, the weight of the sparsity loss.
    public var sparsity = 0.001
    /// λ_sh, the weight of the sharing loss.
    public var sharing = 0.05
    /// Formula of the sparsity loss.
    public var sparsityForm = RegulariserForm.published
    /// Formula of the sharing loss.
    public var sharingForm = RegulariserForm.paper
    /// Published sparsity without sharing: weigh block l by 2l/L.
    public var sparsityLayerWeights = false
    /// How decisions are sampled.
    public var sampling = PolicySampling.soft
    /// Cost of the backbone to steer to and to stay within, as a share of hard sharing's; nil leaves it free.
    public var budget: Double?
    /// What the budget charges.
    public var cost = CostForm.shared
    /// Weight of the distance from the budget.
    public var budgetWeight = 1.0
    /// Policy epochs per block that the curriculum opens.
    public var curriculumSpeed = 3
    /// τ of the first policy epoch.
    public var temperature = 5.0
    /// Factor on τ after each policy epoch.
    public var temperatureDecay = 0.965
    /// Adam rate of the logits.
    public var learningRate = 0.01
    /// Coupled (L2) decay of the logits.
    public var weightDecay = 5e-4
    /// Adam of the logits.
    public var adam = AdamConfiguration(beta1: 0.9, beta2: 0.999)
    /// What the logits start from.
    public var initial = InitialChoice.equal
    /// The number that `initial` speaks of.
    public var initialScale = InitialChoice.equal.defaultScale
    /// Lengths of the two halves of a policy epoch.
    public var alternation = AlternationConfiguration()
    /// How the discrete policy is taken from the probabilities.
    public var discrete = DiscreteChoice.sample
    /// Policies drawn by `sample`; the best is kept.
    public var samples = 8

    /// Creates the defaults.
    public init() {}
}
