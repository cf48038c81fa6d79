import AdaShareDeviceLayer

/// Kernel extents, stride, dilation and zero padding of a convolution, equal in both axes.
public struct ConvolutionGeometry: Hashable, Sendable {
    /// In pixels.
    public let kernelHeight, kernelWidth, stride, dilation, padding: Int

    /// Creates a geometry.
    public init(kernelHeight: Int, kernelWidth: Int, stride: Int = 1, dilation: Int = 1, padding: Int = 0) {
        self.kernelHeight = kernelHeight
        self.kernelWidth = kernelWidth
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
    }

    /// Output extent of an axis of `size` pixels under a kernel of `kernel` taps.
    func outputSize(_ size: Int, kernel: Int) -> Int {
        (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1
    }

    func outputShape(_ x: Shape, channels: Int, element: ElementType = .float32) -> Shape {
        Shape(
            [x.batch, outputSize(x.height, kernel: kernelHeight), outputSize(x.width, kernel: kernelWidth), channels],
            element: element)
    }
}

extension Recorder {
    /// Records y = max(scale · (x ∗ w + b) + shift + residual, 0), of which only x ∗ w is always there.
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - weights: [R, S, C, K], canonical layout.
    ///   - bias: [K], or nil.
    ///   - affine: scale [K] and shift [K], or nil.
    ///   - residual: of y's shape, or nil.
    ///   - relu: whether negative results become 0.
    ///   - stride: pixels of x from one of y to the next.
    ///   - dilation: pixels from tap to tap.
    ///   - padding: zeros beside x, along each axis.
    ///   - element: what y is stored as; nil for what activations are (`Recorder.activations`).
    /// - Returns: y [N, P, Q, K].
    public func convolution(
        _ x: Value, weights: Value, bias: Value? = nil, affine: (scale: Value, shift: Value)? = nil,
        residual: Value? = nil, relu: Bool = false, stride: Int = 1, dilation: Int = 1, padding: Int = 0,
        element: ElementType? = nil
    ) -> Value {
        let kernel = weights.shape
        let geometry = ConvolutionGeometry(
            kernelHeight: kernel[0], kernelWidth: kernel[1], stride: stride, dilation: dilation, padding: padding)
        let epilogue = ConvolutionEpilogue(
            hasBias: bias != nil, hasAffine: affine != nil, hasResidual: residual != nil, relu: relu)
        let operation = Convolution(geometry, epilogue: epilogue, element: element ?? activations)
        let operands = [bias, affine?.scale, affine?.shift, residual].compactMap { $0 }
        return record(operation, [x, weights] + operands)[0]
    }
}

/// y = x ∗ w and what its epilogue adds; inputs x [N, H, W, C], w [R, S, C, K] and the epilogue's operands.
///
/// Lowered, it knows its algorithm, and w is packed for that.
///
/// - Source: kernels `convolution_gather` in `convolution_cpu.cl` and `convolution_gpu.cl`, `convolution_winograd.cl`.
public struct Convolution: ConvolutionPass, DifferentiableOperator {
    public let geometry: ConvolutionGeometry
    /// What follows the sum, in the same launch.
    public let epilogue: ConvolutionEpilogue
    /// What y is stored as.
    public let element: ElementType
    public var choice: ConvolutionChoice?
    public var packsFlipped: Bool? { false }

    /// Creates the operator; `Recorder.convolution` does so for given values.
    public init(
        _ geometry: ConvolutionGeometry, epilogue: ConvolutionEpilogue = ConvolutionEpilogue(),
        element: ElementType = .float32
    ) {
        self.geometry = geometry
        self.epilogue = epilogue
        self.element = element
    }

    public func problem(_ inputs: [Shape], _ outputs: [Shape]) -> ConvolutionProblem {
        ConvolutionProblem(.forward, geometry, input: inputs[0], outputs: outputs[0].channels)
    }

