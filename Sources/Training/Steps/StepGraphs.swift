import Datasets
import Graph
import Layers
import Models
import Operators
import Tasks

/// What a step does; together with the image size it names a plan.
public enum StepKind: Hashable, Sendable {
    /// Hard sharing in one pass; updates the weights.
    case hardSharing
    /// Policy learning, weights: the last `open` blocks mixed, or what was `drawn` alone executed; logits frozen.
    case weights(open: Int, drawn: DiscretePolicy? = nil)
    /// Policy learning, logits: the last `open` blocks mixed, or what was `drawn` alone executed; weights frozen.
    case logits(open: Int, drawn: DiscretePolicy? = nil)
    /// Weights under a fixed policy; unselected blocks are not traced.
    case retrain(DiscretePolicy)
    /// Forward only, running statistics.
    case inference(DiscretePolicy)
}

/// Batch and image size of a step.
public struct BatchShape: Hashable, Sendable {
    public let count, height, width: Int

    public init(count: Int, height: Int, width: Int) {
        self.count = count
        self.height = height
        self.width = width
    }
}

/// Records the graph of every kind of step: forward passes per task, losses, backward, updates.
public struct StepGraphs: Sendable {
    public let architecture: NetworkArchitecture
    public let catalog: ParameterCatalog
    public let tasks: [TaskSettings]
    public let dropout: Double
    public let policy: PolicySettings
    /// Rule for the weights in warm-up and retraining, in policy learning, and for the logits.
    public let trainingRule, policyWeightRule, logitRule: UpdateRule
    /// Whether the backward pass computes the blocks' branches again instead of keeping their activations.
    public var recomputesBranches = false
    /// Which algorithm computes each convolution.
    public var choices = AlgorithmChoices()
    /// Also keeps, for comparisons, every parameter's gradient as output `gradient/<name>`, head outputs as
    /// `output/<task>`, samples as `gates/<task>`, and the regularisers without λ as `loss/sparsity` and
    /// `loss/sharing`.
    public var keepsGradients = false

    public init(
        architecture: NetworkArchitecture, catalog: ParameterCatalog, tasks: [TaskSettings], dropout: Double,
        policy: PolicySettings, trainingRule: UpdateRule, policyWeightRule: UpdateRule, logitRule: UpdateRule
    ) {
        self.architecture = architecture
        self.catalog = catalog
        self.tasks = tasks
        self.dropout = dropout
        self.policy = policy
        self.trainingRule = trainingRule
        self.policyWeightRule = policyWeightRule
        self.logitRule = logitRule
    }

    /// What is added to the losses in a step of the logits.
    private enum Regulariser: String, CaseIterable { case sparsity, sharing, cost }
    /// Losses that are no task's: tasks have other names.
    static let reservedNames = Set(["total"] + Regulariser.allCases.map(\.rawValue))

    public static let imageName = "input/image"
    public static let flagName = "flag"
    static let blockCostsName = "block_costs"
    static let flagShape = Shape([2], compact: true)

    public static func labelName(_ label: String) -> String { "input/label/\(label)" }
    public static func classWeightsName(_ task: String) -> String { "class_weights/\(task)" }
    public static func imageShape(_ batch: BatchShape) -> Shape {
        Shape([batch.count, batch.height, batch.width, 3], compact: true)
    }
    public static func labelShape(_ batch: BatchShape, _ format: LabelFormat) -> Shape {
        let isMap = format.extent == .pixels
        return Shape(
            [batch.count, isMap ? batch.height : 1, isMap ? batch.width : 1, format.channels], compact: true)
    }

