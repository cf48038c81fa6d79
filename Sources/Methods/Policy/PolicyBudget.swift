import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport
import Yams

/// The most that a policy may cost.
public enum PolicyBudget: Sendable, Hashable {
    /// Of hard sharing's cost, above 0 and at most 1.
    case share(Double)
    /// Of one step, above 0.
    case milliseconds(Double)

    /// How it is written, and what folders and tables call it: `0.6`, `12ms`.
    public var name: String {
        switch self {
        case .share(let share): share.node.scalar?.string ?? "\(share)"
        case .milliseconds(let time): (time.node.scalar?.string ?? "\(time)") + "ms"
        }
    }

    /// For people: `60 % of hard sharing`, `12 ms`.
    public func text(_ form: CostForm) -> String {
        switch self {
        case .share(let share):
            (share < 0.01 ? "\(Float(100 * share)) %" : percent(share)) + " of \(form.base)"
        case .milliseconds(let time): (time < 0.01 ? "\(Float(time))" : readable(time)) + " ms"
        }
    }

    public static let expectation = "a share above 0 and at most 1, or milliseconds such as 12ms"

    /// - Returns: nil for what is neither a share nor milliseconds.
    public init?(_ text: String) {
        let isTime = text.hasSuffix("ms")
        let digits = isTime ? String(text.dropLast(2)).trimmingSuffix(" ") : text
        guard let value = Double(digits), value > 0, value.isFinite, isTime ? value <= 1e9 : value <= 1 else {
            return nil
        }
        self = isTime ? .milliseconds(value) : .share(value)
    }

    /// The most in units of `costs`.
    ///
    /// - Precondition: a time is a budget for times.
    func limit(_ costs: PartCosts, _ form: CostForm) -> Int {
        switch self {
        case .share(let share): return Int((share * Double(costs.hardSharing(form))).rounded(.down))
        case .milliseconds(let time):
            precondition(costs.unit == .nanoseconds, "a budget of milliseconds for \(costs.unit)")
            return Int((time * 1e6).rounded(.down))
        }
    }

    /// As a share of hard sharing's cost.
    func share(_ costs: PartCosts, _ form: CostForm) -> Double {
        if case .share(let share) = self { return share }
        return Double(limit(costs, form)) / Double(costs.hardSharing(form))
    }
}

extension PolicyBudget: ConfigurationValue {
    public init?(node: Node) {
        guard let text = node.plain ?? node.scalar?.string else { return nil }
        self.init(text)
    }

    public var node: Node { Node(name) }
}

/// What budgets are counted in.
public enum BudgetMeasure: String, Sendable, Codable, CaseIterable, ConfigurationChoice {
    /// Multiply-accumulates of the backbone.
    case macs
    /// Measured time of an inference step, heads included.
    case inference
    /// Measured time of a training step, heads included.
    case training
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: Character) -> String {
        var text = self
        while text.last == suffix { text.removeLast() }
        return text
    }
}
