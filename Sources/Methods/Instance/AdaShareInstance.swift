/// AdaShare with decisions of its own for each image: a policy network decides for every task and block on seeing it,
/// under AdaShare's losses of the probabilities, which are means over the images of a batch.
///
/// What AdaShare learns with logits that all images have in common; weights and decisions move together, in one phase
/// and on all training images, and there is no discrete policy to retrain under.
///
/// - Source: the instance-level policy among the ablations of Sun, Panda, Feris, Saenko, NeurIPS 2020; the policy
///   network is this project's.
public struct AdaShareInstance: GatedMethod {
    public static let kind = "adashare_instance"
    public static let meaning =
        "a policy of each image, for every task, under the losses of `adashare`; one phase, `train`"
    public static let lossNames = [AdaShare.Regulariser.sparsity, .sharing].map(\.rawValue)

    public var policyWidth = 16
    public var policyRate = 1.0
    public var warmup = 0
    public init() {}

    public var network: GatedBackbone { GatedBackbone(policy: PolicyNetwork(isPerTask: true, width: policyWidth)) }
    public func penalty(_ settings: MethodSettings) -> GatePenalty { .adaShare(PolicySettings(settings)) }
}