    /// Records one step. Outputs: `loss/<task>`, `loss/total`, and `output/<task>` for inference.
    ///
    /// - Parameter present: the tasks that take part, as indices in order; nil for all. One that does not is left out
    ///   as if the network had no such task, but for a budget, which is of the whole network's policy: its cost counts
    ///   every task, and moves those that take part.
    /// - Precondition: at least one takes part.
    public func trace(_ kind: StepKind, batch: BatchShape, tasks present: [Int]? = nil, into graph: Graph) {
        let present = present ?? Array(tasks.indices)
        precondition(!present.isEmpty, "a step without tasks")
        graph.recomputesBranches = recomputesBranches
        graph.activations = choices.arithmetic.activations
        let image = graph.input(inputName(Self.imageName, batch), Self.imageShape(batch))
        if case .inference(let chosen) = kind {
            traceInference(chosen, image: image, into: graph)
            return
        }

        var trace = NetworkTrace(graph: graph, architecture: architecture, mode: .training, dropout: dropout)
        let predictions = forward(kind, present, image: image, trace: &trace)
        let flag = graph.parameter(Self.flagName, Self.flagShape)
        let losses = zip(present, predictions).map { loss($0, prediction: $1, batch: batch, graph: graph) }
        var total = graph.record(WeightedSum(present.map { tasks[$0].weight }), losses)[0]
        for (task, loss) in zip(present, losses) { graph.output("loss/\(tasks[task].name)", loss) }
        if keepsGradients {
            for (task, prediction) in zip(present, predictions) {
                graph.output("output/\(tasks[task].name)", prediction)
            }
        }
        for (task, loss) in zip(present, losses) {
            _ = graph.record(FiniteCheck(task: task), [loss, flag, graph.step])
        }
        if case .logits(let open, _) = kind { total = addRegularisers(to: total, present, open: open, graph: graph) }
        graph.output("loss/total", total)

        // The logits in the order of the tasks, or every weight in use.
        let isLogitStep = if case .logits = kind { true } else { false }
        let logits = Set(present.map { architecture.logitsParameter(task: $0) })
        let specs = catalog.specs.filter {
            $0.isTrainable && ($0.group == .policy) == isLogitStep
                && (isLogitStep ? logits.contains($0.name) : graph.knows($0.name))
        }
        let targets = specs.map { graph.parameter($0.name, Shape($0.deviceShape)) }
        var gradients = graph.gradients(of: total, for: targets)
        if case .logits(let open, .some) = kind {
            for (path, loss) in losses.enumerated() {
                let drawn = drawnGradient(present[path], path: path, loss: loss, open: open, trace: trace)
                guard let drawn else { continue }
                gradients[path] = gradients[path].map { graph.record(Sum(), [$0, drawn])[0] } ?? drawn
            }
        }
        for (spec, (parameter, gradient)) in zip(specs, zip(targets, gradients)) {
            guard let gradient else { continue }
            if keepsGradients { graph.output("gradient/\(spec.name)", gradient) }
            graph.scope("update/\(spec.name)") {
                update(spec, parameter, gradient, rule: rule(kind), flag: flag, graph: graph)
            }
        }
        trace.updateStatistics(flag: flag)
    }

    /// Inputs of different sizes are different tensors.
    func inputName(_ name: String, _ batch: BatchShape) -> String {
        "\(name)/\(batch.count)x\(batch.height)x\(batch.width)"
    }

    private func rule(_ kind: StepKind) -> UpdateRule {
        switch kind {
        case .hardSharing, .retrain, .inference: trainingRule
        case .weights: policyWeightRule
        case .logits: logitRule
        }
    }

    /// The predictions of the tasks that take part.
    private func forward(_ kind: StepKind, _ present: [Int], image: Value, trace: inout NetworkTrace) -> [Value] {
        let blocks = architecture.blocks.count
        var gates: [Value] = []
        let decisions: [[BlockDecision]]
        switch kind {
        case .hardSharing:
            // One path, whose statistics move once, however many tasks there are.
            let all = [BlockDecision](repeating: .select, count: blocks)
            let features = trace.features(image: image, decisions: [all])[0]
            return present.map { trace.head(task: $0, features: features) }
        case .weights(_, let drawn?), .logits(_, let drawn?):
            decisions = present.map { drawn.select[$0].map { $0 ? .select : .skip } }
        case .weights(let open, nil), .logits(let open, nil):
            gates = present.map { sample(task: $0, graph: trace.graph).gates }
            if keepsGradients {
                for (task, gates) in zip(present, gates) { trace.graph.output("gates/\(tasks[task].name)", gates) }
            }
            decisions = present.map { _ in (0..<blocks).map { $0 < blocks - open ? .select : .mix } }
        case .retrain(let chosen), .inference(let chosen):
            decisions = present.map { chosen.select[$0].map { $0 ? .select : .skip } }
        }
        let features = trace.features(image: image, decisions: decisions, gates: gates)
        return zip(present, features).map { trace.head(task: $0, features: $1) }
    }

    private func traceInference(_ chosen: DiscretePolicy, image: Value, into graph: Graph) {
        var trace = NetworkTrace(graph: graph, architecture: architecture, mode: .inference)
        let predictions = forward(.inference(chosen), Array(tasks.indices), image: image, trace: &trace)
        for (task, prediction) in zip(tasks, predictions) {
            graph.output("output/\(task.name)", prediction)
        }
    }

    private func logits(task: Int, graph: Graph) -> Value {
        graph.parameter(architecture.logitsParameter(task: task), Shape([architecture.blocks.count, 2]))
    }

    /// The task's part of a drawn logit step: what the blocks it selected would have its gates change, straight
    /// through.
    ///
    /// The forward pass is shared between tasks wherever their draws agree; only gradients are a task's own.
    ///
    /// - Parameter path: of the trace, the task's.
    private func drawnGradient(_ task: Int, path: Int, loss: Value, open: Int, trace: NetworkTrace) -> Value? {
        let graph = trace.graph
        let blocks = architecture.blocks.count
        let selected = trace.selections[path].filter { $0.key >= blocks - open }.sorted { $0.key < $1.key }
        guard !selected.isEmpty else { return nil }
        let weighted = graph.record(WeightedSum([tasks[task].weight]), [loss])[0]
        let arriving = graph.gradients(of: weighted, for: selected.map(\.value.output))
        let rows = zip(selected, arriving).compactMap { selection, gradient -> Value? in
            guard let gradient else { return nil }
            return graph.scope("backward/\(architecture.blocks[selection.key].name)/gate") {
                let values = [selection.value.output, graph.again(selection.value.residual), gradient]
                return graph.record(DrawnGateGradient(block: selection.key, blocks: blocks), values)[0]
            }
        }
        guard let first = rows.first else { return nil }
        let gates = rows.count == 1 ? first : graph.record(Sum(), rows)[0]
        let soft = sample(task: task, graph: graph).soft
        return graph.record(GumbelSoftmaxGradient(), [logits(task: task, graph: graph), soft, gates, graph.step])[0]
    }

