/// Hands values to the processes that compute other parts of the same batch; what follows goes on meanwhile.
///
/// Inputs: a token, which it changes, then the values. It launches nothing: whoever runs the plan does the work, and
/// may put sums where the values are before the end is reached.
public struct ExchangeStart: Operator {
    /// Which exchange of the step it is.
    public let number: Int
    /// What comes of the values.
    public let form: ExchangeForm

    /// Creates the operator.
    public init(number: Int, form: ExchangeForm) { (self.number, self.form) = (number, form) }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.dropFirst().allSatisfy { $0.element == .float32 }, "only float32 values are exchanged")
        return []
    }
    public var mutatedInputs: [Int] { [0] }
    public func encode(_ e: inout LaunchEncoder) {}
}

/// A value's numbers once more, for an exchange to change.
public struct ExchangeCopy: Operator {
    /// Creates the operator, which has no attributes.
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { Scale(1).outputShapes(inputs) }
    public func encode(_ e: inout LaunchEncoder) throws { try Scale(1).encode(&e) }
}

/// What comes of an exchange that was started, when the rest of the step waits for it. Inputs: those of the start.
public struct ExchangeEnd: Operator {
    /// Which exchange of the step it is.
    public let number: Int
    /// What comes of the values.
    public let form: ExchangeForm

    /// Creates the operator.
    public init(number: Int, form: ExchangeForm) { (self.number, self.form) = (number, form) }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        switch form {
        case .sum: Array(inputs.dropFirst())
        case .gather(let ranks): (0..<ranks).flatMap { _ in inputs.dropFirst() }
        }
    }
    /// They were given away when the exchange was started.
    public func inPlaceInputs(output: Int) -> [Int] { form == .sum ? [output + 1] : [] }
    public func encode(_ e: inout LaunchEncoder) {}
}

/// What processes make of each other's values.
public enum ExchangeForm: Hashable, Sendable {
    /// Their sum, in the order of a binary tree.
    case sum
    /// The values of each of so many processes, in their order.
    case gather(ranks: Int)
}
