import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareLayers
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareRanks
import AdaShareSupport
import AdaShareTasks
import Foundation

/// A network on a device: its parameters, its plans, and the steps that change them.
public final class NetworkRuntime {
    /// Runs the plans of steps, and holds the tensors that outlive them.
    public let executor: Executor
    /// Records the graphs of steps, from which plans are made.
    public let graphs: StepGraphs
    /// The processes that train the same network, each with its part of the images.
    private let ranks: RankGroup?
    /// Marks the ends of steps in flight, so that the host never runs far ahead of the device.
    private var inFlight: [DeviceEvent] = []
    private static let stepsAhead = 2
    /// Beside the computation, where that is not the host's own.
    private let uploads: UploadStream?
    /// Numbers that steps have read so far, by name.
    private var constants: [String: [Double]] = [:]
    /// Paths that images have taken in inference, where each takes its own, since they were last asked for.
    var paths: [[[Bool]]: Int] = [:]
    /// Tasks whose class weights were not given.
    private let tasksWithoutWeights: [String]
    private let classWeights: [String: [Float]]
    /// Of the tasks' predictions for images of a size, where shares of labels are counted.
    private var predictionSizes: [BatchShape: [String: (height: Int, width: Int)]] = [:]
    /// Whether parameters are on the device only where steps read them as they are.
    private let infersOnly: Bool

    /// Takes memory for every parameter, unless it only infers; values are set by `initialise`, or by loading a
    /// checkpoint.
    ///
    /// - Parameters:
    ///   - library: the kernels of the device.
    ///   - graphs: the network, and what its steps have in common.
    ///   - classWeights: by task, for each whose loss has them; a network without them can only infer.
    ///   - infersOnly: no step changes a parameter. Those that are packed or transformed for the steps are read again
    ///     where they come from when they are needed again, and take no memory in between.
    ///   - ranks: the processes that train the same network, each with its part of the images; nil for this one alone.
    /// - Throws: `DeviceError` if memory cannot be had.
    public init(
        library: KernelLibrary, graphs: StepGraphs, classWeights: [String: [Float]] = [:],
        infersOnly: Bool = false, ranks: RankGroup? = nil
    ) throws {
        var graphs = graphs
        if let ranks { graphs.rank = (ranks.index, ranks.count) }
        // Tasks take part or not as a batch has labels of them: a plan for each set of them that comes.
        let capacity = max(16, 4 << min(4, graphs.tasks.count))
        executor =
            try ranks.map { try Executor(library: library, capacity: capacity, ranks: $0) }
            ?? Executor(library: library, capacity: capacity)
        self.ranks = ranks
        (self.graphs, self.classWeights, self.infersOnly) = (graphs, classWeights, infersOnly)
        uploads = library.family == .gpu ? try UploadStream(context: library.context) : nil
        for spec in graphs.catalog.specs where !infersOnly {
            try executor.store.tensor(spec.name, spec.storedShape)
        }
        try executor.store.tensor(StepGraphs.flagName, StepGraphs.flagShape)
        let everyone = Array(graphs.tasks.indices)
        let first = graphs.objective.weights(everyone, of: everyone.count, state: StepState(), history: LossHistory())
        if let first {
            // A step that is timed, not trained, has weights too.
            try executor.store.write(StepGraphs.taskWeightsName, graphs.taskWeightsShape, first.map { Float($0) })
        }
        if graphs.objective.readsHistory {
            try executor.store.tensor(StepGraphs.lossSumsName, graphs.lossSumsShape)
        }
        tasksWithoutWeights = graphs.tasks.filter(\.hasClassWeights).map(\.name).filter { classWeights[$0] == nil }
        for (task, weights) in classWeights {
            try executor.store.write(StepGraphs.classWeightsName(task), Shape([weights.count]), weights)
        }
    }

    private var store: TensorStore { executor.store }

    /// Sets every parameter to its first value; a pure function of the seed.
    ///
    /// - Parameters:
    ///   - seed: with its name determines the values of a parameter.
    ///   - keepingLogits: leave the policy as it is.
    public func initialise(seed: UInt64, keepingLogits: Bool = false) throws {
        for spec in graphs.catalog.specs where !(keepingLogits && spec.group == .policy) {
            try write(spec) { spec.initialValues(seed: seed) }
        }
    }

