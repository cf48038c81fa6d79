import AdaShareDatasets
import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareTasks

/// One step while it is recorded: what steps are composed of.
public final class StepRecorder {
    /// Where the step is recorded.
    public let graph: Graph
    /// What the network's steps have in common.
    public let network: StepGraphs
    /// The tasks that take part, as indices in order; what is per task here is in this order.
    public let present: [Int]
    /// The part of the batch that is recorded.
    public let shard: Shard
    /// Images of that part and their size.
    public let batch: BatchShape
    /// The forward passes so far.
    public private(set) var trace: NetworkTrace
    /// Of each task that takes part, [N, H, W, 3]; the same value for tasks of the same images.
    public let images: [Value]
    private let constants: [String: [Double]]
    private let learns: Bool
    /// By task, what its head predicts, and the loss of that.
    private var known: [Int: (prediction: Value, loss: Value)] = [:]
    /// What is summed over the shards of the batch.
    private(set) var sums = ShardSums()

    init(
        _ network: StepGraphs, _ kind: StepKind, shard: Shard = .whole, batch: BatchShape, present: [Int],
        into graph: Graph
    ) {
        self.graph = graph
        self.network = network
        self.present = present
        self.shard = shard
        self.batch = batch
        constants = kind.step.constants
        images = present.map { task in
            let name = network.inputName(StepGraphs.imageName, task: task, batch, shard)
            return graph.input(name, StepGraphs.imageShape(batch))
        }
        learns = kind.step.learns
        trace = NetworkTrace(
            graph: graph, architecture: network.architecture, mode: learns ? .training : .inference,
            dropout: learns ? network.dropout : 0, firstImage: shard.index * batch.count)
    }

    /// Images of the batch before those that are recorded: noise that is an image's belongs to its place in the batch.
    public var firstImage: Int { shard.index * batch.count }

    /// L.
    public var blocks: Int { network.architecture.blocks.count }

    // MARK: - Forward

    /// Predictions of the tasks along one path that all of them take, once for each of the images.
    ///
    /// - Parameter selected: the blocks that are executed, bottom to top; nil for all.
    /// - Returns: for each task [N, h, w, channels].
    public func shared(blocks selected: [Bool]? = nil) -> [Value] {
        let decisions = (0..<blocks).map { selected?[$0] ?? true ? BlockDecision.select : .skip }
        return heads(trace.shared(tasks: present, images: images, decisions: decisions))
    }

    /// Predictions of the tasks, each along its path.
    ///
    /// - Parameters:
    ///   - decisions: for each task, bottom to top.
    ///   - gates: [L, 2] for each task, where a decision is to mix.
    /// - Returns: for each task [N, h, w, channels].
    public func paths(_ decisions: [[BlockDecision]], gates: [Value] = []) -> [Value] {
        heads(trace.features(images: images, decisions: decisions, gates: gates, tasks: present))
    }

    /// Predictions under a policy, which has a row for every task of the network.
    public func paths(_ policy: DiscretePolicy) -> [Value] {
        paths(present.map { policy.select[$0].map { $0 ? .select : .skip } })
    }

    /// What each task predicts from its features. In steps that learn each task's loss is recorded behind its head, so
    /// that its backward pass can begin before the next head is computed.
    ///
    /// - Parameter features: of each task that takes part, [N, h, w, C], computed in `scope` where they are not by
    ///   `shared` or `paths`.
    /// - Returns: for each task [N, h, w, channels].
    public func heads(_ features: [Value]) -> [Value] {
        zip(present, features).map { task, features in
            let prediction = trace.head(task: task, features: features)
            if learns { known[task] = (prediction, loss(task, prediction: prediction)) }
            return prediction
        }
    }

    /// The network's root: layers of one's own are recorded here, so that their statistics move with the others.
    public var scope: Scope { trace.network }

    /// Has a step that infers put out what the tasks predict, as outputs `output/<task>`.
    public func predict(_ predictions: [Value]) {
        for (task, prediction) in zip(present, predictions) {
            graph.output(StepGraphs.outputName(network.tasks[task].name), prediction)
        }
    }

    /// Numbers that the step has among its `constants`.
    ///
    /// - Precondition: it has some of that name.
    /// - Returns: as many.
    public func constant(_ name: String) -> Value {
        guard let count = constants[name]?.count else { preconditionFailure("a step without the constants \(name)") }
        return graph.parameter(StepGraphs.constantName(name), Shape([count]))
    }

    // MARK: - Losses

