import AdaShareDatasets
import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareTasks

/// Batch and image size of a step.
public struct BatchShape: Hashable, Sendable {
    /// Images N, and their height H and width W in pixels.
    public let count, height, width: Int

    /// Creates a shape.
    ///
    /// - Parameters:
    ///   - count: images N.
    ///   - height: rows of an image, in pixels.
    ///   - width: columns of an image, in pixels.
    public init(count: Int, height: Int, width: Int) {
        self.count = count
        self.height = height
        self.width = width
    }
}

/// A network with what its steps have in common; records their graphs.
public struct StepGraphs: Sendable {
    /// The layers that are traced.
    public let architecture: NetworkArchitecture
    /// The tensors that the layers read, with the group and first value of each.
    public let catalog: ParameterCatalog
    /// Losses, labels and weights of the tasks, in the order of the architecture.
    public let tasks: [TaskSettings]
    /// Dropout probability of four-rate heads in steps that learn.
    public let dropout: Double
    /// How the tasks' losses become what is minimised.
    public var objective: any Objective = FixedWeights()
    /// What the network predicts under a policy.
    public var inference: @Sendable (DiscretePolicy) -> StepKind = { .inference($0) }
    /// How each image comes to a path of its own in inference; nil where all of a batch take the same.
    public var routing: ImageRouting?
    /// How weights move where a step does not say otherwise.
    public let rule: UpdateRule
    /// Whether the backward pass computes the blocks' branches again instead of keeping their activations.
    public var recomputesBranches = false
    /// Into how many equal parts the batches of steps that learn are divided, each of which is computed alone.
    public var shards = 1
    /// The process that computes some of these parts, from 0, and how many there are: each has its own part of the
    /// images.
    public var rank = (index: 0, count: 1)
    /// Which algorithm computes each convolution.
    public var choices = AlgorithmChoices()
    /// Also keeps, for comparisons, every parameter's gradient as output `gradient/<name>`, head outputs as
    /// `output/<task>` and samples as `gates/<task>`.
    public var keepsGradients = false

    /// Creates the graphs of a network, under `FixedWeights` and algorithms chosen by shape.
    ///
    /// - Parameters:
    ///   - architecture: the layers.
    ///   - catalog: the tensors of that architecture.
    ///   - tasks: in the order of the architecture.
    ///   - dropout: probability in four-rate heads, from 0 and below 1.
    ///   - rule: how weights move where a step does not say otherwise.
    public init(
        architecture: NetworkArchitecture, catalog: ParameterCatalog, tasks: [TaskSettings], dropout: Double,
        rule: UpdateRule
    ) {
        self.architecture = architecture
        self.catalog = catalog
        self.tasks = tasks
        self.dropout = dropout
        self.rule = rule
    }

    /// The loss that is no task's whatever the method: tasks have other names.
    public static let totalName = "total"
    /// Input of the images, [N, H, W, 3]; behind it come source and shape.
    public static let imageName = "input/image"
    /// Tensor [2] of integers: 1 + the first step whose loss was not finite, or 0, and the task of that loss.
    public static let flagName = "flag"
    /// What the outputs begin with that are added to the total, and a task's part of it.
    package static let (regulariserPrefix, termPrefix) = ("regulariser/", "term/")
    package static func constantName(_ name: String) -> String { "constant/\(name)" }
    package static let flagShape = Shape([2], compact: true)

    /// Output of what a task predicts.
    public static func outputName(_ task: String) -> String { "output/\(task)" }
    /// Input of a label; behind it come source and shape.
    public static func labelName(_ label: String) -> String { "input/label/\(label)" }
    /// Input of a task's loss where batches are divided, behind it comes the shard: how much of what is labelled in the
    /// batch, as the loss counts it, is in the shard; a scalar.
    package static func labelShareName(_ task: String) -> String { "input/label_share/\(task)" }
    /// Tensor [C] of the class weights of a task's loss.
    public static func classWeightsName(_ task: String) -> String { "class_weights/\(task)" }
    /// [N, H, W, 3], without pads.
    public static func imageShape(_ batch: BatchShape) -> Shape {
        Shape([batch.count, batch.height, batch.width, 3], compact: true)
    }
    /// [N, H, W, channels], without pads; H and W are 1 where the label is of the whole image.
    public static func labelShape(_ batch: BatchShape, _ format: LabelFormat) -> Shape {
        let isMap = format.extent == .pixels
        return Shape(
            [batch.count, isMap ? batch.height : 1, isMap ? batch.width : 1, format.channels], compact: true)
    }

