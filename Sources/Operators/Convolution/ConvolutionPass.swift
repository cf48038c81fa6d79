/// How a pass of a convolution is computed on a kernel family.
public struct ConvolutionChoice: Hashable, Sendable {
    /// The algorithm.
    public let algorithm: ConvolutionAlgorithm
    var memory = WinogradMemory()
    /// Whether its weights are those of `WinogradWeights`.
    var readsTransforms = false
}

/// A pass of a convolution: in a traced graph only what it computes, lowered also how, with weights packed for that.
public protocol ConvolutionPass: LowerableOperator {
    /// Of the forward pass.
    var geometry: ConvolutionGeometry { get }
    /// How it is computed; nil in a traced graph.
    var choice: ConvolutionChoice? { get set }
    /// Whether the weights, its second input, are packed with taps reversed and channels exchanged; nil if it reads
    /// none.
    var packsFlipped: Bool? { get }
    /// What an algorithm is chosen for, from the shapes of inputs and outputs.
    func problem(_ inputs: [Shape], _ outputs: [Shape]) -> ConvolutionProblem
}

extension ConvolutionPass {
    public var lowerable: (any LowerableOperator)? { choice == nil ? self : nil }

    /// What computes the pass.
    ///
    /// - Precondition: it has been lowered.
    public var algorithm: ConvolutionAlgorithm { required.algorithm }

    private var required: ConvolutionChoice {
        guard let choice else { preconditionFailure("\(self) has not been lowered") }
        return choice
    }

    /// The same pass by the algorithm that is chosen for it.
    ///
    /// - Precondition: activations are stored as the algorithm reads and writes them.
    public func lowered(_ inputs: [Value], _ outputs: [Value], in lowering: any Lowering) -> LoweredApplication {
        let problem = problem(inputs.map(\.shape), outputs.map(\.shape))
        let algorithm = lowering.algorithm(for: problem)
        algorithm.require((problem.pass == .weightGradient ? inputs : [inputs[0], outputs[0]]).map(\.shape))
        var operation = self
        operation.choice = ConvolutionChoice(algorithm: algorithm, memory: lowering.choices.winogradMemory)
        var inputs = inputs
        if let packsFlipped {
            let cover = packsFlipped ? nil : operation.cover(of: outputs[0].shape)
            if let transforms = cover.flatMap({ lowering.keptTransforms(inputs[1], $0) }) {
                inputs[1] = transforms
                operation.choice?.readsTransforms = true
            } else {
                inputs[1] = lowering.packedWeights(inputs[1], flipped: packsFlipped, algorithm)
            }
        }
        return LoweredApplication(operation, inputs)
    }

    /// The tiles of Winograd's algorithm over an output; nil for other algorithms.
    func cover(of output: Shape) -> [WinogradTiles]? {
        required.algorithm.requiredCover(of: output, geometry, required.memory)
    }
}