    /// The tasks' losses, as outputs `loss/<task>`, checked to be finite, and what the objective makes of them: of a
    /// shard, its parts of the losses of the batch, whose sum over the shards they are.
    public func objective(of predictions: [Value]) -> (losses: [Value], total: Value) {
        let losses = zip(present, predictions).map { task, prediction in
            if let own = known[task], own.prediction == prediction { return own.loss }
            return loss(task, prediction: prediction)
        }
        let total = network.objective.total(losses, in: self)
        if network.keepsGradients {
            for (task, prediction) in zip(present, predictions) {
                graph.output(shard.named(StepGraphs.outputName(network.tasks[task].name)), prediction)
            }
        }
        for (task, loss) in zip(present, losses) {
            sums.output("loss/\(network.tasks[task].name)", loss)
            sums.check(loss, number: task)
            if network.objective.readsHistory { sums.remember(loss, of: task) }
        }
        // A weighted sum of finite losses is finite; what others make of them need not be.
        if !(network.objective is FixedWeights) { requireFinite(total) }
        return (losses, total)
    }

    /// Has no update happen from the step on in which a total is not finite.
    public func requireFinite(_ total: Value) { sums.check(total, number: network.tasks.count) }

    /// A shard's part of a scalar that belongs to the batch as a whole: the parts of all shards add up to it.
    public func share(of value: Value) -> Value {
        shard.isWhole ? value : graph.record(Scale(shard.share), [value])[0]
    }

    /// A total and what is added to it, each part with its weight as output `regulariser/<name>`.
    ///
    /// - Parameters:
    ///   - regularisers: name, weight and losses, which belong to the batch as a whole, or are means over its images;
    ///     those without weight or losses are left out.
    ///   - total: what the objective makes of the tasks' losses.
    func adding(
        _ regularisers: [(name: String, weight: Double, losses: [Value])], to total: Value
    ) -> Value {
        let added = regularisers.filter { $0.weight != 0 && !$0.losses.isEmpty }.map {
            (name: $0.name, weight: $0.weight * shard.share, losses: $0.losses)
        }
        guard !added.isEmpty else { return total }
        for (name, weight, losses) in added {
            note(regulariser: name, graph.record(WeightedSum(losses.map { _ in weight }), losses)[0])
        }
        let weights = added.flatMap { part in part.losses.map { _ in part.weight } }
        return graph.record(WeightedSum([1] + weights), [total] + added.flatMap(\.losses))[0]
    }

    /// Has logs say what is added to the total, with its weight.
    func note(regulariser name: String, _ value: Value) { sums.output(StepGraphs.regulariserPrefix + name, value) }

    /// Has logs say a task's part of the total.
    func note(term value: Value, of task: Int) {
        sums.output(StepGraphs.termPrefix + network.tasks[task].name, value)
    }

    /// Keeps, for comparisons, what all shards have in common.
    func keep(_ name: String, _ value: Value) { if shard.index == 0 { graph.output(name, value) } }

    private func loss(_ index: Int, prediction: Value) -> Value {
        let task = network.tasks[index]
        return graph.scope("\(task.name)/loss") {
            let format = task.kind.label
            let name = network.inputName(StepGraphs.labelName(task.label), task: index, batch, shard)
            var label = graph.input(name, StepGraphs.labelShape(batch, format))
            if format.extent == .pixels {
                let size = prediction.shape
                label = graph.record(NearestResize(height: size[1], width: size[2]), [label])[0]
            }
            let weights =
                task.hasClassWeights
                ? graph.parameter(StepGraphs.classWeightsName(task.name), Shape([prediction.shape.channels])) : nil
            let mean = task.kind.loss(prediction, label, classWeights: weights, in: graph)
            if shard.isWhole { return mean }
            // The mean over the batch is that of the shards' means, each with its share of what is labelled.
            let share = graph.input(shard.named(StepGraphs.labelShareName(task.name)), .scalar)
            return graph.record(ScalarProduct(), [share, mean])[0]
        }
    }

    // MARK: - Backward

    /// Every weight that the forward passes read.
    public var weightsInUse: [ParameterSpec] {
        network.catalog.specs.filter { $0.isTrainable && $0.group != .policy && graph.knows($0.name) }
    }

    /// Records the gradients of a loss, and once those of the whole batch are known, the updates of the parameters that
    /// have one, and the running statistics; the loss is output `loss/total`.
    ///
    /// - Precondition: a step minimises once.
    /// - Parameters:
    ///   - loss: a scalar.
    ///   - parameters: that are updated, in this order.
    ///   - rule: how.
    ///   - adjust: changes the gradients before they are used.
    public func minimise(
        _ loss: Value, _ parameters: [ParameterSpec], by rule: UpdateRule,
        adjust: (inout [Value?]) -> Void = { _ in }
    ) {
        sums.output("loss/\(StepGraphs.totalName)", loss)
        var gradients = graph.gradients(of: loss, for: parameters.map(graph.parameter))
        adjust(&gradients)
        sums.minimise(parameters, by: rule, gradients: gradients, statistics: trace.network.statistics)
    }
}