    /// Sets one parameter.
    ///
    /// - Parameters:
    ///   - spec: the parameter.
    ///   - values: in disk order.
    public func write(_ spec: ParameterSpec, _ values: [Float]) throws {
        if spec.layout == .counter {
            try store.write(spec.name, spec.storedShape, values.map { Int32($0) })
        } else {
            try store.write(spec.name, spec.storedShape, spec.deviceOrder(values))
        }
    }

    /// Sets one parameter.
    ///
    /// - Parameters:
    ///   - spec: the parameter.
    ///   - source: its values in disk order, the same each time.
    func write(_ spec: ParameterSpec, from source: @escaping () throws -> [Float]) throws {
        guard infersOnly, spec.layout != .counter else { return try write(spec, source()) }
        try store.supply(spec.name, spec.storedShape) { try spec.deviceOrder(source()) }
    }

    /// One parameter in disk order; waits for the device.
    public func read(_ spec: ParameterSpec) throws -> [Float] {
        if spec.layout == .counter { return try store.readIntegers(spec.name).map(Float.init) }
        return spec.diskOrder(try store.read(spec.name))
    }

    /// The plan of a step, from the cache or built now.
    ///
    /// - Parameters:
    ///   - kind: what the step computes.
    ///   - shape: images of a step and their size.
    ///   - present: the tasks that take part, as indices in order; nil for all.
    /// - Precondition: what trains has the class weights of its tasks; without them losses and gradients would be 0.
    /// - Throws: `DeviceError`, or `InputError` when a tensor exceeds the device's allocation limit.
    public func plan(_ kind: StepKind, _ shape: BatchShape, tasks present: [Int]? = nil) throws -> Plan {
        precondition(
            !kind.step.learns || tasksWithoutWeights.isEmpty,
            "a network without the class weights of \(tasksWithoutWeights)")
        precondition(!kind.step.learns || !infersOnly, "a step that learns of a network that only infers")
        let present = present ?? Array(graphs.tasks.indices)
        let key = PlanKey(kind: kind, shape: shape, present: present)
        for (name, values) in kind.step.constants { try write(constant: name, values) }
        return try executor.plan(key, choices: graphs.choices) {
            graphs.trace(kind, batch: shape, tasks: present, into: $0)
        }
    }

    private func write(constant name: String, _ values: [Double]) throws {
        if let known = constants[name] {
            precondition(known == values, "two steps of one network with different \(name)")
            return
        }
        try store.write(StepGraphs.constantName(name), Shape([values.count]), values.map { Float($0) })
        constants[name] = values
    }

    private struct PlanKey: Hashable {
        let kind: StepKind
        let shape: BatchShape
        let present: [Int]
    }

    /// One step of a network whose tasks are all given the same images; see `step(_:batches:state:)`.
    @discardableResult
    public func step(_ kind: StepKind, batch: Batch, state: StepState) throws -> Plan? {
        try step(kind, batches: [batch], state: state)
    }

    /// Uploads a batch of every source of images and the step state and enqueues one step; returns without waiting for
    /// it.
    ///
    /// Tasks whose label no image of the batch carries take no part; of images without it the others learn nothing.
    ///
    /// - Parameters:
    ///   - kind: what the step computes.
    ///   - batches: of the sources in their order, all of one shape.
    ///   - state: what the device reads of the step.
    ///   - history: losses of the phase, for objectives that look at them.
    /// - Returns: the plan that ran; nil where no image carries a label of any task, and nothing did.
    /// - Throws: `InputError` if a label is no class of a task, or what `plan` throws.
    @discardableResult
    public func step(
        _ kind: StepKind, batches: [Batch], state: StepState, history: LossHistory = LossHistory()
    ) throws -> Plan? {
        let sources = graphs.architecture.sources
        precondition(batches.count == Set(sources).count, "\(batches.count) batches for the sources \(sources)")
        let shapes = Set(batches.map { BatchShape(count: $0.count, height: $0.height, width: $0.width) })
        guard let shape = shapes.first, shapes.count == 1 else { preconditionFailure("batches of shapes \(shapes)") }
        let given = sources.map { batches[$0] }
        try checkClasses(given)
        let labels = try labels(of: given, shape)
        let present = kind.step.participants(labels.present)
        guard !present.isEmpty else { return nil }
        if inFlight.count >= Self.stepsAhead { try inFlight.removeFirst().wait() }
        // Under way while the step is planned: steps whose policy is drawn have a plan each.
        try upload(given, shape, images: present, labels: present, shards: graphs.ownShards)
        try write(labels, tasks: present)
        let plan = try plan(kind, shape, tasks: present)
        if let weights = graphs.objective.weights(present, of: graphs.tasks.count, state: state, history: history) {
            try store.write(StepGraphs.taskWeightsName, graphs.taskWeightsShape, weights.map { Float($0) })
        }
        try store.write(state)
        try executor.run(plan)
        inFlight.append(try executor.context.queue.marker())
        return plan
    }

