import AdaShareDeviceLayer

/// dx from dy: a convolution of dy with flipped weights; inputs dy [N, P, Q, K], w [R, S, C, K].
///
/// Lowered, it knows its algorithm, and w is packed for that.
public struct ConvolutionInputGradient: ConvolutionPass {
    public let geometry: ConvolutionGeometry
    /// Of x, however that is stored.
    public let inputShape: Shape
    public var choice: ConvolutionChoice?
    public var packsFlipped: Bool? { true }

    init(_ geometry: ConvolutionGeometry, inputShape: Shape) {
        self.geometry = geometry
        self.inputShape = inputShape
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [result] }

    /// dx has pads even where x has none.
    private var result: Shape { inputShape.withPads }

    public func problem(_ inputs: [Shape], _ outputs: [Shape]) -> ConvolutionProblem {
        ConvolutionProblem(.dataGradient, geometry, input: inputShape, outputs: inputs[0].channels)
    }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        inputs[0].count * inputShape.channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        precondition(geometry.kernelHeight == geometry.kernelWidth, "input gradients need square kernels")
        let work = multiplyAccumulates(inputs: e.inputs, outputs: e.outputs)
        if let winograd = winograd(e.inputs[0]) {
            try winograd.encode(
                &e, weights: .input(1), of: e.inputs[1], epilogue: ConvolutionEpilogue(),
                multiplyAccumulates: work)
        } else if algorithm == .clblast {
            e.multiply(
                .inputGradient(e.inputs[0], result), left: .input(0), right: .input(1), result: .output(0),
                multiplyAccumulates: work)
        } else {
            try ConvolutionGather(
                geometry: geometry, divisor: geometry.stride, padding: padding, algorithm: algorithm
            )
            .encode(
                &e, x: e.inputs[0], packed: .input(1), epilogue: ConvolutionEpilogue(), multiplyAccumulates: work)
        }
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        if algorithm == .clblast { return MatrixProduct.inputGradient(inputs[0], result).scratchByteCount }
        return winograd(inputs[0])?.workspaceByteCount ?? 0
    }

    /// Padding of dy.
    private var padding: Int { geometry.dilation * (geometry.kernelHeight - 1) - geometry.padding }

    private func winograd(_ dy: Shape) -> WinogradConvolution? {
        cover(of: result).map {
            WinogradConvolution(x: dy, y: result, padding: padding, flipped: true, cover: $0)
        }
    }
}

/// dw from x and dy, in canonical layout [R, S, C, K].
public struct ConvolutionWeightGradient: ConvolutionPass {
    public let geometry: ConvolutionGeometry
    /// Of dw, [R, S, C, K].
    public let weightShape: Shape
    public var choice: ConvolutionChoice?
    public var packsFlipped: Bool? { nil }

    init(_ geometry: ConvolutionGeometry, weightShape: Shape) {
        self.geometry = geometry
        self.weightShape = weightShape
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [weightShape] }

    public func problem(_ inputs: [Shape], _ outputs: [Shape]) -> ConvolutionProblem {
        ConvolutionProblem(.weightGradient, geometry, input: inputs[0], outputs: weightShape.channels)
    }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        inputs[1].count * inputs[0].channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        if algorithm == .clblast { return MatrixProduct.weightGradient(inputs[0], inputs[1]).scratchByteCount }
        return winograd(inputs[0], inputs[1])?.workspaceByteCount
            ?? direct(inputs[0], inputs[1], family).workspaceByteCount
    }

    private func direct(_ x: Shape, _ dy: Shape, _ family: KernelFamily) -> DirectWeightGradient {
        DirectWeightGradient(
            geometry: geometry, x: x, dy: dy, weights: weightShape, family: family, algorithm: algorithm)
    }

    private func winograd(_ x: Shape, _ dy: Shape) -> WinogradWeightGradient? {
        cover(of: dy).map {
            WinogradWeightGradient(x: x, dy: dy, padding: geometry.padding, cover: $0)
        }
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (x, dy) = (e.inputs[0], e.inputs[1])
        let work = multiplyAccumulates(inputs: [x, dy], outputs: [weightShape])
        if let winograd = winograd(x, dy) {
            try winograd.encode(&e, multiplyAccumulates: work)
        } else if algorithm == .clblast {
            e.multiply(
                .weightGradient(x, dy), left: .input(0), right: .input(1), result: .output(0), multiplyAccumulates: work
            )
        } else {
            try direct(x, dy, e.library.family).encode(&e, multiplyAccumulates: work)
        }
    }
}
