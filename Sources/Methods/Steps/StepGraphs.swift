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

    /// Input of a label; behind it come source and shape.
    public static func labelName(_ label: String) -> String { "input/label/\(label)" }
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
        let recorder = StepRecorder(self, kind, batch: batch, present: present, into: graph)
        kind.step.record(in: recorder)
    }

    /// Tells the inputs of different sources of images apart, where there are several.
    package func sourceSuffix(task: Int) -> String {
        architecture.hasSeparateImages ? Self.sourceSuffix(architecture.sources[task]) : ""
    }
    package static func sourceSuffix(_ source: Int) -> String { "/source\(source)" }

    /// Inputs of different sizes are different tensors.
    package func inputName(_ name: String, _ batch: BatchShape) -> String {
        "\(name)/\(batch.count)x\(batch.height)x\(batch.width)"
    }
}