    /// The losses of the step that ran last, by the names of the tasks that took part and `total`; waits for it.
    public func losses(of plan: Plan) throws -> [String: Double] {
        var losses: [String: Double] = [:]
        for task in graphs.tasks where executor.shape("loss/\(task.name)", of: plan) != nil {
            losses[task.name] = Double(try executor.read("loss/\(task.name)", of: plan)[0])
        }
        losses["total"] = Double(try executor.read("loss/total", of: plan)[0])
        return losses
    }

    /// What the total of the step that ran last is the sum of; waits for it.
    ///
    /// - Parameters:
    ///   - plan: of the step.
    ///   - losses: of it.
    ///   - weights: that the host has given the tasks for it, if any.
    /// - Returns: each task's part, empty where the objective is no such sum; and what is added, by name.
    package func parts(
        of plan: Plan, losses: [String: Double], weights: [Double]?
    ) throws -> (terms: [String: Double], regularisers: [String: Double]) {
        func scalars(_ prefix: String) throws -> [String: Double] {
            let names = executor.outputs(of: plan).filter { $0.hasPrefix(prefix) }
            return Dictionary(
                uniqueKeysWithValues: try names.map {
                    (String($0.dropFirst(prefix.count)), Double(try executor.read($0, of: plan)[0]))
                })
        }
        let recorded = try scalars(StepGraphs.termPrefix)
        let terms = recorded.isEmpty ? graphs.terms(losses, weights: weights) : recorded
        return (terms, try scalars(StepGraphs.regulariserPrefix))
    }

    /// The groups whose parameters a step moves.
    package func groups(movedBy plan: Plan) -> Set<ParameterGroup> {
        Set(plan.changed.compactMap { graphs.catalog[$0] }.filter(\.isTrainable).map(\.group))
    }

    /// The mean losses since they were last taken, in the order of the tasks, nil without any, where the objective
    /// looks at them; waits for the device.
    package func takeMeanLosses() throws -> [Double?] {
        let sums = try store.read(StepGraphs.lossSumsName)
        try store.write(StepGraphs.lossSumsName, graphs.lossSumsShape, [Float](repeating: 0, count: sums.count))
        return graphs.tasks.indices.map { sums[2 * $0 + 1] > 0 ? Double(sums[2 * $0] / sums[2 * $0 + 1]) : nil }
    }

    /// The first step (from 0) and task whose loss was not finite; no update has happened since.
    public func failure() throws -> (step: Int, task: String)? {
        let flag = try store.readIntegers(StepGraphs.flagName)
        guard flag[0] != 0 else { return nil }
        let task = Int(flag[1])
        return (Int(flag[0]) - 1, task < graphs.tasks.count ? graphs.tasks[task].name : StepGraphs.totalName)
    }

    /// Clears the non-finite flag and forgets the optimisers' state: phases start fresh.
    public func beginPhase() throws {
        try executor.context.queue.finish()
        inFlight = []
        executor.reset()
        for name in store.names where name.hasPrefix(OptimizerState.prefix) { store.remove(name) }
        if graphs.objective.readsHistory { try store.tensor(StepGraphs.lossSumsName, graphs.lossSumsShape) }
        try store.write(StepGraphs.flagName, StepGraphs.flagShape, [Int32](repeating: 0, count: 2))
    }

    /// Class labels are indices: the device reads a pixel's score and its class's weight by them.
    private func checkClasses(_ batches: [Batch]) throws {
        for (batch, (task, head)) in zip(batches, zip(graphs.tasks, graphs.architecture.tasks)) {
            guard let ignored = task.kind.ignoredClass else { continue }
            try batch.checkClasses(of: task.name, label: task.label, count: head.channels, ignoring: ignored)
        }
    }

