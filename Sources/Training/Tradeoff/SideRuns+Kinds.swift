import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareSupport
import Foundation

extension SideRuns {
    /// What a side run trains.
    public enum Kind: Sendable, Hashable {
        /// Retraining under the discrete policy that was chosen for a budget.
        case budget(PolicyBudget)
        /// Hard sharing at so many times the width.
        case narrow(Double)

        /// Whether it is one of several policies, not of several widths.
        var isBudget: Bool {
            switch self {
            case .budget: true
            case .narrow: false
            }
        }

        /// Its folder in the run's.
        public var folder: String {
            switch self {
            case .budget(let budget): "\(RunDirectory.Entry.retrainings.name)/\(budget.name)"
            case .narrow(let factor): "\(RunDirectory.Entry.narrowed.name)/\(PolicyBudget.share(factor).name)"
            }
        }

        /// What tables and pictures call it.
        package var name: String {
            switch self {
            case .budget(let budget): "policy at \(budget.name)"
            case .narrow(let factor): "hard sharing, \(PolicyBudget.share(factor).name) × as wide"
            }
        }

        /// What is done while it is trained.
        var activity: String {
            switch self {
            case .budget(let budget): "retraining at \(budget.name)"
            case .narrow: name
            }
        }
    }

    /// Whether a run ends with a comparison of times: where its cost was asked for, and it belongs to no other run, to
    /// which that is left.
    ///
    /// - Parameters:
    ///   - configuration: of the run.
    ///   - isPart: whether the run belongs to another one.
    public static func areWanted(_ configuration: ExperimentConfiguration, isPart: Bool = false) -> Bool {
        !isPart && configuration.method.chosen.comparesCosts && configuration.training.retrain.iterations > 0
            && (configuration.policy.hasBudget || !configuration.training.narrowBaselines.isEmpty)
    }

    /// What a configuration asks for, in order.
    ///
    /// - Parameters:
    ///   - configuration: whose `policy.budgets` and `training.narrow_baselines` are read.
    ///   - isPolicyGiven: then no budget is retrained.
    public static func kinds(_ configuration: ExperimentConfiguration, isPolicyGiven: Bool) -> [Kind] {
        (isPolicyGiven ? [] : configuration.policy.budgets.map(Kind.budget))
            + configuration.training.narrowBaselines.map(Kind.narrow)
    }
}

extension RunDirectory {
    /// What the runs that belong to this one have ended with, each with what was done in it; those that have not ended
    /// are left out.
    ///
    /// - Parameter kinds: what was asked for; of budgets that came to one policy one was trained.
    /// - Throws: `InputError` if a summary is damaged.
    package func summaries(of kinds: [SideRuns.Kind]) throws -> [(activity: String, summary: RunSummary)] {
        try networks(of: kinds).filter { $0.kind == $0.trained }.compactMap { kind, _ in
            let folder = url.appendingPathComponent(kind.folder)
            let summary: RunSummary? = try JSONText.readFileIfThere(Entry.summary.url(in: folder))
            return summary.map { (kind.activity, $0) }
        }
    }

    /// Side runs, each with the one that trains its network: that of an earlier budget, where both have come to one
    /// policy. Before there are policies, each has its own.
    package func networks(of kinds: [SideRuns.Kind]) -> [(kind: SideRuns.Kind, trained: SideRuns.Kind)] {
        struct Decisions: Decodable { let tasks: [String: [Int]] }
        var known: [(tasks: [String: [Int]], kind: SideRuns.Kind)] = []
        return kinds.map { kind in
            guard case .budget(let budget) = kind, let data = try? Data(contentsOf: policy(of: budget)),
                let tasks = try? JSONText.read(Decisions.self, data).tasks
            else { return (kind, kind) }
            if let twin = known.first(where: { $0.tasks == tasks }) { return (kind, twin.kind) }
            known.append((tasks, kind))
            return (kind, kind)
        }
    }
}