    /// Records one step. Outputs: `loss/<task>`, `loss/total` and what else is part of the total of steps that learn,
    /// `output/<task>` of inference.
    ///
    /// - Parameters:
    ///   - kind: what the step computes.
    ///   - batch: images of a step and their size.
    ///   - present: the tasks that take part, as indices in order; nil for all. One that does not is left out as if the
    ///     network had no such task, but for a budget, which is of the whole network's policy: its cost counts every
    ///     task, and moves those that take part.
    ///   - graph: where it is recorded.
    /// - Precondition: at least one takes part.
    public func trace(_ kind: StepKind, batch: BatchShape, tasks present: [Int]? = nil, into graph: Graph) {
        let everyone = Array(tasks.indices)
        let present = kind.step.learns ? kind.step.participants(present ?? everyone) : present ?? everyone
        precondition(!present.isEmpty, "a step without tasks")
        graph.recomputesBranches = recomputesBranches
        graph.activations = choices.arithmetic.activations
        guard kind.step.learns else {
            return kind.step.record(in: StepRecorder(self, kind, batch: batch, present: present, into: graph))
        }
        let part = shardShape(batch)
        var tree = ShardTree()
        for shard in ownShards {
            let recorder = StepRecorder(self, kind, shard: shard, batch: part, present: present, into: graph)
            kind.step.record(in: recorder)
            tree.add(recorder.sums, in: graph)
        }
        var sums = tree.root
        if rank.count > 1 { sums.join(ranks: rank.count, in: graph) }
        finish(sums, in: graph)
    }

    /// The shards that this process computes, which are neighbours.
    package var ownShards: [Shard] {
        precondition(shards % rank.count == 0, "\(shards) shards for \(rank.count) processes")
        let own = shards / rank.count
        return (rank.index * own..<(rank.index + 1) * own).map { Shard($0, of: shards) }
    }

    /// Records what follows from the sums over the batch: outputs, checks, updates and running statistics.
    private func finish(_ sums: ShardSums, in graph: Graph) {
        let flag = graph.parameter(Self.flagName, Self.flagShape)
        for (name, value) in sums.outputs { graph.output(name, value) }
        for (number, value) in sums.checked { _ = graph.record(FiniteCheck(task: number), [value, flag, graph.step]) }
        accumulate(sums.remembered, flag: flag, in: graph)
        guard let (parameters, rule) = sums.update else { return }
        for (spec, gradient) in zip(parameters, sums.gradients) {
            guard let gradient else { continue }
            if keepsGradients { graph.output("gradient/\(spec.name)", gradient) }
            let rule = spec.group == .objective ? rule.withoutDecay : rule
            let parameter = graph.parameter(spec)
            rule.update(spec, parameter, gradient, slot: catalog.slot(of: spec.group), flag: flag, in: graph)
        }
        sums.statistics.update(in: graph, flag: flag)
    }

    /// What every task predicts, by name: [N, h, w, channels].
    package func predictionShapes(_ batch: BatchShape) -> [String: Shape] {
        let graph = Graph()
        trace(inference(.hardSharing(tasks: tasks.count, blocks: architecture.blocks.count)), batch: batch, into: graph)
        return Dictionary(
            uniqueKeysWithValues: tasks.compactMap { task in
                graph.outputs.first { $0.name == Self.outputName(task.name) }.map { (task.name, $0.value.shape) }
            })
    }

    /// The images of one shard of the images that this process has of a batch.
    ///
    /// - Precondition: the shards are equal.
    package func shardShape(_ batch: BatchShape) -> BatchShape {
        let own = ownShards.count
        precondition(batch.count % own == 0, "\(batch.count) images in \(own) shards")
        return BatchShape(count: batch.count / own, height: batch.height, width: batch.width)
    }

    /// Tells the inputs of different sources of images apart, where there are several.
    package static func sourceSuffix(_ source: Int) -> String { "/source\(source)" }

    /// Name of an input that a task reads: inputs of different sources of images, sizes and shards are different
    /// tensors.
    package func inputName(_ name: String, task: Int, _ batch: BatchShape, _ shard: Shard = .whole) -> String {
        let source = architecture.hasSeparateImages ? Self.sourceSuffix(architecture.sources[task]) : ""
        return shard.named("\(name)\(source)/\(batch.count)x\(batch.height)x\(batch.width)")
    }
}
