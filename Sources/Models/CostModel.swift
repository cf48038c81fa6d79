import AdaShareLayers
import AdaShareOperators

/// Counts multiply-accumulates and parameters of a network for one image.
///
/// MACs are those of convolutions only (and the linear layers of heads on pooled features), taps in the padding
/// included.
/// Parameters are those an optimiser moves: convolution weights and biases and the scales and shifts of batch norms,
/// but not running statistics, counters or logits.
///
/// - Source: the network of Sun, Panda, Feris, Saenko 2020 (arXiv 1911.12423) as its published code builds it.
public struct CostModel: Sendable {
    /// One residual block, whatever the policy.
    public struct Block: Sendable, Hashable {
        /// From 0 at the bottom.
        public let index: Int
        /// Parameter prefix, such as `backbone.blocks.0.1`.
        public let name: String
        /// MACs of the branch F.
        public let macs: Int
        /// MACs of the projection, 0 without one.
        public let projectionMacs: Int
        /// Parameters of branch and projection.
        public let parameters: Int
    }

    /// The head of one task.
    public struct Head: Sendable, Hashable {
        /// The task's name.
        public let task: String
        /// MACs of one execution.
        public let macs: Int
        /// Trainable parameters, biases included.
        public let parameters: Int
    }

    /// The network that is counted.
    public let architecture: NetworkArchitecture
    /// Image height in pixels.
    public let height: Int
    /// Image width in pixels.
    public let width: Int
    /// MACs of the stem's convolution for one execution.
    public let stemMacs: Int
    /// Stem, projections and blocks.
    public let backboneParameters: Int
    /// Costs of the residual blocks, bottom to top.
    public let blocks: [Block]
    /// Costs of the heads, in task order.
    public let heads: [Head]
    /// Everything below the heads, where that is another network than the backbone under a policy.
    public var network: LayerCost?
    /// Whether that is the most that an image costs, as each takes a path of its own.
    public var isMost = false

    /// Counts a network at one image size.
    ///
    /// - Precondition: height and width are at least 1 pixel.
    public init(_ architecture: NetworkArchitecture, height: Int, width: Int) {
        precondition(height >= 1 && width >= 1, "image of \(height)×\(width) pixels")
        self.architecture = architecture
        self.height = height
        self.width = width

        let counter = CostCounter()
        let network = Scope(counter)
        /// What a part costs for one execution, with the parameters of every set of batch norms.
        func cost(_ apply: (String) -> Value) -> (cost: LayerCost, output: Value) {
            var output: Value?
            let costs = architecture.normPrefixes.map { norms in counter.cost { output = apply(norms) } }
            guard var cost = costs.first, let output else { preconditionFailure("a network without tasks") }
            cost.parameters = costs.reduce(0) { $0 + $1.parameters }
            return (cost, output)
        }
        let image = counter.value(Shape([1, height, width, 3], compact: true))
        let (stem, pooled) = cost { architecture.stem(image, norms: $0, in: network) }
        var x = pooled
        stemMacs = stem.multiplyAccumulates
        blocks = architecture.blocks.map { block in
            let (projection, residual) = cost { block.residual(x, norms: $0, in: network) }
            let (branch, output) = cost { block.branch(x, tail: .addReLU(residual: residual), norms: $0, in: network) }
            x = output
            return Block(
                index: block.index, name: block.name, macs: branch.multiplyAccumulates,
                projectionMacs: projection.multiplyAccumulates, parameters: branch.parameters + projection.parameters)
        }
        backboneParameters = stem.parameters + blocks.reduce(0) { $0 + $1.parameters }
        heads = architecture.tasks.enumerated().map { index, task in
            let cost = counter.cost { _ = architecture.output(task: index)(x, in: network) }
            return Head(task: task.name, macs: cost.multiplyAccumulates, parameters: cost.parameters)
        }
    }

    /// MACs of the backbone by its parts.
    public var parts: PartCosts {
        PartCosts(
            unit: .macs, sources: architecture.sources, stem: stemMacs,
            blocks: blocks.map { PartCosts.Block(branch: $0.macs, projection: $0.projectionMacs) })
    }

    /// The whole count as the `cost` command prints it.
    ///
    /// - Parameter policy: which task executes which block; every task every block if nil.
    /// - Precondition: the policy fits the architecture (`DiscretePolicy.validate(for:)`).
    public func report(policy: DiscretePolicy? = nil) -> CostReport {
        let tasks = architecture.tasks
        let policy = policy ?? .hardSharing(tasks: tasks.count, blocks: blocks.count)
        let parts = parts
        return CostReport(
            backbone: CostReport.Backbone(
                macsAll: parts.hardSharing(.passes), macsSelected: parts.cost(of: policy, .passes),
                macsShared: parts.cost(of: policy, .shared), macsHardSharing: parts.hardSharing(.shared),
                parameters: backboneParameters, images: parts.passes > 1 ? parts.passes : nil),
            network: network.map {
                CostReport.Network(
                    macs: $0.multiplyAccumulates, parameters: $0.parameters, isMost: isMost ? true : nil)
            },
            heads: CostReport.Heads(
                macs: heads.reduce(0) { $0 + $1.macs }, parameters: heads.reduce(0) { $0 + $1.parameters }),
            blocks: blocks.map { block in
                CostReport.Block(
                    index: block.index, name: block.name, macs: block.macs, projectionMacs: block.projectionMacs,
                    parameters: block.parameters,
                    selectedBy: zip(tasks, policy.select).filter { $0.1[block.index] }.map(\.0.name))
            })
    }
}
