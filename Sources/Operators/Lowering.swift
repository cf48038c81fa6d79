/// An operator of a traced graph that no kernel computes as it is: lowering replaces it.
public protocol LowerableOperator: Operator {
    /// What computes the same outputs on a kernel family.
    ///
    /// - Parameters:
    ///   - inputs: what the operator reads.
    ///   - outputs: what it computes.
    ///   - lowering: takes what has to run before.
    func lowered(_ inputs: [Value], _ outputs: [Value], in lowering: any Lowering) -> LoweredApplication
}

extension LowerableOperator {
    public func encode(_ encoder: inout LaunchEncoder) throws {
        preconditionFailure("\(self) has no kernels of its own: it is lowered first")
    }
}

/// An operator with kernels, and what it reads.
public struct LoweredApplication {
    /// What computes the outputs.
    public let operation: any Operator
    /// What it reads.
    public let inputs: [Value]

    /// Creates the application.
    public init(_ operation: any Operator, _ inputs: [Value]) {
        self.operation = operation
        self.inputs = inputs
    }
}

/// The rewriting of a traced graph for one kernel family.
public protocol Lowering: AnyObject {
    /// The kernels that will run.
    var family: KernelFamily { get }
    /// Which algorithm computes each convolution.
    var choices: AlgorithmChoices { get }
    /// Whether a value stays as it is from step to step: a parameter, where the graph changes none.
    func isConstant(_ value: Value) -> Bool
    /// The algorithm of a problem under these choices.
    func algorithm(for problem: ConvolutionProblem) -> ConvolutionAlgorithm
    /// Applies an operator before the one that is being lowered; equal applications give the same values.
    func prepare(_ operation: any Operator, _ inputs: [Value]) -> [Value]
}
