import DeviceLayer

/// Kernel extents, stride, dilation and zero padding of a convolution, equal in both axes.
public struct ConvolutionGeometry: Hashable, Sendable {
    public let kernelHeight, kernelWidth, stride, dilation, padding: Int

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
    ///   - element: what y is stored as; nil for what activations are (`ConvolutionArithmetic.activations`).
    /// - Returns: y [N, P, Q, K].
    public func convolution(
        _ x: Value, weights: Value, bias: Value? = nil, affine: (scale: Value, shift: Value)? = nil,
        residual: Value? = nil, relu: Bool = false, stride: Int = 1, dilation: Int = 1, padding: Int = 0,
        element: ElementType? = nil
    ) -> Value {
        let kernel = weights.shape.dimensions
        let geometry = ConvolutionGeometry(
            kernelHeight: kernel[0], kernelWidth: kernel[1], stride: stride, dilation: dilation, padding: padding)
        let problem = ConvolutionProblem(.forward, geometry, input: x.shape, outputs: weights.shape.channels)
        let algorithm = choices.algorithm(for: problem, family: family)
        let packed = packedWeights(weights, flipped: false, algorithm)
        let epilogue = ConvolutionEpilogue(
            hasBias: bias != nil, hasAffine: affine != nil, hasResidual: residual != nil, relu: relu)
        let operands = [bias, affine?.scale, affine?.shift, residual].compactMap { $0 }
        var operation = Convolution(
            geometry, epilogue: epilogue, algorithm: algorithm, element: element ?? choices.arithmetic.activations)
        operation.memory = choices.winogradMemory
        return record(operation, [x, weights, packed] + operands)[0]
    }

    /// Weights in the layout the algorithm reads: packed once per step and shared by everyone who needs them.
    func packedWeights(_ weights: Value, flipped: Bool, _ algorithm: ConvolutionAlgorithm = .direct()) -> Value {
        if algorithm.readsCanonicalWeights { return weights }
        let outer = flipped ? weights.shape.dimensions[2] : weights.shape.channels
        let stored = roundUp(outer, to: Shape.lanes)
        let element: ElementType = algorithm.operands == .bfloat16 ? .bfloat16 : .float32
        if family == .gpu && !flipped && element == .float32 { return weights }
        let tile = family == .gpu ? stored : RegisterTile.width(channels: stored)
        return record(PackWeights(flipped: flipped, tile: tile, element: element), [weights])[0]
    }
}

/// y = x ∗ w and what its epilogue adds; inputs x [N, H, W, C], w [R, S, C, K], w packed for family and algorithm, and the
/// epilogue's operands.
///
/// The canonical weights are an input so that the gradient finds them; kernels read the packed ones.
///
/// - Source: kernels `convolution_gather` in `convolution_cpu.cl` and `convolution_gpu.cl`, `convolution_winograd.cl`.
public struct Convolution: DifferentiableOperator {
    public let geometry: ConvolutionGeometry
    /// What follows the sum, in the same launch.
    public let epilogue: ConvolutionEpilogue
    /// How the sum is computed.
    public let algorithm: ConvolutionAlgorithm
    /// What y is stored as.
    public let element: ElementType
    var memory = WinogradMemory()

    public init(
        _ geometry: ConvolutionGeometry, epilogue: ConvolutionEpilogue = ConvolutionEpilogue(),
        algorithm: ConvolutionAlgorithm = .direct(), element: ElementType = .float32
    ) {
        self.geometry = geometry
        self.epilogue = epilogue
        self.algorithm = algorithm
        self.element = element
    }