    /// - Parameters:
    ///   - batches: of every task.
    ///   - images: the tasks that are given the images.
    ///   - labels: the tasks whose labels are written.
    ///   - shards: that the images are divided into.
    func upload(
        _ batches: [Batch], _ shape: BatchShape, images: [Int], labels: [Int], shards: [Shard] = [.whole]
    ) throws {
        typealias Input = TensorStore.Input
        var inputs: [Input] = []
        var written: Set<String> = []
        let part = BatchShape(count: shape.count / shards.count, height: shape.height, width: shape.width)
        for (place, shard) in shards.enumerated() {
            func values<Element>(_ all: [Element]) -> [Element] {
                let each = all.count / shards.count
                return shards.count == 1 ? all : Array(all[place * each..<(place + 1) * each])
            }
            for task in images {
                let name = graphs.inputName(StepGraphs.imageName, task: task, part, shard)
                guard written.insert(name).inserted else { continue }
                inputs.append(Input(name, StepGraphs.imageShape(part), values(batches[task].image)))
            }
            for task in labels {
                let name = graphs.inputName(StepGraphs.labelName(graphs.tasks[task].label), task: task, part, shard)
                guard written.insert(name).inserted else { continue }
                let label = label(of: task, in: batches)
                let extents = StepGraphs.labelShape(part, label.format)
                switch label.format.element {
                case .classes: inputs.append(Input(name, extents, values(label.classes)))
                case .numbers: inputs.append(Input(name, extents, values(label.numbers)))
                }
            }
        }
        try store.write(inputs, through: uploads)
    }

    private func label(of task: Int, in batches: [Batch]) -> BatchLabels {
        let name = graphs.tasks[task].label
        guard let label = batches[task].labels[name] else { preconditionFailure("no label \(name) in a batch") }
        return label
    }

    /// What is labelled in a batch.
    private struct Labels {
        /// The tasks whose label some image carries.
        let present: [Int]
        /// Of each task and shard of the whole batch, how much is labelled, as the loss counts it; empty where there is
        /// one shard only.
        let weights: [[Double]]
    }

    private func labels(of batches: [Batch], _ shape: BatchShape) throws -> Labels {
        let carried = graphs.tasks.indices.filter { batches[$0].labels[graphs.tasks[$0].label]?.isAbsent == false }
        guard graphs.shards > 1 else { return Labels(present: carried, weights: []) }
        let own = graphs.ownShards
        let (sizes, images) = (predictionSizes(shape), shape.count / own.count)
        let weights = graphs.tasks.enumerated().map { index, task -> [Double] in
            guard let label = batches[index].labels[task.label], let read = sizes[task.name], !label.isAbsent else {
                return own.map { _ in 0 }
            }
            return own.indices.map { shard in
                label.sum(
                    of: shard * images..<(shard + 1) * images, size: (shape.height, shape.width), read: read
                ) { task.kind.weight(of: $0, classWeights: classWeights[task.name]) }
            }
        }
        guard let ranks, ranks.count > 1 else { return Labels(present: carried, weights: weights) }
        let all = try ranks.gather([carried.map(Double.init)] + weights)
        let present = Set(all.flatMap { $0[0].map { Int($0) } })
        return Labels(
            present: graphs.tasks.indices.filter(present.contains),
            weights: graphs.tasks.indices.map { task in all.flatMap { $0[task + 1] } })
    }

    /// Writes what share of a task's labels is in each shard of this process.
    private func write(_ labels: Labels, tasks present: [Int]) throws {
        for task in present where !labels.weights.isEmpty {
            let weights = labels.weights[task]
            let total = weights.reduce(0, +)
            for shard in graphs.ownShards {
                let name = shard.named(StepGraphs.labelShareName(graphs.tasks[task].name))
                try store.write(name, .scalar, [total > 0 ? Float(weights[shard.index] / total) : 0])
            }
        }
    }

    private func predictionSizes(_ shape: BatchShape) -> [String: (height: Int, width: Int)] {
        let one = BatchShape(count: 1, height: shape.height, width: shape.width)
        if let known = predictionSizes[one] { return known }
        let sizes = graphs.predictionShapes(one).mapValues { (height: $0[1], width: $0[2]) }
        predictionSizes[one] = sizes
        return sizes
    }
}
