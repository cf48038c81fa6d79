import AdaShareDeviceLayer

/// A sample of one task's gates.
public struct GumbelSample: Sendable {
    /// What the forward pass uses, [L, 2].
    public let gates: Value
    /// The soft sample, which gradients are taken at.
    public let soft: Value
}

extension Recorder {
    /// Records the sample of gates; see `GumbelSoftmax`.
    ///
    /// - Parameters:
    ///   - logits: z [L, 2].
    ///   - uniforms: u [L, 2], in (0, 1).
    ///   - straightThrough: whether the forward value is the one-hot of the sample.
    public func gumbelSoftmax(_ logits: Value, uniforms: Value, straightThrough: Bool) -> GumbelSample {
        let outputs = record(GumbelSoftmax(straightThrough: straightThrough), [logits, uniforms, step])
        return GumbelSample(gates: outputs[0], soft: outputs[1])
    }
}

/// Samples the gates of one task; inputs logits z [L, 2], uniforms u [L, 2], step buffer (temperature τ).
/// Outputs: gates v [L, 2] and the soft sample kept for the gradient.
///
///     v = softmax((log softmax(z) + G) / τ),  G = −log(−log u)
///
/// Straight-through: the forward value is the one-hot of v, the gradient that of the soft v.
///
/// - Source: Jang et al. 2017, Maddison et al. 2017; kernel `gumbel_forward` in `policy.cl`.
public struct GumbelSoftmax: DifferentiableOperator {
    /// Whether the forward value is the one-hot of the sample.
    public let straightThrough: Bool

    /// Creates the operator.
    public init(straightThrough: Bool) { self.straightThrough = straightThrough }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0].channels == 2 && inputs[0] == inputs[1], "logits and uniforms are [L, 2] alike")
        return [inputs[0], inputs[0]]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "policy", "gumbel_forward",
            [.input(0), .input(1), .input(2), .output(0), .output(1), .flag(straightThrough)],
            e.library.grid(e.inputs[0].rows))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dv = call.gradients[0], call.wanted[0] else { return [nil, nil, nil] }
        return recorder.record(GumbelSoftmaxGradient(), [call.inputs[0], call.outputs[1], dv, call.inputs[2]])
            + [nil, nil]
    }
}

/// dz of `GumbelSoftmax`; inputs z, soft v, dv, step buffer.
public struct GumbelSoftmaxGradient: Operator {
    /// Creates the operator, which has no attributes.
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "policy", "gumbel_backward", [.input(0), .input(1), .input(2), .input(3), .output(0)],
            e.library.grid(e.inputs[0].rows))
    }
}

/// The two forms in which a policy regulariser is written down.
public enum RegulariserForm: String, CaseIterable, Sendable {
    /// As printed in the paper.
    case paper
    /// As computed by the authors' published code.
    case published

    /// How kernels name the form.
    var code: LaunchArgument { .int(self == .paper ? 0 : 1) }
}

/// Sparsity loss of one task's logits over blocks `first` ..< L.
///
/// Paper: Σ log α. Published: mean of −log(1 − α), each block weighted 2l/L if `layered` (l from 1).
public struct SparsityLoss: DifferentiableOperator {
    /// As printed or as published.
    public let form: RegulariserForm
    /// The first open block, from 0.
    public let first: Int
    /// Whether later blocks weigh more.
    public let layered: Bool

    /// Creates the operator.
    public init(form: RegulariserForm, first: Int, layered: Bool = false) {
        self.form = form
        self.first = first
        self.layered = layered
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(first < inputs[0].rows, "no open block among \(inputs[0].rows)")
        return [.scalar]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch("policy", "sparsity", [.input(0), .output(0)] + attributes(e), e.library.grid(1))
    }

    func attributes(_ e: LaunchEncoder) -> [LaunchArgument] {
        [.int(e.inputs[0].rows), .int(first), form.code, .flag(layered)]
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dloss = call.gradients[0] else { return [nil] }
        return recorder.record(SparsityLossGradient(loss: self), [call.inputs[0], dloss])
    }
}

/// Gradient of `SparsityLoss`; inputs logits, dloss.
public struct SparsityLossGradient: Operator {
    /// Whose gradient it is.
    public let loss: SparsityLoss
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let arguments: [LaunchArgument] = [.input(0), .input(1), .output(0)] + loss.attributes(e)
        e.launch("policy", "sparsity_backward", arguments, e.library.grid(1))
    }
}

/// Sharing loss of two tasks' logits, l from 1.
///
/// Paper: Σ (L−l)/L · |α₁ − α₂|. Published: Σ l/L · |z₁ − z₂| on the raw select logits.
public struct SharingLoss: DifferentiableOperator {
    /// As printed or as published.
    public let form: RegulariserForm

    /// Creates the operator.
    public init(form: RegulariserForm) { self.form = form }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "policy", "sharing",
            [.input(0), .input(1), .output(0), .int(e.inputs[0].rows), form.code],
            e.library.grid(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dloss = call.gradients[0] else { return [nil, nil] }
        let gradients = recorder.record(SharingLossGradient(form: form), call.inputs + [dloss])
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of `SharingLoss`; inputs both logits, dloss.
public struct SharingLossGradient: Operator {
    /// As printed or as published.
    public let form: RegulariserForm
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0], inputs[1]] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "policy", "sharing_backward",
            [
                .input(0), .input(1), .input(2), .output(0), .output(1), .int(e.inputs[0].rows),
                form.code,
            ], e.library.grid(1))
    }
}

