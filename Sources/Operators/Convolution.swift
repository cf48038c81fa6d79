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

    func outputShape(_ x: Shape, channels: Int) -> Shape {
        Shape([
            x.batch, outputSize(x.height, kernel: kernelHeight), outputSize(x.width, kernel: kernelWidth), channels,
        ])
    }
}

extension Recorder {
    /// Records y = x ∗ w + b.
    ///
    /// - Parameters:
    ///   - x: [N, H, W, C].
    ///   - weights: [R, S, C, K], canonical layout.
    ///   - bias: [K], or nil.
    /// - Returns: y [N, P, Q, K].
    public func convolution(
        _ x: Value, weights: Value, bias: Value? = nil, stride: Int = 1, dilation: Int = 1, padding: Int = 0
    ) -> Value {
        let kernel = weights.shape.dimensions
        let geometry = ConvolutionGeometry(
            kernelHeight: kernel[0], kernelWidth: kernel[1], stride: stride, dilation: dilation, padding: padding)
        let y = geometry.outputShape(x.shape, channels: weights.shape.channels)
        let algorithm = ConvolutionAlgorithm.suited(
            to: geometry, input: x.shape, output: y, family: family, isExact: exactConvolutions)
        let packed = packedWeights(weights, flipped: false, algorithm)
        return record(
            Convolution(geometry, algorithm: algorithm), [x, weights, packed] + (bias.map { [$0] } ?? []))[0]
    }

    /// Weights in the layout the kernel family reads: packed once per step and shared by everyone who needs them.
    func packedWeights(_ weights: Value, flipped: Bool, _ algorithm: ConvolutionAlgorithm = .direct) -> Value {
        // Winograd transforms them a slice at a time: all of them at once would be four times as large.
        if algorithm == .winograd { return weights }
        let outer = flipped ? weights.shape.dimensions[2] : weights.shape.channels
        let stored = roundUp(outer, to: Shape.lanes)
        if family == .gpu && !flipped { return weights }
        let tile = family == .gpu ? stored : RegisterTile.width(channels: stored)
        return record(PackWeights(flipped: flipped, tile: tile), [weights])[0]
    }
}

/// y = x ∗ w + b; inputs x [N, H, W, C], w [R, S, C, K], w packed for family and algorithm, and optionally b [K].
///
/// The canonical weights are an input so that the gradient finds them; kernels read the packed ones.
///
/// - Source: kernels `convolution_gather` in `convolution_cpu.cl` and `convolution_gpu.cl`, `convolution_winograd.cl`.
public struct Convolution: DifferentiableOperator {
    public let geometry: ConvolutionGeometry
    public let algorithm: ConvolutionAlgorithm

    public init(_ geometry: ConvolutionGeometry, algorithm: ConvolutionAlgorithm = .direct) {
        self.geometry = geometry
        self.algorithm = algorithm
    }
    public var recomputation: Recomputation { .whenAsked }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(
            inputs[0].channels == inputs[1].dimensions[2],
            "input \(inputs[0]) does not fit weights \(inputs[1]) [R, S, C, K]")
        return [geometry.outputShape(inputs[0], channels: inputs[1].channels)]
    }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        outputs[0].count * inputs[0].channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        algorithm == .winograd ? winograd(inputs[0], outputs[0]).workspaceByteCount : 0
    }

    private func winograd(_ x: Shape, _ y: Shape) -> WinogradConvolution {
        WinogradConvolution(x: x, y: y, dilation: geometry.dilation, padding: geometry.padding, flipped: false)
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let bias: LaunchArgument? = e.inputs.count > 3 ? .input(3) : nil
        let work = multiplyAccumulates(inputs: e.inputs, outputs: e.outputs)
        switch algorithm {
        case .direct:
            try ConvolutionGather(geometry: geometry, divisor: 1, padding: geometry.padding)
                .encode(&e, x: e.inputs[0], bias: bias, packed: .input(2), multiplyAccumulates: work)
        case .winograd:
            try winograd(e.inputs[0], e.outputs[0])
                .encode(&e, weights: .input(2), of: e.inputs[2], bias: bias, multiplyAccumulates: work)
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        guard let dy = call.gradients[0] else { return gradients }
        let (x, weights) = (call.inputs[0], call.inputs[1])
        if call.wanted[0] {
            let algorithm = ConvolutionAlgorithm.suited(
                to: geometry, input: dy.shape, output: x.shape, family: recorder.family,
                isExact: recorder.exactConvolutions)
            let packed = recorder.packedWeights(weights, flipped: true, algorithm)
            let operation = ConvolutionInputGradient(geometry, inputShape: x.shape, algorithm: algorithm)
            gradients[0] = recorder.record(operation, [dy, packed])[0]
        }
        if call.wanted[1] {
            let algorithm = ConvolutionAlgorithm.suited(
                to: geometry, input: x.shape, output: dy.shape, family: recorder.family,
                isExact: recorder.exactConvolutions)
            let operation = ConvolutionWeightGradient(geometry, weightShape: weights.shape, algorithm: algorithm)
            gradients[1] = recorder.record(operation, [x, dy])[0]
        }
        if call.inputs.count > 3, call.wanted[3] { gradients[3] = recorder.record(ColumnSum(), [dy])[0] }
        return gradients
    }
}

