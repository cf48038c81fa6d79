import AdaShareDeviceLayer

/// Max pooling over a square window; outputs y and, for the gradient, the tap of each maximum.
///
/// With `ceilMode` a last partial window counts if it starts inside the input or its left padding, as in PyTorch.
///
/// - Source: kernel `maxpool_forward` in `pooling.cl`.
public struct MaxPool: DifferentiableOperator {
    /// In pixels, the same along both axes.
    public let window, stride, padding: Int
    /// Whether a last partial window counts.
    public let ceilMode: Bool

    /// Creates the operator.
    public init(window: Int = 3, stride: Int = 2, padding: Int = 1, ceilMode: Bool) {
        self.window = window
        self.stride = stride
        self.padding = padding
        self.ceilMode = ceilMode
    }

    func outputSize(_ size: Int) -> Int {
        let span = size + 2 * padding - window
        guard ceilMode else { return span / stride + 1 }
        let count = (span + stride - 1) / stride + 1
        return (count - 1) * stride >= size + padding ? count - 1 : count
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let x = inputs[0]
        let y = Shape([x.batch, outputSize(x.height), outputSize(x.width), x.channels])
        return [y.stored(as: x.element), y]
    }

    /// Which output the taps are.
    private static let taps = 1

    public func encode(_ e: inout LaunchEncoder) throws {
        let (x, y) = (e.inputs[0], e.outputs[0])
        e.launch(
            "pooling", "maxpool_forward",
            [.input(0), .output(0), .output(Self.taps)] + extents(x, y),
            e.library.rows(e.wideRowVectors(y) * y.width, y.height, y.batch))
    }

    func extents(_ x: Shape, _ y: Shape) -> [LaunchArgument] {
        [
            .int(x.height), .int(x.width), .int(x.storedChannels), .int(y.height), .int(y.width), .int(window),
            .int(stride), .int(padding),
        ]
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil] }
        return recorder.record(
            MaxPoolGradient(pool: self, inputShape: call.inputs[0].shape), [dy, call.outputs[Self.taps]])
    }
}

/// Gradient of `MaxPool`; inputs dy and the taps.
public struct MaxPoolGradient: Operator {
    /// Whose gradient it is.
    public let pool: MaxPool
    /// Of x.
    public let inputShape: Shape

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0].element == inputShape.element, "dy \(inputs[0]) of x \(inputShape)")
        return [inputShape]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (x, y) = (inputShape, e.inputs[0])
        e.launch(
            "pooling", "maxpool_backward", options: e.library.vectorsSideBySide(x).options,
            [.input(0), .input(1), .output(0)] + pool.extents(x, y),
            e.library.rows(e.wideRowVectors(x) * x.width, x.height, x.batch))
    }
}

/// Mean over both spatial axes: [N, H, W, C] → [N, 1, 1, C].
public struct GlobalAveragePool: DifferentiableOperator {
    /// Creates the operator, which has no attributes.
    public init() {}

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        [Shape([inputs[0].batch, 1, 1, inputs[0].channels], element: inputs[0].element)]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let x = e.inputs[0]
        e.launch(
            "pooling", "average_forward",
            [.input(0), .output(0), .int(x.height * x.width), .int(x.storedChannels)],
            e.library.grid(e.wideRowVectors(x), x.batch))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil] }
        return recorder.record(GlobalAveragePoolGradient(inputShape: call.inputs[0].shape), [dy])
    }
}

/// Gradient of `GlobalAveragePool`: dy spread evenly.
public struct GlobalAveragePoolGradient: Operator {
    /// Of x.
    public let inputShape: Shape

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputShape] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let pixels = inputShape.height * inputShape.width
        e.launch(
            "pooling", "average_backward",
            [.input(0), .output(0), .int(pixels), .int(inputShape.storedChannels)],
            e.library.grid(e.wideRowVectors(inputShape), pixels, inputShape.batch))
    }
}
