import AdaShareDeviceLayer

/// A primitive of the graph: what it computes is its type and attributes, nothing else.
///
/// Two operators that compare equal and read the same values compute the same result; value numbering relies on it.
public protocol Operator: Hashable, Sendable {
    /// Shapes of the outputs. Mismatched inputs are a programmer's error (`precondition`).
    func outputShapes(_ inputs: [Shape]) -> [Shape]
    /// Scratch memory needed during `encode`, in bytes.
    func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int
    /// Inputs (by position) that output `output` may overwrite when they die here.
    func inPlaceInputs(output: Int) -> [Int]
    /// Inputs (by position) changed in place: parameters, optimiser state, running statistics.
    var mutatedInputs: [Int] { get }
    /// Multiply-accumulates of convolutions, as the cost model counts them; 0 for everything else.
    func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int
    /// Whether it runs as soon as it can, as updates do: its output is far smaller than what it is the last to read.
    var isEager: Bool { get }
    /// Whether the outputs are computed again for the backward pass.
    var recomputation: Recomputation { get }
    /// Records the application that computes the outputs again, to the same bits.
    ///
    /// - Parameters:
    ///   - inputs: the inputs, themselves computed again where that was due.
    ///   - outputs: of the forward pass; small ones may be kept and used.
    ///   - recorder: takes the application.
    /// - Returns: one value per output.
    func recompute(inputs: [Value], outputs: [Value], in recorder: any Recorder) -> [Value]
    /// Whether the other one is of the same type and equal; cheaper than `AnyHashable`.
    func equals(_ other: any Operator) -> Bool
    /// The operator itself if it has a gradient, else nil; cheaper to ask than a cast.
    var differentiable: (any DifferentiableOperator)? { get }
    /// The operator itself if lowering replaces it, else nil.
    var lowerable: (any LowerableOperator)? { get }
    /// The operator itself if one launch can do several, else nil.
    var multiTensor: (any MultiTensorOperator)? { get }
    /// Appends the kernel launches that compute the outputs.
    ///
    /// - Throws: `DeviceError` if a kernel does not compile.
    func encode(_ encoder: inout LaunchEncoder) throws
}

extension Operator {
    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int { 0 }
    public func inPlaceInputs(output: Int) -> [Int] { [] }
    public var mutatedInputs: [Int] { [] }
    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int { 0 }
    public var differentiable: (any DifferentiableOperator)? { nil }
    public var lowerable: (any LowerableOperator)? { nil }
    public var multiTensor: (any MultiTensorOperator)? { nil }
    public var isEager: Bool { false }
    public var recomputation: Recomputation { .never }
    public func equals(_ other: any Operator) -> Bool {
        // A conditional cast takes longer than all else.
        func isSame<Other: Operator>(_ other: Other) -> Bool {
            Other.self == Self.self && unsafeBitCast(other, to: Self.self) == self
        }
        return isSame(other)
    }
    public func recompute(inputs: [Value], outputs: [Value], in recorder: any Recorder) -> [Value] {
        recorder.record(self, inputs)
    }
}

/// Whether the backward pass computes a value again instead of keeping it since the forward pass.
public enum Recomputation: Sendable {
    /// Always kept.
    case never
    /// Always computed again: one pass over memory, from values the backward pass keeps anyway.
    case always
    /// Computed again where memory is scarcer than time (`Graph.recomputesBranches`).
    case whenAsked
}

/// An operator with a gradient.
public protocol DifferentiableOperator: Operator {
    /// Records the operators that compute the wanted input gradients.
    ///
    /// - Returns: one entry per input; nil where nothing is wanted or the gradient is zero.
    func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?]
}

extension DifferentiableOperator {
    public var differentiable: (any DifferentiableOperator)? { self }
}

/// The application of an operator that is being differentiated.
public struct BackwardCall {
    /// What the operator read.
    public let inputs: [Value]
    /// What it computed.
    public let outputs: [Value]
    /// Gradients of the outputs; nil where an output does not reach the loss.
    public let gradients: [Value?]
    /// Which input gradients are needed.
    public let wanted: [Bool]

    /// Creates the call; gradients are those of the outputs, and one entry of `wanted` belongs to each input.
    public init(inputs: [Value], outputs: [Value], gradients: [Value?], wanted: [Bool]) {
        self.inputs = inputs
        self.outputs = outputs
        self.gradients = gradients
        self.wanted = wanted
    }
}

/// Where operators are recorded: a graph, or what only follows shapes.
public protocol Recorder: AnyObject {
    /// What activations are stored as, unless an operator says otherwise.
    var activations: ElementType { get }
    /// The step buffer (`StepState`): step, seed, phase, temperature, rates.
    var step: Value { get }
    /// Applies an operator; equal applications give the same values.
    func record(_ operation: any Operator, _ inputs: [Value]) -> [Value]
}