    /// The gates [L, 2] of a task as the forward pass uses them, and their soft form.
    private func sample(task: Int, graph: Graph) -> GumbelSample {
        let prefix = "task\(architecture.number(task: task))"
        return graph.scope("\(prefix)/gates") {
            let blocks = architecture.blocks.count
            let logits = logits(task: task, graph: graph)
            let noise =
                policy.noiseGiven
                ? graph.input("noise/\(prefix)", Shape([blocks, 2]))
                : graph.record(
                    UniformNoise(rows: blocks, columns: 2, name: architecture.gumbelNoise(task: task)),
                    [graph.step])[0]
            return graph.gumbelSoftmax(logits, uniforms: noise, straightThrough: policy.straightThrough)
        }
    }

    private func loss(_ index: Int, prediction: Value, batch: BatchShape, graph: Graph) -> Value {
        let task = tasks[index]
        return graph.scope("\(task.name)/loss") {
            let format = task.kind.label
            let name = inputName(Self.labelName(task.label), batch)
            var label = graph.input(name, Self.labelShape(batch, format))
            if format.extent == .pixels {
                let size = prediction.shape.dimensions
                label = graph.record(NearestResize(height: size[1], width: size[2]), [label])[0]
            }
            let weights =
                task.hasClassWeights
                ? graph.parameter(Self.classWeightsName(task.name), Shape([prediction.shape.channels])) : nil
            return task.kind.loss(prediction, label, classWeights: weights, in: graph)
        }
    }

    /// total + λ_sp Σ sparsity + λ_sh Σ sharing over pairs of tasks.
    private func addRegularisers(to total: Value, _ present: [Int], open: Int, graph: Graph) -> Value {
        graph.scope("regularisers") {
            let all = present.map { logits(task: $0, graph: graph) }
            var terms = [total]
            var weights = [1.0]
            func add(_ name: Regulariser, _ losses: [Value], weight: Double) {
                guard weight != 0, !losses.isEmpty else { return }
                terms += losses
                weights += losses.map { _ in weight }
                if keepsGradients {
                    graph.output("loss/\(name.rawValue)", graph.record(WeightedSum(losses.map { _ in 1 }), losses)[0])
                }
            }
            let sparsity = SparsityLoss(
                form: policy.sparsityForm, first: architecture.blocks.count - open, layered: policy.layered)
            add(.sparsity, all.map { graph.record(sparsity, [$0])[0] }, weight: policy.sparsity)
            let sharing = SharingLoss(form: policy.sharingForm)
            let pairs = all.indices.flatMap { first in all[(first + 1)...].map { (all[first], $0) } }
            add(.sharing, pairs.map { graph.record(sharing, [$0, $1])[0] }, weight: policy.sharing)
            if let budget = policy.budget {
                let costs = graph.parameter(Self.blockCostsName, Shape([architecture.blocks.count]))
                let loss = ExpectedCostLoss(form: budget.form, first: architecture.blocks.count - open)
                let everyone = tasks.indices.map { logits(task: $0, graph: graph) }
                add(.cost, [graph.record(loss, [costs, graph.step] + everyone)[0]], weight: budget.weight)
            }
            return terms.count == 1 ? total : graph.record(WeightedSum(weights), terms)[0]
        }
    }

    private func update(
        _ spec: ParameterSpec, _ parameter: Value, _ gradient: Value, rule: UpdateRule, flag: Value, graph: Graph
    ) {
        let slot = RateSlot(spec.group)
        func state(_ name: String) -> Value {
            graph.parameter(OptimizerState.name(spec.name, name), parameter.shape)
        }
        switch rule {
        case .sgd(let momentum, let decay):
            let operation = SGDUpdate(rate: slot, momentum: momentum, weightDecay: decay)
            _ = graph.record(operation, [parameter, gradient, state("momentum"), graph.step, flag])
        case .adam(let beta1, let beta2, let epsilon, let decay):
            let operation = AdamUpdate(rate: slot, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay)
            _ = graph.record(operation, [parameter, gradient, state("first"), state("second"), graph.step, flag])
        }
    }
}

/// Names of optimiser state in the tensor store and in training-state files.
public enum OptimizerState {
    static let prefix = "optimizer/"

    static func name(_ parameter: String, _ kind: String) -> String { "\(prefix)\(parameter)/\(kind)" }
}
