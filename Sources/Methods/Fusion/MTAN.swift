import AdaShareLayers
import AdaShareModels
import AdaShareOperators

/// One backbone for all tasks, from which each task takes what its attention lets through, stage by stage.
///
/// With u the input and p the output of a stage's last block, a′ the task's features of the stage below:
///
///     a = sigmoid(BN(W₂ · ReLU(BN(W₁ · [u; f(a′)])))) ⊙ p
///
/// f is a 3×3 convolution, batch norm and ReLU that tasks share, and a max pool where the stage has a stride; W₁ gives
/// a quarter of the stage's channels. The last stage's a goes to the head.
///
/// - Source: Liu, Johns, Davison, "End-to-end multi-task learning with attention", CVPR 2019.
public struct MTAN: NetworkMethod {
    public static let kind = "mtan"
    public static let meaning =
        "one backbone, and for each task attention over the features of every stage; one phase, `train`"

    public init() {}

    public var network: AttentionNetwork { AttentionNetwork() }
}

/// The backbone, `task<k>_attention.stages.<i>` of each task, and `attention.stages.<i>`, f, of all.
public struct AttentionNetwork: TaskNetwork {
    /// Channels of a stage over those between W₁ and W₂.
    private static let reduction = 4

    public func features(
        _ image: Value, tasks: [Int], of architecture: NetworkArchitecture, in s: Scope
    ) -> [Value] {
        let s = s.grouped(.backbone)
        var x = architecture.stem(image, in: s)
        // Before the last block of each stage, and behind it.
        var below: [Value] = []
        var stages: [(inner: Value, outer: Value)] = []
        for block in architecture.blocks {
            let input = x
            x = block.branch(x, tail: .addReLU(residual: block.residual(x, in: s)), in: s)
            guard block.position + 1 == architecture.stages[block.stage].blockCount else { continue }
            stages.append((input, x))
        }
        for (stage, (inner, outer)) in zip(architecture.stages, stages) {
            let given = below.map { passedOn($0, to: stage, in: s("attention.stages.\(stage.index - 1)")) }
            below = tasks.enumerated().map { position, task in
                let s = s("task\(architecture.number(task: task))_attention.stages.\(stage.index)")
                return attended(inner, outer, given.isEmpty ? nil : given[position], in: s)
            }
        }
        return below
    }

    /// f(a′).
    private func passedOn(_ x: Value, to stage: ResidualStage, in s: Scope) -> Value {
        let h = s("conv").convolution(x, channels: stage.outputChannels, kernel: 3, padding: 1)
        let y = s("bn").batchNorm(h, tail: .relu)
        // Rounded as the stage's first convolution rounds.
        return stage.stride == 1 ? y : s.maxPool(y, ceilMode: false)
    }

    /// a.
    private func attended(_ inner: Value, _ outer: Value, _ given: Value?, in s: Scope) -> Value {
        let channels = outer.shape.channels
        let hidden = channels / Self.reduction
        var terms = [s("conv1").convolution(inner, channels: hidden, kernel: 1)]
        if let given { terms.append(s("conv1_below").convolution(given, channels: hidden, kernel: 1)) }
        let h = s("bn1").batchNorm(s.sum(terms), tail: .relu)
        let mask = s("bn2").batchNorm(s("conv2").convolution(h, channels: channels, kernel: 1))
        return s.record(SigmoidProduct(), [mask, outer])[0]
    }
}