    public var recomputation: Recomputation { .whenAsked }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(
            inputs[0].channels == inputs[1].dimensions[2],
            "input \(inputs[0]) does not fit weights \(inputs[1]) [R, S, C, K]")
        let y = geometry.outputShape(inputs[0], channels: inputs[1].channels, element: element)
        algorithm.require([inputs[0], y])
        if let residual = epilogue.residualInput {
            precondition(inputs[residual] == y, "residual \(inputs[residual]) of y \(y)")
        }
        return [y]
    }

    public func inPlaceInputs(output: Int) -> [Int] {
        // A product is stored before the residual is read.
        algorithm == .clblast ? [] : epilogue.residualInput.map { [$0] } ?? []
    }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        outputs[0].count * inputs[0].channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        if algorithm == .clblast { return MatrixProduct.forward(inputs[0], outputs[0]).scratchByteCount }
        return winograd(inputs[0], outputs[0])?.workspaceByteCount ?? 0
    }

    private func winograd(_ x: Shape, _ y: Shape) -> WinogradConvolution? {
        algorithm.requiredCover(of: y, geometry, memory).map {
            WinogradConvolution(x: x, y: y, padding: geometry.padding, flipped: false, cover: $0)
        }
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let work = multiplyAccumulates(inputs: e.inputs, outputs: e.outputs)
        if let winograd = winograd(e.inputs[0], e.outputs[0]) {
            try winograd.encode(&e, weights: .input(2), of: e.inputs[2], epilogue: epilogue, multiplyAccumulates: work)
        } else if algorithm == .clblast {
            let y = e.outputs[0]
            e.multiply(
                .forward(e.inputs[0], y), left: .input(0), right: .input(2), result: .output(0),
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
            .encode(&e, x: e.inputs[0], packed: .input(2), epilogue: epilogue, multiplyAccumulates: work)
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        guard let arriving = call.gradients[0] else { return gradients }
        precondition(epilogue.isDifferentiable, "batch norm in a convolution's epilogue has no gradient")
        let dy = epilogue.relu ? recorder.record(ReLUGradient(), [call.outputs[0], arriving])[0] : arriving
        let (x, weights) = (call.inputs[0], call.inputs[1])
        func algorithm(_ pass: ConvolutionProblem.Pass) -> ConvolutionAlgorithm {
            recorder.choices.algorithm(
                for: ConvolutionProblem(pass, geometry, input: x.shape, outputs: weights.shape.channels),
                family: recorder.family)
        }
        if call.wanted[0] {
            let algorithm = algorithm(.dataGradient)
            let packed = recorder.packedWeights(weights, flipped: true, algorithm)
            var operation = ConvolutionInputGradient(geometry, inputShape: x.shape, algorithm: algorithm)
            operation.memory = memory
            gradients[0] = recorder.record(operation, [dy, packed])[0]
        }
        if call.wanted[1] {
            var operation = ConvolutionWeightGradient(
                geometry, weightShape: weights.shape, algorithm: algorithm(.weightGradient))
            operation.memory = memory
            gradients[1] = recorder.record(operation, [x, dy])[0]
        }
        if epilogue.hasBias, call.wanted[3] { gradients[3] = recorder.record(ColumnSum(), [dy])[0] }
        if let residual = epilogue.residualInput, call.wanted[residual] { gradients[residual] = dy }
        return gradients
    }
}

/// dx from dy: a convolution of dy with flipped weights; inputs dy [N, P, Q, K], weights packed for the algorithm.
public struct ConvolutionInputGradient: Operator {
    public let geometry: ConvolutionGeometry
    public let inputShape: Shape
    public let algorithm: ConvolutionAlgorithm
    var memory = WinogradMemory()

    init(_ geometry: ConvolutionGeometry, inputShape: Shape, algorithm: ConvolutionAlgorithm = .direct()) {
        self.geometry = geometry
        self.algorithm = algorithm
        self.inputShape = Shape(inputShape.dimensions, element: inputShape.element)
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        algorithm.require([inputs[0], inputShape])
        return [inputShape]
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
                .inputGradient(e.inputs[0], inputShape), left: .input(0), right: .input(1), result: .output(0),
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
        if algorithm == .clblast { return MatrixProduct.inputGradient(inputs[0], inputShape).scratchByteCount }
        return winograd(inputs[0])?.workspaceByteCount ?? 0
    }

    /// Padding of dy.
    private var padding: Int { geometry.dilation * (geometry.kernelHeight - 1) - geometry.padding }

    private func winograd(_ dy: Shape) -> WinogradConvolution? {
        algorithm.requiredCover(of: inputShape, geometry, memory).map {
            WinogradConvolution(x: dy, y: inputShape, padding: padding, flipped: true, cover: $0)
        }
    }
}

/// dw from x and dy, in canonical layout [R, S, C, K].
public struct ConvolutionWeightGradient: Operator {
    public let geometry: ConvolutionGeometry
    public let weightShape: Shape
    public let algorithm: ConvolutionAlgorithm
    var memory = WinogradMemory()

    init(_ geometry: ConvolutionGeometry, weightShape: Shape, algorithm: ConvolutionAlgorithm = .direct()) {
        self.geometry = geometry
        self.algorithm = algorithm
        self.weightShape = weightShape
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        algorithm.require(inputs)
        return [weightShape]
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
        algorithm.requiredCover(of: dy, geometry, memory).map {
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

extension MatrixProduct {
    /// y = x w of a 1×1 convolution, pads of y included.
    fileprivate static func forward(_ x: Shape, _ y: Shape) -> MatrixProduct {
        MatrixProduct(
            rows: x.rows, columns: y.storedChannels, depth: x.channels, leftPitch: x.storedChannels,
            rightPitch: y.storedChannels, resultPitch: y.storedChannels)
    }

    /// dx = dy wᵀ.
    ///
    /// - Precondition: dx has no pads, which would not be written.
    fileprivate static func inputGradient(_ dy: Shape, _ dx: Shape) -> MatrixProduct {
        precondition(dx.channels == dx.storedChannels, "\(dx) has pads")
        return MatrixProduct(
            rows: dy.rows, columns: dx.channels, depth: dy.channels, transposesRight: true,
            leftPitch: dy.storedChannels,
            rightPitch: dy.storedChannels, resultPitch: dx.storedChannels)
    }

    /// dw = xᵀ dy, pads of dw included.
    fileprivate static func weightGradient(_ x: Shape, _ dy: Shape) -> MatrixProduct {
        MatrixProduct(
            rows: x.channels, columns: dy.storedChannels, depth: x.rows, transposesLeft: true,
            leftPitch: x.storedChannels, rightPitch: dy.storedChannels, resultPitch: dy.storedChannels)
    }
}

/// Weights [R, S, C, K] repacked for a kernel family: tiles of `tile` output channels, contiguous per tap and input.
public struct PackWeights: Operator {
    /// Taps reversed and channels exchanged, for the input gradient.
    public let flipped: Bool
    public let tile: Int
    /// What the packed weights are stored as; bfloat16 in the GPU family alone.
    public let element: ElementType
    public var recomputation: Recomputation { .whenAsked }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let d = inputs[0].dimensions
        let (depth, width) = flipped ? (d[3], d[2]) : (d[2], d[3])
        return [Shape([roundUp(width, to: tile) / tile, d[0] * d[1], depth, tile], element: element)]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let d = e.inputs[0].dimensions
        let packed = e.outputs[0].dimensions
        let arguments: [LaunchArgument] = [
            .input(0), .output(0), .int(d[0]), .int(d[1]), .int(d[2]), .int(d[3]),
            .int(e.inputs[0].storedChannels), .int(tile),
        ]
        switch (e.library.family, flipped) {
        case (.cpu, _):
            precondition(element == .float32, "the CPU family packs float32")
            e.launch(
                "convolution_pack", "convolution_pack", arguments + [.flag(flipped)],
                e.library.grid(packed[0], packed[1]))
        case (.gpu, true):
            e.launch(
                "convolution_pack", "convolution_pack_flipped",
                options: element == .bfloat16 ? ["-DOPERAND16=1"] : [], arguments,
                WorkSize(
                    global: [roundUp(d[3], to: 16), tile, d[0] * d[1]], local: [16, 16, 1]))
        case (.gpu, false):
            precondition(element == .bfloat16, "the GPU family reads float32 weights as they are")
            let vectors = e.vectors(e.inputs[0])
            e.launch(
                "convolution_pack", "convolution_pack", options: ["-DOPERAND16=1"],
                [.input(0), .output(0), .int(vectors)], e.library.range(vectors))
        }
    }
}

/// Sum over all rows of each channel: the gradient of a bias.
public struct ColumnSum: Operator {
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([inputs[0].channels])] }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        ColumnChunks(inputs[0], family: family).count * inputs[0].storedChannels * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let chunks = ColumnChunks(shape, family: e.library.family)
        let vectors = e.rowVectors(shape)
        e.launch(
            "reduction", "column_sums", [.input(0), .workspace, .int(shape.rows), .int(vectors), .int(chunks.span)],
            e.library.grid(vectors, chunks.count))
        e.launch(
            "reduction", "column_totals", [.workspace, .output(0), .int(vectors), .int(chunks.count)],
            e.library.groups(vectors))
    }
}
