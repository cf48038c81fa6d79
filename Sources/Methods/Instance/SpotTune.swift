import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSupport

/// One backbone that is fine-tuned, and a frozen copy of what it began from: a policy network decides for each image
/// and block which of the two it passes.
///
/// - Source: Guo, Shi, Kumar, Grauman, Rosing, Feris, "SpotTune: transfer learning through adaptive fine-tuning",
///   CVPR 2019.
public struct SpotTune: GatedMethod {
    public static let kind = "spot_tune"
    public static let meaning =
        "each image passes each block as it is fine-tuned, or as it was in `model.initial_checkpoint`; one phase, "
        + "`train`"

    public var policyWidth = 16
    public var policyRate = 1.0
    public var warmup = 0
    public init() {}

    public var network: TunedBackbone {
        TunedBackbone(policy: PolicyNetwork(isPerTask: false, width: policyWidth))
    }
    public func penalty(_ settings: MethodSettings) -> GatePenalty { .none }

    public func validate(_ settings: MethodSettings, file: String) throws {
        try checkLength(settings, file: file)
        guard settings.hasInitialWeights else {
            throw InputError(
                file: file, place: "model.initial_checkpoint", found: "nothing with method \(Self.kind)",
                expected: "weights to keep frozen and to fine-tune")
        }
    }

    /// Of each block an image passes one form.
    public func cost(_ model: CostModel) -> LayerCost? {
        let list = parameters(model.architecture).filter(\.isTrainable)
        var cost = LayerCost()
        cost.multiplyAccumulates = network.policy.macs(model) + network.macs([], model)
        cost.parameters = model.backboneParameters + list.reduce(0) { $0 + $1.elementCount }
        return cost
    }
}

/// The backbone, and its blocks as they were at first, `frozen.backbone.blocks.…` and `frozen.backbone.ds.…`, from
/// running statistics: a block's output is that of the tuned form where an image's gate is 1, of the frozen one where
/// it is 0. The stem is tuned.
public struct TunedBackbone: GatedNetwork {
    public let policy: PolicyNetwork

    public func features(
        _ image: Value, gates: [Value], tasks: [Int], of architecture: NetworkArchitecture, in s: Scope
    ) -> [Value] {
        let features = features(image, of: architecture, in: s) { block, tuned, frozen in
            s(block.name).record(ImageSelect(column: block.index), [tuned(), frozen(), gates[0]])[0]
        }
        return tasks.map { _ in features }
    }

    /// Records stem and blocks, each as `choose` has it of its two forms.
    fileprivate func features(
        _ image: Value, of architecture: NetworkArchitecture, in s: Scope,
        choose: (_ block: ResidualBlock, _ tuned: () -> Value, _ frozen: () -> Value) -> Value
    ) -> Value {
        let tuned = s.grouped(.backbone)
        let frozen = tuned("frozen").frozen
        var x = architecture.stem(image, in: tuned)
        for block in architecture.blocks {
            func output(_ s: Scope) -> Value {
                block.branch(x, tail: .addReLU(residual: block.residual(x, in: s)), in: s)
            }
            x = choose(block, { output(tuned) }, { output(frozen) })
        }
        return x
    }

    public func inference(_ decisions: [[Bool]], tasks: Int) -> StepKind {
        StepKind(TunedInference(network: self, isTuned: decisions[0]))
    }

    public func macs(_ decisions: [[Bool]], _ model: CostModel) -> Int { model.parts.hardSharing(.shared) }
}

/// What every task predicts for images that pass each block in the same form.
private struct TunedInference: NetworkStep {
    let network: TunedBackbone
    let isTuned: [Bool]
    var learns: Bool { false }

    func record(in recorder: StepRecorder) {
        let features = network.features(
            recorder.images[0], of: recorder.network.architecture, in: recorder.scope
        ) { block, tuned, frozen in isTuned[block.index] ? tuned() : frozen() }
        recorder.predict(recorder.heads(recorder.present.map { _ in features }))
    }
}
