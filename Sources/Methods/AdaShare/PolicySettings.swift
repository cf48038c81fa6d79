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

    public init(form: CostForm, weight: Double, blockShares: [Double]) {
        self.blockShares = blockShares
        self.form = form
        self.weight = weight
    }
}

/// Weights, forms and sampling of the policy update.
public struct PolicySettings: Hashable, Sendable {
    public var straightThrough: Bool
    /// λ_sp and λ_sh.
    public var sparsity: Double
    public var sharing: Double
    public var sparsityForm: RegulariserForm
    public var sharingForm: RegulariserForm
    /// Weights each block 2l/L in the sparsity loss.
    public var layered: Bool
    /// Steers the expected cost of the blocks; nil leaves it free.
    public var budget: CostBudget?
    /// Reads the uniforms from inputs `noise/task<k>` instead of drawing them, for comparisons with given noise.
    public var noiseGiven: Bool

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