/// dx from dy: a convolution of dy with flipped weights; inputs dy [N, P, Q, K], weights packed for the algorithm.
public struct ConvolutionInputGradient: Operator {
    public let geometry: ConvolutionGeometry
    public let inputShape: Shape
    public let algorithm: ConvolutionAlgorithm

    init(_ geometry: ConvolutionGeometry, inputShape: Shape, algorithm: ConvolutionAlgorithm = .direct) {
        self.geometry = geometry
        self.algorithm = algorithm
        self.inputShape = Shape(inputShape.dimensions)
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputShape] }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        inputs[0].count * inputShape.channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        precondition(geometry.kernelHeight == geometry.kernelWidth, "input gradients need square kernels")
        let work = multiplyAccumulates(inputs: e.inputs, outputs: e.outputs)
        switch algorithm {
        case .direct:
            try ConvolutionGather(geometry: geometry, divisor: geometry.stride, padding: padding)
                .encode(&e, x: e.inputs[0], bias: nil, packed: .input(1), multiplyAccumulates: work)
        case .winograd:
            try winograd(e.inputs[0])
                .encode(&e, weights: .input(1), of: e.inputs[1], bias: nil, multiplyAccumulates: work)
        }
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        algorithm == .winograd ? winograd(inputs[0]).workspaceByteCount : 0
    }

    /// Padding of dy.
    private var padding: Int { geometry.dilation * (geometry.kernelHeight - 1) - geometry.padding }

    private func winograd(_ dy: Shape) -> WinogradConvolution {
        WinogradConvolution(x: dy, y: inputShape, dilation: geometry.dilation, padding: padding, flipped: true)
    }
}

/// dw from x and dy, in canonical layout [R, S, C, K].
public struct ConvolutionWeightGradient: Operator {
    public let geometry: ConvolutionGeometry
    public let weightShape: Shape
    public let algorithm: ConvolutionAlgorithm

    init(_ geometry: ConvolutionGeometry, weightShape: Shape, algorithm: ConvolutionAlgorithm = .direct) {
        self.geometry = geometry
        self.algorithm = algorithm
        self.weightShape = weightShape
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [weightShape] }

    public func multiplyAccumulates(inputs: [Shape], outputs: [Shape]) -> Int {
        inputs[1].count * inputs[0].channels * geometry.kernelHeight * geometry.kernelWidth
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        if algorithm == .winograd { return winograd(inputs[0], inputs[1]).workspaceByteCount }
        let splits = split(inputs, family: family).count
        return splits == 1 ? 0 : splits * weightShape.byteCount
    }

    private func winograd(_ x: Shape, _ dy: Shape) -> WinogradWeightGradient {
        WinogradWeightGradient(x: x, dy: dy, dilation: geometry.dilation, padding: geometry.padding)
    }

