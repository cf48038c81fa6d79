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

/// Weights, forms and sampling of the policy update.
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

    /// Creates settings; without a budget the expected cost is free.
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
    public init(
        straightThrough: Bool = false, sparsity: Double, sharing: Double, sparsityForm: RegulariserForm = .published,
        sharingForm: RegulariserForm = .paper, layered: Bool = false, budget: CostBudget? = nil,
        noiseGiven: Bool = false
    ) {
        self.straightThrough = straightThrough
        self.sparsity = sparsity
        self.sharing = sharing
        self.sparsityForm = sparsityForm
        self.sharingForm = sharingForm
        self.layered = layered
        self.budget = budget
        self.noiseGiven = noiseGiven
    }
}
