import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import Yams

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
    /// Of the most probable one within the budget and less probable ones that make more of it, the best on validation.
    case frontier

    /// Whether policies are searched for within a budget.
    package var needsBudget: Bool { self == .budget || self == .frontier }
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
    /// Cost to steer to and to stay within; nil leaves it free.
    public var budget: PolicyBudget?
    /// Budgets that each get a discrete policy of the same probabilities and a retraining of their own.
    public var budgets: [PolicyBudget] = []
    /// What budgets are counted in.
    public var budgetFor = BudgetMeasure.macs
    /// How budgets add up.
    public var cost = CostForm.shared
    /// How the steering goes to the budget.
    public var budgetSchedule = BudgetSchedule.constant
    /// Weight of the distance from the budget.
    public var budgetWeight = 1.0
    /// The first blocks, which every task selects; the policy of the others is learned.
    public var sharedBlocks = 0
    /// Whether blocks get a free policy one after another, from the top; otherwise all have one from the start.
    public var curriculum = true
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

    /// Blocks of a network whose policy is learned: the last ones.
    func learnedBlocks(of architecture: NetworkArchitecture) -> Int { architecture.blocks.count - sharedBlocks }
}

/// How policy learning is led to its budget.
public enum BudgetSchedule: String, Sendable, CaseIterable, ConfigurationChoice {
    /// The budget from the first step on.
    case constant
    /// From everything down to the budget, in a straight line over the first four fifths of the policy epochs.
    case falling

    /// Of the policy epochs, how much the fall takes.
    static let fallingPart = 0.8
}

extension PolicyConfiguration {
    /// The budget that policy learning is steered to: of several the largest, so that there is enough to choose from
    /// for it, and the smaller ones leave out what is least probable; nil leaves the cost free.
    ///
    /// - Parameter costs: what shares and times are of.
    func steered(by costs: PartCosts) -> PolicyBudget? {
        allBudgets.max { $0.share(costs, cost) < $1.share(costs, cost) }
    }

    /// The budget of one policy, or those of several.
    var allBudgets: [PolicyBudget] { budget.map { [$0] } ?? budgets }

    /// Whether the cost is steered.
    public var hasBudget: Bool { !allBudgets.isEmpty }

    /// Whether budgets are counted in measured times.
    public var isTimed: Bool { budgetFor != .macs }
}

extension PolicyConfiguration {
    /// What the branches' expected cost is steered to, by policy epoch, as a share of selecting everything; nil leaves
    /// the cost free.
    ///
    /// - Parameters:
    ///   - costs: what budgets are counted in.
    ///   - epochs: of policy learning.
    func steering(by costs: PartCosts, epochs: Double) -> ((Int) -> Double)? {
        guard let budget = steered(by: costs) else { return nil }
        // More than everything is no aim: it is the most that a policy may cost.
        let share = min(1, budget.share(costs, cost))
        return { epoch in
            let part =
                budgetSchedule == .falling
                ? min(1, Double(epoch) / max(1, BudgetSchedule.fallingPart * (epochs - 1))) : 1
            return max(0, costs.blockBudget(1 - (1 - share) * part, cost))
        }
    }
}

extension AlternationLength: ConfigurationInteger {
    public static func expectation(in range: ClosedRange<Int>) -> String {
        "epoch, or a number of iterations \(range.text)"
    }
    public init?(node: Node, in range: ClosedRange<Int>) {
        if node.plain == "epoch" {
            self = .epoch
        } else {
            guard let count = Int(node: node, in: range) else { return nil }
            self = .iterations(count)
        }
    }
    public var node: Node {
        switch self {
        case .epoch: Node("epoch")
        case .iterations(let count): count.node
        }
    }
}
