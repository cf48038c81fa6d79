/// Tensors of one shape and, behind them, the weights that they are added with: inputs of the operators that join the
/// features of several tasks.
struct MixedTensors {
    /// Of every tensor.
    let shape: Shape
    /// How many there are.
    let count: Int
    let weights: Shape

    /// Checks the inputs of an operator.
    ///
    /// - Parameter fits: whether the weights are enough for that many tensors of the shape.
    /// - Precondition: at least one tensor, all of one shape; float32 weights that fit.
    init(_ inputs: [Shape], fits: (MixedTensors) -> Bool) {
        let terms = inputs.dropLast()
        precondition(!terms.isEmpty && terms.allSatisfy { $0 == inputs[0] }, "cannot mix \(inputs)")
        (shape, count, weights) = (inputs[0], terms.count, inputs[inputs.count - 1])
        precondition(
            weights.element == .float32 && fits(self), "weights \(weights) of \(count) tensors \(shape)")
    }
}

extension LaunchEncoder {
    /// Appends launches that add all inputs but the last one, the weights, into the first output: up to four at a time,
    /// each launch on top of what those before it have computed.
    ///
    /// - Parameters:
    ///   - file: name of the kernel's file, without ending.
    ///   - kernel: name of the function, whose arguments are four tensors, the weights, the output and `others`.
    ///   - others: the arguments of a launch by its first tensor, how many of the four there are, and whether it adds
    ///     to the output.
    mutating func launchInFours(
        _ file: String, _ kernel: String, others: (_ first: Int, _ count: Int, _ adds: Bool) -> [LaunchArgument]
    ) {
        let (shape, terms) = (inputs[0], inputs.count - 1)
        let n = vectors(shape)
        for first in stride(from: 0, to: terms, by: 4) {
            let count = min(4, terms - first)
            // What is not there is not read.
            let tensors = (0..<4).map { LaunchArgument.input(first + min($0, count - 1)) }
            launch(
                file, kernel,
                tensors + [.input(terms), .output(0)] + others(first, count, first > 0)
                    + [.int(n), .int(rowVectors(shape))], library.range(n))
        }
    }
}
