import DeviceLayer

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
    /// - Returns: one value per output.
    func recompute(inputs: [Value], outputs: [Value], in recorder: any Recorder) -> [Value]
    /// The operator itself if it has a gradient, else nil; cheaper to ask than a cast.
    var differentiable: (any DifferentiableOperator)? { get }
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
    public var isEager: Bool { false }
    public var recomputation: Recomputation { .never }
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
    public let inputs: [Value]
    public let outputs: [Value]
    /// Gradients of the outputs; nil where an output does not reach the loss.
    public let gradients: [Value?]
    /// Which input gradients are needed.
    public let wanted: [Bool]

    public init(inputs: [Value], outputs: [Value], gradients: [Value?], wanted: [Bool]) {
        self.inputs = inputs
        self.outputs = outputs
        self.gradients = gradients
        self.wanted = wanted
    }
}

/// Where operators are recorded; the graph is the one implementation.
public protocol Recorder: AnyObject {
    /// The kernel family the graph will run on; packing of weights depends on it.
    var family: KernelFamily { get }
    /// Whether convolutions keep to algorithms that round as the plain sum does.
    var exactConvolutions: Bool { get }
    /// The step buffer (`StepState`): step, seed, phase, temperature, rates.
    var step: Value { get }
    /// Applies an operator; equal applications give the same values.
    func record(_ operation: any Operator, _ inputs: [Value]) -> [Value]
}

/// A tensor bound to device memory.
public struct Operand {
    public let buffer: DeviceBuffer
    public let shape: Shape

    public init(buffer: DeviceBuffer, shape: Shape) {
        self.buffer = buffer
        self.shape = shape
    }
}

/// One kernel with its arguments set, ready to be enqueued any number of times.
public struct KernelLaunch {
    public let kernel: Kernel
    public let size: WorkSize
}

/// Collects the launches of one operator application.
public struct LaunchEncoder {
    public let library: KernelLibrary
    public let inputs: [Operand]
    public let outputs: [Operand]
    public let workspace: DeviceBuffer?
    public private(set) var launches: [KernelLaunch] = []
    private let label: String

    public init(
        library: KernelLibrary, inputs: [Operand], outputs: [Operand], workspace: DeviceBuffer?, label: String = ""
    ) {
        self.library = library
        self.inputs = inputs
        self.outputs = outputs
        self.workspace = workspace
        self.label = label
    }

    /// Appends a launch of `kernel` from `Kernels/<file>.cl`.
    ///
    /// - Parameter multiplyAccumulates: of the operator's `multiplyAccumulates`, those that this launch stands for.
    public mutating func launch(
        _ file: String, _ kernel: String, options: [String] = [], _ arguments: [KernelArgument], _ size: WorkSize,
        multiplyAccumulates: Int = 0
    ) throws {
        let compiled = try library.kernel(file: file, name: kernel, options: options)
        try compiled.setArguments(arguments)
        compiled.multiplyAccumulates = multiplyAccumulates
        if !label.isEmpty { compiled.label = label }
        launches.append(KernelLaunch(kernel: compiled, size: size))
    }

    func input(_ i: Int) -> KernelArgument { .buffer(inputs[i].buffer) }
    func output(_ i: Int) -> KernelArgument { .buffer(outputs[i].buffer) }
    /// The workspace the operator asked for.
    var scratch: KernelArgument {
        guard let workspace else { preconditionFailure("operator encodes with a workspace it did not ask for") }
        return .buffer(workspace)
    }
    /// The vectors of a tensor, as kernels of this family count them.
    func vectors(_ shape: Shape) -> Int { shape.storedCount / library.family.vectorWidth }
    /// The vectors of one row of a tensor.
    func rowVectors(_ shape: Shape) -> Int { shape.storedChannels / library.family.vectorWidth }
}

extension KernelArgument {
    /// A 32-bit integer argument.
    static func int(_ value: Int) -> KernelArgument { .int(Int32(value)) }
    static func float(_ value: Double) -> KernelArgument { .float(Float(value)) }
    static func flag(_ value: Bool) -> KernelArgument { .int(Int32(value ? 1 : 0)) }
}
