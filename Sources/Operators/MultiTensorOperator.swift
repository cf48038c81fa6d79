import AdaShareDeviceLayer

/// An update of small tensors, many of which one launch can do: each element moves as by itself, to the same bits.
///
/// Inputs are those of each tensor, tensor after tensor, then those that all have in common. The tensors are of one
/// shape: what is launched then depends on that and their number alone, however they change from plan to plan.
public protocol MultiTensorOperator: Operator {
    /// Inputs of each tensor.
    static var inputsPerTensor: Int { get }
    /// Of the inputs of a tensor, those that are changed.
    static var mutatedPerTensor: [Int] { get }
    /// Tensors at most: OpenCL has no arrays of buffers, and promises room for 1024 bytes of arguments. Mirrors the
    /// kernel's list of parameters.
    static var mostTensors: Int { get }
    /// How many there are.
    var tensors: Int { get }
    /// The same for another number of tensors.
    func of(tensors: Int) -> Self
}

extension MultiTensorOperator {
    public var multiTensor: (any MultiTensorOperator)? { self }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let each = Self.inputsPerTensor
        for start in stride(from: each, to: tensors * each, by: each) {
            precondition(inputs[start..<start + each] == inputs[..<each], "tensors of several shapes")
        }
        return []
    }
    public var mutatedInputs: [Int] {
        guard tensors > 1 else { return Self.mutatedPerTensor }
        return (0..<tensors).flatMap { tensor in
            Self.mutatedPerTensor.map { tensor * Self.inputsPerTensor + $0 }
        }
    }

    /// Appends the launch for one tensor or for several, whose kernel is called `<kernel>_tensors` and takes buffers
    /// for as many as there can be.
    ///
    /// - Parameters:
    ///   - file: name of the kernels' file, without ending.
    ///   - kernel: that of one tensor.
    ///   - numbers: arguments behind the buffers.
    ///   - vectors: of each tensor: the last argument.
    ///   - size: of the launch for one.
    ///   - e: takes the launch.
    func launch(
        _ file: String, _ kernel: String, _ numbers: [LaunchArgument], vectors: Int, _ size: WorkSize,
        on e: inout LaunchEncoder
    ) {
        let own = tensors * Self.inputsPerTensor
        let common = (own..<e.inputs.count).map(LaunchArgument.input)
        let buffers = (0..<own).map(LaunchArgument.input)
        guard tensors > 1 else {
            return e.launch(file, kernel, buffers + common + numbers + [.int(vectors)], size)
        }
        precondition(tensors <= Self.mostTensors, "\(tensors) tensors for a kernel of \(Self.mostTensors)")
        let missing = (Self.mostTensors - tensors) * Self.inputsPerTensor
        let unused = [LaunchArgument](repeating: .zeros, count: missing)
        let groups = tensors * ((vectors + e.library.tensorSpan - 1) / e.library.tensorSpan)
        e.launch(
            file, kernel + "_tensors", buffers + unused + common + numbers + [.int(vectors)], e.library.groups(groups))
    }
}