/// What the cost-aware regulariser charges for a policy.
public enum CostForm: String, CaseIterable, Sendable {
    /// One pass per task: every selected (block, task) pair.
    case passes
    /// What remains when tasks run a block on the same input once: agreeing early pays.
    case shared

    var code: LaunchArgument { .int(self == .passes ? 0 : 1) }
}

/// Distance of the expected cost E of the blocks from a budget, |E − budget|, with E and the budget as shares of the
/// cost of selecting everything in the same form; inputs costs c [L] (shares of their sum), step buffer (budget),
/// logits z of each task [L, 2].
///
/// Decisions are independent with probabilities α = softmax(z)[select]; blocks before `first` count as selected.
///
///     passes: E = 1/T Σ_k Σ_l c_l α(l,k)
///     shared: E = 1/G Σ_S (−1)^(|S|+1) Σ_l c_l P(the tasks in S agree below l, and all select l)
///
/// with S a set of tasks of the same image, of G different ones.
///
/// - Source: kernel `expected_cost` in `policy.cl`.
public struct ExpectedCostLoss: DifferentiableOperator {
    /// What is charged for.
    public let form: CostForm
    /// The first open block, from 0.
    public let first: Int
    /// For each task the number of its image, from 0 without gaps; empty where all have the same.
    public let images: [Int]
    /// Sets of tasks are enumerated, so that many would take long.
    public static let maximumTasks = 12

    /// Creates the operator.
    public init(form: CostForm, first: Int, images: [Int] = []) {
        self.form = form
        self.first = first
        // One image for all is no attribute: the operator is the same however that is said.
        self.images = images.contains { $0 > 0 } ? images : []
    }

    /// Numbers of 4 bits: those of the first eight tasks, of the others, and how many there are.
    var imageCode: LaunchArgument {
        var code = SIMD4<Int32>(0, 0, 1, 0)
        // Passes share nothing, and may be of more tasks than there is room for.
        guard form == .shared else { return .int4(code) }
        for (task, image) in images.enumerated() {
            code[task / 8] |= Int32(truncatingIfNeeded: UInt32(image) << UInt32(4 * (task % 8)))
            code[2] = max(code[2], Int32(image) + 1)
        }
        return .int4(code)
    }

    /// Inputs before the logits.
    static let others = 2

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let tasks = inputs.count - Self.others
        precondition(images.isEmpty || images.count == tasks, "\(images.count) images for \(tasks) tasks")
        precondition(
            form == .passes || (1...Self.maximumTasks).contains(tasks), "\(tasks) tasks, at most \(Self.maximumTasks)")
        precondition(
            inputs[Self.others...].allSatisfy { $0.rows == inputs[0].channels && $0.channels == 2 },
            "costs \(inputs[0]) and logits \(inputs[Self.others...]) differ in blocks")
        return [.scalar]
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        let blocks = inputs[0].channels
        return (2 * (inputs.count - Self.others) * blocks + blocks + 1) * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (blocks, tasks) = (e.inputs[0].channels, e.inputs.count - Self.others)
        try encodeProbabilities(&e, tasks: tasks)
        e.launch(
            "policy", "expected_cost",
            [.workspace, .input(0), .input(1), .output(0), .int(blocks), .int(tasks), form.code, imageCode],
            e.library.grid(1))
    }

    /// The table of α, from the logits.
    func encodeProbabilities(_ e: inout LaunchEncoder, tasks: Int) throws {
        let blocks = e.inputs[0].channels
        for task in 0..<tasks {
            e.launch(
                "policy", "cost_alphas",
                [.input(task + Self.others), .workspace, .int(blocks), .int(task), .int(first)],
                e.library.grid(blocks))
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dloss = call.gradients[0] else { return call.inputs.map { _ in nil } }
        let gradients = recorder.record(ExpectedCostGradient(loss: self), call.inputs + [dloss])
        return [nil, nil] + zip(call.wanted.dropFirst(Self.others), gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of `ExpectedCostLoss` for every task's logits; inputs costs, step buffer, logits of each task, dloss.
public struct ExpectedCostGradient: Operator {
    /// Whose gradient it is.
    public let loss: ExpectedCostLoss

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        Array(inputs[ExpectedCostLoss.others..<(inputs.count - 1)])
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        loss.workspaceByteCount(inputs: Array(inputs.dropLast()), outputs: [], family: family)
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (blocks, tasks) = (e.inputs[0].channels, e.outputs.count)
        try loss.encodeProbabilities(&e, tasks: tasks)
        e.launch(
            "policy", "expected_cost_alphas",
            [
                .workspace, .input(0), .input(1), .input(tasks + ExpectedCostLoss.others), .int(blocks), .int(tasks),
                loss.form.code, loss.imageCode,
            ], e.library.grid(1))
        for task in 0..<tasks {
            e.launch(
                "policy", "expected_cost_logits",
                [
                    .input(task + ExpectedCostLoss.others), .workspace, .output(task), .int(blocks), .int(tasks),
                    .int(task),
                    .int(loss.first),
                ], e.library.grid(blocks))
        }
    }
}