    /// Independent parts of the sum over pixels: enough work-items for the smallest layers, fixed by the shape.
    private func split(_ inputs: [Shape], family: KernelFamily) -> (span: Int, count: Int) {
        let taps = geometry.kernelHeight * geometry.kernelWidth
        let units: Int
        let items: Int
        let wanted: Int
        switch family {
        case .cpu:
            units = inputs[1].batch * inputs[1].height
            let channels = inputs[0].channels
            let tile = RegisterTile.weightChannels(channels)
            items =
                (channels + tile - 1) / tile
                * (weightShape.storedChannels / RegisterTile.width(channels: weightShape.storedChannels)) * taps
            wanted = 64
        case .gpu:
            units = inputs[1].rows
            items = (inputs[0].channels + 63) / 64 * ((weightShape.storedChannels + 63) / 64) * taps
            wanted = 512
        }
        let parts = max(1, min(units, wanted / items))
        var span = (units + parts - 1) / parts
        if family == .gpu { span = max(256, roundUp(span, to: 16)) }
        return (span, (units + span - 1) / span)
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (x, dy) = (e.inputs[0], e.inputs[1])
        let work = multiplyAccumulates(inputs: [x, dy], outputs: [weightShape])
        if algorithm == .winograd {
            return try winograd(x, dy).encode(&e, multiplyAccumulates: work)
        }
        let split = split([x, dy], family: e.library.family)
        let taps = geometry.kernelHeight * geometry.kernelWidth
        let target: LaunchArgument = split.count == 1 ? .output(0) : .workspace
        let arguments: [LaunchArgument] = [
            .input(0), .input(1), target, .int(x.batch), .int(x.height), .int(x.width), .int(x.channels),
            .int(x.storedChannels), .int(dy.height), .int(dy.width), .int(dy.storedChannels),
            .int(geometry.kernelHeight), .int(geometry.kernelWidth), .int(geometry.stride), .int(geometry.dilation),
            .int(geometry.padding), .int(split.span),
        ]
        switch e.library.family {
        case .cpu:
            let tile = RegisterTile.weightChannels(x.channels)
            let width = RegisterTile.width(channels: dy.storedChannels)
            let size = WorkSize(
                global: [(x.channels + tile - 1) / tile, dy.storedChannels / width, taps * split.count],
                local: [1, 1, 1])
            let options = ["-DCT=\(tile)", "-DKV=\(width / 16)", "-DPT=1"]
            try e.launch(
                "convolution_cpu", "convolution_weights", options: options, arguments, size, multiplyAccumulates: work)
        case .gpu:
            let size = WorkSize(
                global: [
                    (dy.storedChannels + 63) / 64 * 16, (x.channels + 63) / 64 * 16, taps * split.count,
                ], local: [16, 16, 1])
            try e.launch(
                "convolution_gpu", "convolution_weights", arguments, size, multiplyAccumulates: work)
        }
        if split.count > 1 {
            let vectors = e.vectors(weightShape)
            try e.launch(
                "reduction", "chunk_sum", [.workspace, .output(0), .int(vectors), .int(split.count)],
                e.library.range(vectors))
        }
    }
}

/// Weights [R, S, C, K] repacked for a kernel family: tiles of `tile` output channels, contiguous per tap and input.
public struct PackWeights: Operator {
    /// Taps reversed and channels exchanged, for the input gradient.
    public let flipped: Bool
    public let tile: Int
    public var recomputation: Recomputation { .whenAsked }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let d = inputs[0].dimensions
        let (depth, width) = flipped ? (d[3], d[2]) : (d[2], d[3])
        return [Shape([roundUp(width, to: tile) / tile, d[0] * d[1], depth, tile])]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let d = e.inputs[0].dimensions
        let packed = e.outputs[0].dimensions
        let arguments: [LaunchArgument] = [
            .input(0), .output(0), .int(d[0]), .int(d[1]), .int(d[2]), .int(d[3]),
            .int(e.inputs[0].storedChannels), .int(tile), .flag(flipped),
        ]
        try e.launch(
            "convolution_pack", "convolution_pack", arguments, e.library.grid(packed[0], packed[1], packed[2]))
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
        try e.launch(
            "reduction", "column_sums", [.input(0), .workspace, .int(shape.rows), .int(vectors), .int(chunks.span)],
            e.library.grid(vectors, chunks.count))
        try e.launch(
            "reduction", "chunk_sum", [.workspace, .output(0), .int(vectors), .int(chunks.count)],
            e.library.range(vectors))
    }
}