    public var recomputation: Recomputation { .whenAsked }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(
            inputs[0].channels == inputs[1][2],
            "input \(inputs[0]) does not fit weights \(inputs[1]) [R, S, C, K]")
        let y = geometry.outputShape(inputs[0], channels: inputs[1].channels, element: element)
        if let residual = epilogue.residualInput {
            precondition(inputs[residual] == y, "residual \(inputs[residual]) of y \(y)")
        }
        return [y]
    }

    public func inPlaceInputs(output: Int) -> [Int] {
        // A product is stored before the residual is read.
        choice?.algorithm == .clblast ? [] : epilogue.residualInput.map { [$0] } ?? []
    }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        outputs[0].count * inputs[0].channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        if algorithm == .clblast { return MatrixProduct.forward(inputs[0], outputs[0]).scratchByteCount }
        return winograd(inputs[0], outputs[0])?.workspaceByteCount ?? 0
    }

    /// The same with a workspace of at most so many bytes, if holding less at a time loses little time.
    package func fitting(_ bytes: Int, inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Convolution {
        guard let choice, algorithm.isWinograd else { return self }
        let forms = [choice.memory, .slim, .frugal].map { memory in
            var form = self
            form.choice?.memory = choice.memory.limited(by: memory)
            return form
        }
        func needs(_ form: Convolution) -> Int {
            form.workspaceByteCount(inputs: inputs, outputs: outputs, family: family)
        }
        return forms.first { needs($0) <= bytes } ?? forms[forms.count - 1]
    }

    private func winograd(_ x: Shape, _ y: Shape) -> WinogradConvolution? {
        cover(of: y).map {
            WinogradConvolution(
                x: x, y: y, padding: geometry.padding, flipped: false, cover: $0,
                readsTransforms: choice?.readsTransforms ?? false)
        }
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let work = multiplyAccumulates(inputs: e.inputs, outputs: e.outputs)
        if let winograd = winograd(e.inputs[0], e.outputs[0]) {
            try winograd.encode(&e, weights: .input(1), of: e.inputs[1], epilogue: epilogue, multiplyAccumulates: work)
        } else if algorithm == .clblast {
            let y = e.outputs[0]
            e.multiply(
                .forward(e.inputs[0], y), left: .input(0), right: .input(1), result: .output(0),
                multiplyAccumulates: work)
            guard epilogue != ConvolutionEpilogue() else { return }
            let vectors = e.vectors(y)
            e.launch(
                "convolution_pack", "convolution_epilogue",
                [.output(0)] + epilogue.operands + [.int(vectors), .int(e.rowVectors(y)), epilogue.flags],
                e.library.range(vectors))
        } else {
            try ConvolutionGather(
                geometry: geometry, divisor: 1, padding: geometry.padding, algorithm: algorithm
            )
            .encode(&e, x: e.inputs[0], packed: .input(1), epilogue: epilogue, multiplyAccumulates: work)
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        guard let arriving = call.gradients[0] else { return gradients }
        precondition(epilogue.isDifferentiable, "batch norm in a convolution's epilogue has no gradient")
        let dy = epilogue.relu ? recorder.record(ReLUGradient(), [call.outputs[0], arriving])[0] : arriving
        let (x, weights) = (call.inputs[0], call.inputs[1])
        if call.wanted[0] {
            gradients[0] = recorder.record(ConvolutionInputGradient(geometry, inputShape: x.shape), [dy, weights])[0]
        }
        if call.wanted[1] {
            let operation = ConvolutionWeightGradient(geometry, weightShape: weights.shape)
            gradients[1] = recorder.record(operation, [x, dy])[0]
        }
        if epilogue.hasBias, call.wanted[2] { gradients[2] = recorder.record(ColumnSum(), [dy])[0] }
        if let residual = epilogue.residualInput, call.wanted[residual] { gradients[residual] = dy }
        return gradients
    }
}
