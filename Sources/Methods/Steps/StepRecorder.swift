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
    /// Images of the step and their size.
    public let batch: BatchShape
    /// The forward passes so far.
    public private(set) var trace: NetworkTrace
    /// Of each task that takes part, [N, H, W, 3]; the same value for tasks of the same images.
    public let images: [Value]
    private let constants: [String: [Double]]
    private lazy var flag = graph.parameter(StepGraphs.flagName, StepGraphs.flagShape)

    init(_ network: StepGraphs, _ kind: StepKind, batch: BatchShape, present: [Int], into graph: Graph) {
        self.graph = graph
        self.network = network
        self.present = present
        self.batch = batch
        constants = kind.step.constants
        images = present.map { task in
            let name = StepGraphs.imageName + network.sourceSuffix(task: task)
            return graph.input(network.inputName(name, batch), StepGraphs.imageShape(batch))
        }
        let learns = kind.step.learns
        trace = NetworkTrace(
            graph: graph, architecture: network.architecture, mode: learns ? .training : .inference,
            dropout: learns ? network.dropout : 0)
    }

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

    /// What each task predicts from its features.
    ///
    /// - Parameter features: of each task that takes part, [N, h, w, C], computed in `scope` where they are not by
    ///   `shared` or `paths`.
    /// - Returns: for each task [N, h, w, channels].
    public func heads(_ features: [Value]) -> [Value] {
        zip(present, features).map { trace.head(task: $0, features: $1) }
    }

    /// The network's root: layers of one's own are recorded here, so that their statistics move with the others.
    public var scope: Scope { trace.network }

    /// Has a step that infers put out what the tasks predict, as outputs `output/<task>`.
    public func predict(_ predictions: [Value]) {
        for (task, prediction) in zip(present, predictions) {
            graph.output("output/\(network.tasks[task].name)", prediction)
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

    /// The tasks' losses, as outputs `loss/<task>`, checked to be finite, and what the objective makes of them.
    public func objective(of predictions: [Value]) -> (losses: [Value], total: Value) {
        let flag = flag
        let losses = zip(present, predictions).map { loss($0, prediction: $1) }
        let total = network.objective.total(losses, in: self)
        for (task, loss) in zip(present, losses) { graph.output("loss/\(network.tasks[task].name)", loss) }
        if network.keepsGradients {
            for (task, prediction) in zip(present, predictions) {
                graph.output("output/\(network.tasks[task].name)", prediction)
            }
        }
        for (task, loss) in zip(present, losses) {
            _ = graph.record(FiniteCheck(task: task), [loss, flag, graph.step])
        }
        // A weighted sum of finite losses is finite; what others make of them need not be.
        if !(network.objective is FixedWeights) { requireFinite(total) }
        if network.objective.readsHistory { accumulate(losses, flag: flag) }
        return (losses, total)
    }

    /// Has no update happen from the step on in which a total is not finite.
    public func requireFinite(_ total: Value) {
        _ = graph.record(FiniteCheck(task: network.tasks.count), [total, flag, graph.step])
    }

    /// A total and what is added to it, each part with its weight as output `regulariser/<name>`.
    ///
    /// - Parameters:
    ///   - regularisers: name, weight and losses; those without weight or losses are left out.
    ///   - total: what the objective makes of the tasks' losses.
    func adding(
        _ regularisers: [(name: String, weight: Double, losses: [Value])], to total: Value
    ) -> Value {
        let added = regularisers.filter { $0.weight != 0 && !$0.losses.isEmpty }
        guard !added.isEmpty else { return total }
        for (name, weight, losses) in added {
            note(regulariser: name, graph.record(WeightedSum(losses.map { _ in weight }), losses)[0])
        }
        let weights = added.flatMap { part in part.losses.map { _ in part.weight } }
        return graph.record(WeightedSum([1] + weights), [total] + added.flatMap(\.losses))[0]
    }

    /// Has logs say what is added to the total, with its weight.
    func note(regulariser name: String, _ value: Value) { graph.output(StepGraphs.regulariserPrefix + name, value) }

    /// Has logs say a task's part of the total.
    func note(term value: Value, of task: Int) {
        graph.output(StepGraphs.termPrefix + network.tasks[task].name, value)
    }

    private func loss(_ index: Int, prediction: Value) -> Value {
        let task = network.tasks[index]
        return graph.scope("\(task.name)/loss") {
            let format = task.kind.label
            let name = network.inputName(
                StepGraphs.labelName(task.label) + network.sourceSuffix(task: index), batch)
            var label = graph.input(name, StepGraphs.labelShape(batch, format))
            if format.extent == .pixels {
                let size = prediction.shape
                label = graph.record(NearestResize(height: size[1], width: size[2]), [label])[0]
            }
            let weights =
                task.hasClassWeights
                ? graph.parameter(StepGraphs.classWeightsName(task.name), Shape([prediction.shape.channels])) : nil
            return task.kind.loss(prediction, label, classWeights: weights, in: graph)
        }
    }

    // MARK: - Backward

    /// Every weight that the forward passes read.
    public var weightsInUse: [ParameterSpec] {
        network.catalog.specs.filter { $0.isTrainable && $0.group != .policy && graph.knows($0.name) }
    }

    /// Records the gradients of a loss, the updates of the parameters that have one, and the running statistics; the
    /// loss is output `loss/total`.
    ///
    /// - Parameters:
    ///   - loss: a scalar.
    ///   - parameters: that are updated, in this order.
    ///   - rule: how.
    ///   - adjust: changes the gradients before they are used.
    public func minimise(
        _ loss: Value, _ parameters: [ParameterSpec], by rule: UpdateRule,
        adjust: (inout [Value?]) -> Void = { _ in }
    ) {
        let flag = flag
        graph.output("loss/\(StepGraphs.totalName)", loss)
        let targets = parameters.map(graph.parameter)
        var gradients = graph.gradients(of: loss, for: targets)
        adjust(&gradients)
        for (spec, (parameter, gradient)) in zip(parameters, zip(targets, gradients)) {
            guard let gradient else { continue }
            if network.keepsGradients { graph.output("gradient/\(spec.name)", gradient) }
            let rule = spec.group == .objective ? rule.withoutDecay : rule
            rule.update(spec, parameter, gradient, slot: network.catalog.slot(of: spec.group), flag: flag, in: graph)
        }
        trace.updateStatistics(flag: flag)
    }
}
