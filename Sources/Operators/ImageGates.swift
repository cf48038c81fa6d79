import AdaShareDeviceLayer

/// Decisions of each image by a sample of their logits; inputs logits z [N, …, K], uniforms u [N, K], step buffer
/// (temperature τ). Outputs: gates v [N, K], each 0 or 1, and the soft sample p kept for the gradient.
///
///     p = 1 / (1 + exp(−(z + log u − log(1 − u)) / τ)),  v = [p ≥ ½],  ∂v/∂z := ∂p/∂z = p (1 − p) / τ
///
/// A Gumbel-Softmax of two classes with logits z and 0, of which one weight is kept: the difference of two Gumbel
/// variables is logistic.
///
/// - Source: Jang et al. 2017, Maddison et al. 2017, Bengio, Léonard, Courville 2013; kernel `image_gates` in
///   `image_gates.cl`.
public struct ImageGates: DifferentiableOperator {
    /// Creates the operator, which has no attributes.
    public init() {}

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let gates = Shape([inputs[0].rows, inputs[0].channels])
        precondition(inputs[1] == gates && inputs[0].element == .float32, "logits and uniforms differ: \(inputs)")
        return [gates, gates]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.outputs[0]
        e.launch(
            "image_gates", "image_gates",
            [
                .input(0), .input(1), .input(2), .output(0), .output(1), .int(shape.channels),
                .int(shape.storedChannels),
            ], e.library.grid(shape.rows))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dv = call.gradients[0], call.wanted[0] else { return [nil, nil, nil] }
        let gradient = ImageGatesGradient(logits: call.inputs[0].shape)
        return recorder.record(gradient, [call.outputs[1], dv, call.inputs[2]]) + [nil, nil]
    }
}

/// dz of `ImageGates`; inputs soft p, dv, step buffer.
struct ImageGatesGradient: Operator {
    /// Of z.
    let logits: Shape

    func outputShapes(_ inputs: [Shape]) -> [Shape] { [logits] }

    func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "image_gates", "image_gates_backward",
            [.input(0), .input(1), .input(2), .output(0), .int(logits.storedChannels)], e.library.grid(logits.rows))
    }
}

/// Decisions of each image as inference takes them; input logits z [N, …, K], output gates [N, K]: 1 where z ≥ 0.
public struct DecidedGates: Operator {
    /// Creates the operator, which has no attributes.
    public init() {}

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0].element == .float32, "logits \(inputs[0])")
        return [Shape([inputs[0].rows, inputs[0].channels])]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.outputs[0]
        e.launch(
            "image_gates", "image_gates_decided",
            [.input(0), .output(0), .int(shape.channels), .int(shape.storedChannels)], e.library.grid(shape.rows))
    }
}

/// One of two tensors for each image; inputs a, b [N, H, W, C], gates v [N, K].
///
///     yₙ = vₙ · aₙ + (1 − vₙ) · bₙ,  ∂y/∂vₙ = Σ aₙ − bₙ over the image
///
/// - Source: kernels `image_select` and its neighbours in `image_gates.cl`.
public struct ImageSelect: DifferentiableOperator {
    /// Of the gates.
    public let column: Int

    /// Creates the operator.
    public init(column: Int) { self.column = column }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let (a, gates) = (inputs[0], inputs[2])
        precondition(a == inputs[1], "cannot choose between \(a) and \(inputs[1])")
        precondition(gates.rows == a.batch && gates.channels > column, "gates \(gates) of \(a), column \(column)")
        return [a]
    }

    public func inPlaceInputs(output: Int) -> [Int] { [0, 1] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        e.launch(
            "image_gates", "image_select",
            [
                .input(0), .input(1), .input(2), .output(0), .int(column), .int(e.inputs[2].storedChannels),
                .int(n / e.inputs[0].batch), .int(n),
            ], e.library.range(n))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil, nil, nil] }
        let (a, b, gates) = (call.inputs[0], call.inputs[1], call.inputs[2])
        var gradients: [Value?] = [nil, nil, nil]
        if call.wanted[..<2].contains(true) {
            let passed = recorder.record(ImageSelectGradient(column: column), [gates, dy])
            for position in 0..<2 where call.wanted[position] { gradients[position] = passed[position] }
        }
        if call.wanted[2] {
            let gradient = ImageSelectGatesGradient(column: column, gates: gates.shape)
            gradients[2] = recorder.record(gradient, [a, b, dy])[0]
        }
        return gradients
    }
}

/// Gradients of `ImageSelect` for what it chooses between; inputs gates, dy, outputs da, db.
struct ImageSelectGradient: Operator {
    let column: Int

    func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[1], inputs[1]] }
    func inPlaceInputs(output: Int) -> [Int] { [1] }

    func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[1])
        e.launch(
            "image_gates", "image_select_backward",
            [
                .input(0), .input(1), .output(0), .output(1), .int(column), .int(e.inputs[0].storedChannels),
                .int(n / e.inputs[1].batch), .int(n),
            ], e.library.range(n))
    }
}

/// Gradient of `ImageSelect` for its gates; inputs a, b, dy, output dv [N, K], zero outside the column.
struct ImageSelectGatesGradient: Operator {
    let column: Int
    /// Of v.
    let gates: Shape

    /// Vectors of an image that a group adds up; a function of the shape alone, so that sums keep their order.
    private static let chunk = 1024

    func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1] && inputs[0] == inputs[2], "a, b and dy differ: \(inputs)")
        return [gates]
    }

    var isEager: Bool { true }

    private func chunks(_ shape: Shape, _ family: KernelFamily) -> Int {
        let span = shape.storedCount / family.vectorWidth / shape.batch
        return (span + Self.chunk - 1) / Self.chunk
    }

    func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        inputs[0].batch * chunks(inputs[0], family) * 4
    }

    func encode(_ e: inout LaunchEncoder) throws {
        let shape = e.inputs[0]
        let chunks = chunks(shape, e.library.family)
        e.launch(
            "image_gates", "image_select_sums",
            [
                .input(0), .input(1), .input(2), .workspace, .int(e.vectors(shape) / shape.batch), .int(Self.chunk),
                .int(chunks),
            ], e.library.groups(shape.batch * chunks))
        e.launch(
            "image_gates", "image_select_totals",
            [.workspace, .output(0), .int(chunks), .int(column), .int(gates.storedChannels)],
            e.library.groups(shape.batch))
    }
}
