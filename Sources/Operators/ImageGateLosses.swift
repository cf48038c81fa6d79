import AdaShareDeviceLayer

/// What is charged for the blocks that images select; input gates v [N, K].
///
///     loss = 1/N Σₙ (1/K Σₗ vₙₗ)²
///
/// - Source: the cost of a policy in the reward of Wu, Nagarajan, Kumar et al. 2018; kernel `block_use` in
///   `image_gates.cl`.
public struct BlockUse: DifferentiableOperator {
    /// Creates the operator, which has no attributes.
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch("image_gates", "block_use", [.input(0), .output(0)] + e.extents(), e.library.grid(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dloss = call.gradients[0] else { return [nil] }
        return recorder.record(BlockUseGradient(), [call.inputs[0], dloss])
    }
}

/// Gradient of `BlockUse`; inputs gates, dloss.
struct BlockUseGradient: Operator {
    func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }

    func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "image_gates", "block_use_backward", [.input(0), .input(1), .output(0)] + e.extents(),
            e.library.grid(e.inputs[0].rows))
    }
}

/// The sparsity loss of one task whose decisions are each image's own, mean over images; input logits z [N, …, K],
/// α = 1 / (1 + exp(−z)).
///
/// Paper: Σ log α. Published: mean of −log(1 − α), each block weighted 2l/K if `layered` (l from 1).
public struct ImageSparsityLoss: DifferentiableOperator {
    /// As printed or as published.
    public let form: RegulariserForm
    /// Whether later blocks weigh more.
    public let layered: Bool

    /// Creates the operator.
    public init(form: RegulariserForm, layered: Bool = false) { (self.form, self.layered) = (form, layered) }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let arguments = [.input(0), .output(0)] + e.extents() + attributes
        e.launch("image_gates", "image_sparsity", arguments, e.library.grid(1))
    }

    var attributes: [LaunchArgument] { [form.code, .flag(layered)] }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dloss = call.gradients[0] else { return [nil] }
        return recorder.record(ImageSparsityGradient(loss: self), [call.inputs[0], dloss])
    }
}

/// Gradient of `ImageSparsityLoss`; inputs logits, dloss.
struct ImageSparsityGradient: Operator {
    let loss: ImageSparsityLoss
    func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }

    func encode(_ e: inout LaunchEncoder) throws {
        let arguments = [.input(0), .input(1), .output(0)] + e.extents() + loss.attributes
        e.launch("image_gates", "image_sparsity_backward", arguments, e.library.grid(e.inputs[0].rows))
    }
}

/// The sharing loss of two tasks whose decisions are each image's own, mean over images; inputs logits z [N, …, K] of
/// both, l from 1.
///
/// Paper: Σ (K−l)/K · |α₁ − α₂|. Published: Σ l/K · |z₁ − z₂|.
public struct ImageSharingLoss: DifferentiableOperator {
    /// As printed or as published.
    public let form: RegulariserForm

    /// Creates the operator.
    public init(form: RegulariserForm) { self.form = form }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1], "logits of two tasks differ: \(inputs)")
        return [.scalar]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let arguments = [.input(0), .input(1), .output(0)] + e.extents() + [form.code]
        e.launch("image_gates", "image_sharing", arguments, e.library.grid(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dloss = call.gradients[0] else { return [nil, nil] }
        let gradients = recorder.record(ImageSharingGradient(form: form), call.inputs + [dloss])
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of `ImageSharingLoss`; inputs both logits, dloss.
struct ImageSharingGradient: Operator {
    let form: RegulariserForm
    func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0], inputs[1]] }

    func encode(_ e: inout LaunchEncoder) throws {
        let arguments = [.input(0), .input(1), .input(2), .output(0), .output(1)] + e.extents() + [form.code]
        e.launch("image_gates", "image_sharing_backward", arguments, e.library.grid(e.inputs[0].rows))
    }
}

extension LaunchEncoder {
    /// Images, columns and stored columns of the first input.
    fileprivate func extents() -> [LaunchArgument] {
        [.int(inputs[0].rows), .int(inputs[0].channels), .int(inputs[0].storedChannels)]
    }
}
