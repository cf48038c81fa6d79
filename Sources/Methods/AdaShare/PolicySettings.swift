import AdaShareLayers
import AdaShareModels
import AdaShareOperators

/// How policy learning is steered to a cost, which stands in the step buffer.
public struct CostBudget: Hashable, Sendable {
    /// How costs add up.
    public var form: CostForm
    /// λ of |expected share − budget|.
    public var weight: Double

    /// Cost of each block as a share of all blocks.
    public var blockShares: [Double]

    /// Creates a budget.
    ///
    /// - Parameters:
    ///   - form: how costs add up.
    ///   - weight: λ of |expected share − budget|.
    ///   - blockShares: cost of each block as a share of all blocks, bottom to top.
    public init(form: CostForm, weight: Double, blockShares: [Double]) {
        self.blockShares = blockShares
        self.form = form
        self.weight = weight
    }
}

/// What the steps of policy learning compute: sampling, regularisers, and how weights and logits move.
public struct PolicySettings: Hashable, Sendable {
    /// Whether the forward pass takes the one-hot of the Gumbel-Softmax sample, with the gradient of the soft sample.
    public var straightThrough: Bool
    /// λ_sp, the weight of the sparsity loss.
    public var sparsity: Double
    /// λ_sh, the weight of the sharing loss.
    public var sharing: Double
    /// Formula of the sparsity loss.
    public var sparsityForm: RegulariserForm
    /// Formula of the sharing loss.
    public var sharingForm: RegulariserForm
    /// Weights each block 2l/L in the sparsity loss.
    public var layered: Bool
    /// Steers the expected cost of the blocks; nil leaves it free.
    public var budget: CostBudget?
    /// Reads the uniforms from inputs `noise/task<k>` instead of drawing them, for comparisons with given noise.
    public var noiseGiven: Bool
    /// How the weights move.
    public var weightRule: UpdateRule
    /// How the logits move.
    public var logitRule: UpdateRule

    /// Creates settings; without a budget the expected cost is free, and the rules are those published for NYU v2.
    ///
    /// - Parameters:
    ///   - straightThrough: whether the forward pass takes the one-hot of the sample.
    ///   - sparsity: λ_sp.
    ///   - sharing: λ_sh.
    ///   - sparsityForm: formula of the sparsity loss.
    ///   - sharingForm: formula of the sharing loss.
    ///   - layered: whether the sparsity loss weighs block l by 2l/L.
    ///   - budget: what steers the expected cost of the blocks.
    ///   - noiseGiven: whether uniforms are inputs instead of draws.
    ///   - weightRule: how the weights move.
    ///   - logitRule: how the logits move.
    public init(
        straightThrough: Bool = false, sparsity: Double = 0, sharing: Double = 0,
        sparsityForm: RegulariserForm = .published, sharingForm: RegulariserForm = .paper, layered: Bool = false,
        budget: CostBudget? = nil, noiseGiven: Bool = false,
        weightRule: UpdateRule = .sgd(momentum: 0.9, weightDecay: 1e-4),
        logitRule: UpdateRule = .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 5e-4)
    ) {
        self.straightThrough = straightThrough
        self.sparsity = sparsity
        self.sharing = sharing
        self.sparsityForm = sparsityForm
        self.sharingForm = sharingForm
        self.layered = layered
        self.budget = budget
        self.noiseGiven = noiseGiven
        self.weightRule = weightRule
        self.logitRule = logitRule
    }
}

extension PolicySettings {
    /// The settings of a configuration.
    ///
    /// - Parameters:
    ///   - settings: the configuration.
    ///   - costs: what a budget is counted in; nil for steps that are planned or timed and train nothing, where blocks
    ///     count alike.
    public init(_ settings: MethodSettings, costs: PartCosts? = nil) {
        let (policy, training, blocks) = (settings.policy, settings.training, settings.architecture.blocks.count)
        let shares = costs?.blockShares ?? [Double](repeating: 1 / Double(blocks), count: blocks)
        self.init(
            straightThrough: policy.sampling == .straightThrough, sparsity: policy.sparsity, sharing: policy.sharing,
            sparsityForm: policy.sparsityForm, sharingForm: policy.sharingForm,
            layered: policy.sparsityLayerWeights && policy.sharing == 0,
            budget: policy.hasBudget
                ? CostBudget(form: policy.cost, weight: policy.budgetWeight, blockShares: shares) : nil,
            weightRule: .sgd(momentum: training.momentum, weightDecay: training.weightDecay),
            logitRule: .adam(
                beta1: policy.adam.beta1, beta2: policy.adam.beta2, epsilon: policy.adam.epsilon,
                weightDecay: policy.weightDecay))
    }
}
