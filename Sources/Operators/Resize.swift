import AdaShareDeviceLayer

/// Nearest-neighbour resize, source index floor(i · in / out); float maps and integer labels alike.
///
/// - Source: the index rule of PyTorch's `nearest` mode; kernel `resize_forward` in `resize.cl`.
public struct NearestResize: DifferentiableOperator {
    /// Of the result, in pixels.
    public let height, width: Int

    /// Creates the operator.
    public init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let x = inputs[0]
        precondition(x.element == .float32, "only 4-byte words are resized")
        return [Shape([x.batch, height, width, x.channels], compact: x.isCompact)]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (x, y) = (e.inputs[0], e.outputs[0])
        e.launch(
            "resize", "resize_forward",
            [
                .input(0), .output(0), .int(x.height), .int(x.width), .int(height), .int(width),
                .int(x.storedChannels),
            ], e.library.pixels(y.width, y.height, y.batch))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil] }
        return recorder.record(NearestResizeGradient(inputShape: call.inputs[0].shape), [dy])
    }
}

/// Gradient of `NearestResize`: each source pixel gathers the pixels that read it.
public struct NearestResizeGradient: Operator {
    /// Of x.
    public let inputShape: Shape

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputShape] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (x, y) = (inputShape, e.inputs[0])
        e.launch(
            "resize", "resize_backward",
            [
                .input(0), .output(0), .int(x.height), .int(x.width), .int(y.height), .int(y.width),
                .int(x.storedChannels),
            ], e.library.pixels(x.width, x.height, x.batch))
    }
}
