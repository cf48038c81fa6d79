/// A convolution and the batch norm from running statistics behind it, which becomes its epilogue; inputs of the
/// convolution, then γ, β, running mean, running variance and, as the tail wants it, the residual.
public struct ConvolutionBatchNorm: LowerableOperator {
    let convolution: Convolution
    let batchNorm: BatchNormInference

    /// Both in one; nil where an epilogue cannot do what the batch norm does.
    public init?(_ convolution: Convolution, _ batchNorm: BatchNormInference) {
        let known = convolution.epilogue
        if case .mix = batchNorm.tail { return nil }
        guard !known.hasAffine, !known.hasResidual, !known.relu else { return nil }
        self.convolution = convolution
        self.batchNorm = batchNorm
    }

    public var lowerable: (any LowerableOperator)? { self }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { convolution.outputShapes(inputs) }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        convolution.multiplyAccumulates(inputs: inputs, outputs: outputs)
    }

    public func lowered(_ inputs: [Value], _ outputs: [Value], in lowering: any Lowering) -> LoweredApplication {
        var epilogue = convolution.epilogue
        let own = ConvolutionEpilogue.firstInput + (epilogue.hasBias ? 1 : 0)
        let (statistics, operands) = (inputs[own..<(own + 4)], inputs[(own + 4)...])
        let affine = lowering.prepare(batchNorm.affine, Array(statistics))
        epilogue.hasAffine = true
        epilogue.hasResidual = batchNorm.tail == .addReLU
        epilogue.relu = batchNorm.tail != .none
        return Convolution(convolution.geometry, epilogue: epilogue, element: convolution.element)
            .lowered(Array(inputs[..<own]) + affine + operands, outputs, in: lowering)
    }
}

extension Convolution {
    /// The same with a residual, a further input behind the others; nil if it has one, or does more behind it.
    public var addingResidual: Convolution? {
        guard !epilogue.hasResidual, !epilogue.relu else { return nil }
        var epilogue = epilogue
        epilogue.hasResidual = true
        return Convolution(geometry, epilogue: epilogue, element: element)
    }
}
