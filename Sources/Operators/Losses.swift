import AdaShareDeviceLayer

/// What a loss compares; labels already have the prediction's height and width.
public enum LossKind: Hashable, Sendable {
    /// −log softmax(x)[label], (weighted) mean over pixels whose label is not `ignore`; labels are integers [N, h, w].
    case crossEntropy(ignore: Int)
    /// 1 − mean cosine over pixels whose label's largest channel is below 255; labels are raw colours [N, h, w, 3].
    /// `published` keeps the raw colours in B, G, R order; otherwise they are decoded, (v/127.5) − 1, in x, y, z order.
    case cosine(published: Bool)
    /// Mean absolute error where the label exceeds 3·10⁻⁵.
    case absolutePositive
    /// Mean absolute error where the label is not 255.
    case absoluteNot255
}

/// A loss of one task; inputs prediction [N, h, w, K], labels, and for weighted cross-entropy class weights [K].
/// Outputs: the loss and the weight it was divided by.
///
/// No valid pixel gives loss 0 and gradient 0.
///
/// - Source: kernels in `losses.cl`.
public struct TaskLoss: DifferentiableOperator {
    /// What is compared, and how.
    public let kind: LossKind

    /// Creates the operator.
    public init(_ kind: LossKind) { self.kind = kind }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0].element == .float32, "losses are computed of float32 predictions")
        precondition(inputs[0].rows == inputs[1].count / labelChannels, "prediction \(inputs[0]), labels \(inputs[1])")
        return [.scalar, .scalar]
    }

    private var labelChannels: Int { if case .cosine = kind { 3 } else { 1 } }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        2 * KernelLibrary.mostPartials * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let x = e.inputs[0]
        let (size, groups) = e.library.partialRange(x.rows)
        let (name, buffers, attributes) = kernel(e, weighted: e.inputs.count > 2)
        e.launch("losses", "\(name)_partial", buffers + [.workspace, .int(x.rows)] + attributes, size)
        let isCosine = labelChannels == 3
        e.launch(
            "losses", "loss_finish",
            [
                .workspace, .output(0), .output(1), .int(groups), .float(isCosine ? 1.0 : 0.0),
                .float(isCosine ? -1.0 : 1.0),
            ], e.library.groups(1))
    }

    /// Kernel prefix, leading buffers and trailing attributes, common to forward and backward.
    func kernel(_ e: LaunchEncoder, weighted: Bool) -> (String, [LaunchArgument], [LaunchArgument]) {
        let x = e.inputs[0]
        let stored = LaunchArgument.int(x.storedChannels)
        switch kind {
        case .crossEntropy(let ignore):
            return (
                "crossentropy", [.input(0), .input(1), weighted ? .input(2) : .zeros],
                [.int(x.channels), stored, .int(ignore), .flag(weighted)]
            )
        case .cosine(let published):
            return ("cosine", [.input(0), .input(1)], [stored, .flag(published)])
        case .absolutePositive:
            return ("l1", [.input(0), .input(1)], [stored, .int(0)])
        case .absoluteNot255:
            return ("l1", [.input(0), .input(1)], [stored, .int(1)])
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        var gradients = [Value?](repeating: nil, count: call.inputs.count)
        if let dloss = call.gradients[0], call.wanted[0] {
            gradients[0] =
                recorder.record(
                    TaskLossGradient(loss: self, weighted: call.inputs.count > 2),
                    call.inputs + [call.outputs[1], dloss])[0]
        }
        return gradients
    }
}

/// Gradient of `TaskLoss` with respect to the prediction; inputs of the loss, then its weight and dloss.
public struct TaskLossGradient: Operator {
    /// Whose gradient it is.
    public let loss: TaskLoss
    /// Whether classes have weights.
    public let weighted: Bool

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let x = e.inputs[0]
        let (name, buffers, attributes) = loss.kernel(e, weighted: weighted)
        let last = e.inputs.count - 1
        e.launch(
            "losses", "\(name)_backward",
            buffers + [.input(last - 1), .input(last), .output(0), .int(x.rows)] + attributes,
            e.library.range(x.rows * 16))
    }
}

/// Σ weightᵢ · lossᵢ of scalars, added in order.
public struct WeightedSum: DifferentiableOperator {
    /// One for each loss.
    public let weights: [Double]

    /// Creates the operator.
    public init(_ weights: [Double]) { self.weights = weights }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.count == weights.count, "\(weights.count) weights for \(inputs.count) losses")
        return [.scalar]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        for i in weights.indices {
            e.launch(
                "losses", "weighted_sum", [.input(i), .output(0), .float(weights[i]), .flag(i == 0)],
                e.library.grid(1))
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return weights.map { _ in nil } }
        return zip(call.wanted, weights).map { $0 ? recorder.record(Scale($1), [dy])[0] : nil }
    }
}

/// Remembers the first step and task with a non-finite loss; inputs loss, flag [2] (compact), step buffer.
///
/// Every later update is gated by the flag: flag[0] = step + 1 (0: all finite), flag[1] = task.
public struct FiniteCheck: Operator {
    /// What the flag calls this loss.
    public let task: Int

    /// Creates the operator.
    public init(task: Int) { self.task = task }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [] }
    public var mutatedInputs: [Int] { [1] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "losses", "finite_check", [.input(0), .input(1), .input(2), .int(task)], e.library.grid(1))
    }
}
