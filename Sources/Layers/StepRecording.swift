import AdaShareGraph
import AdaShareOperators

/// What a session's step is made of: inputs, layers, outputs, and what is minimised.
public final class StepRecording: LayerRecorder {
    /// What everything is recorded on.
    public let graph = Graph()
    /// What the layers have declared, in the order of their first use.
    public private(set) var parameters: [ParameterSpec] = []
    private var declared: Set<String> = []
    /// Shapes of the inputs by name, and whether they are integers.
    private(set) var inputs: [String: (shape: Shape, isInteger: Bool)] = [:]
    /// Classes that inputs of integers may be, and the one that counts for none.
    private(set) var classes: [String: [(count: Int, ignored: Int)]] = [:]
    /// Each minimised group's optimiser and place in the step buffer.
    private(set) var groups: [(optimizer: Optimizer, slot: RateSlot)] = []
    /// What the groups' optimisers remember.
    private(set) var optimizerState: [OptimizerState] = []
    /// Names of the scalars that the host gives with each step.
    private(set) var scalars: Set<String> = []
    private var minimised: Set<ParameterGroup> = []
    private lazy var root = Scope(self)

    static let flagName = "flag"
    static let flagShape = Shape([2], compact: true)

    static func scalarName(_ name: String) -> String { "scalar/\(name)" }

    init() {}

    public var activations: ElementType { graph.activations }
    public var step: Value { graph.step }

    /// The scope of that name; parameters' names begin with it.
    public func callAsFunction(_ name: String) -> Scope { root(name) }

    /// Float values that the host gives with each step, in the order they come in; one to four dimensions.
    public func input(_ name: String, _ dimensions: [Int]) -> Value { input(name, dimensions, isInteger: false) }

    /// Integer values, such as classes, that the host gives with each step; one to four dimensions.
    public func integers(_ name: String, _ dimensions: [Int]) -> Value { input(name, dimensions, isInteger: true) }

    /// A number that the host gives with each step, by name, beside the optimisers' rates; see `scaled`.
    ///
    /// - Returns: a scalar.
    public func scalar(_ name: String) -> Value {
        scalars.insert(name)
        return graph.input(Self.scalarName(name), .scalar)
    }

    /// Keeps a value until the next step, readable under `name`.
    ///
    /// - Precondition: no other output has that name.
    public func output(_ name: String, _ value: Value) { graph.output(name, value) }

    /// −log softmax(scores)[class], mean over the pixels whose class is not `ignored`.
    ///
    /// - Parameters:
    ///   - scores: [N, h, w, K].
    ///   - classes: integers [N, h, w].
    ///   - ignored: the class of pixels that have none.
    /// - Returns: a scalar.
    public func crossEntropy(_ scores: Value, _ classes: Value, ignoring ignored: Int = 255) -> Value {
        if let name = graph.externals.first(where: { $0.value == classes })?.name {
            self.classes[name, default: []].append((scores.shape.channels, ignored))
        }
        return graph.record(TaskLoss(.crossEntropy(ignore: ignored)), [scores, classes])[0]
    }

    /// Σ weight · loss, added in order.
    public func sum(_ losses: [(weight: Double, loss: Value)]) -> Value {
        graph.record(WeightedSum(losses.map(\.weight)), losses.map(\.loss))[0]
    }

    /// factor · loss, where the factor is a value itself: a scalar of the step or a parameter of shape [1]. Gradients
    /// reach both.
    ///
    /// - Precondition: both are scalars.
    public func scaled(_ loss: Value, by factor: Value) -> Value { graph.record(ScalarProduct(), [factor, loss])[0] }

    /// Records gradients and updates of every parameter in the named groups, and the running statistics of the batch
    /// norms so far. Nothing changes from the first step on whose loss is not finite.
    ///
    /// - Parameters:
    ///   - loss: a scalar.
    ///   - groups: how each learns; parameters of other groups stay as they are.
    /// - Precondition: the groups have parameters, and none is minimised twice.
    public func minimise(_ loss: Value, _ groups: KeyValuePairs<ParameterGroup, Optimizer>) {
        let flag = graph.parameter(Self.flagName, Self.flagShape)
        _ = graph.record(FiniteCheck(task: 0), [loss, flag, graph.step])
        var optimizers: [ParameterGroup: (optimizer: Optimizer, slot: RateSlot)] = [:]
        for (group, optimizer) in groups {
            precondition(minimised.insert(group).inserted, "the group \(group.rawValue) is minimised twice")
            optimizers[group] = (optimizer, RateSlot(self.groups.count))
            self.groups.append((optimizer, RateSlot(self.groups.count)))
        }
        let specs = parameters.filter { $0.isTrainable && optimizers[$0.group] != nil }
        for group in optimizers.keys {
            precondition(specs.contains { $0.group == group }, "no parameter is in the group \(group.rawValue)")
        }
        let targets = specs.map(graph.parameter)
        for (spec, (target, gradient)) in zip(specs, zip(targets, graph.gradients(of: loss, for: targets))) {
            guard let gradient, let (optimizer, slot) = optimizers[spec.group] else { continue }
            optimizer.rule.update(spec, target, gradient, slot: slot, flag: flag, in: graph)
            optimizerState += optimizer.rule.state(of: spec)
        }
        root.updateStatistics(flag: flag)
    }

    public func parameter(_ spec: ParameterSpec) -> Value {
        if declared.insert(spec.name).inserted { parameters.append(spec) }
        return graph.parameter(spec)
    }

    public func record(_ operation: any Operator, _ inputs: [Value]) -> [Value] { graph.record(operation, inputs) }

    public func scope<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        try graph.scope(name, body)
    }

    private func input(_ name: String, _ dimensions: [Int], isInteger: Bool) -> Value {
        let shape = Shape(dimensions, compact: true)
        inputs[name] = (shape, isInteger)
        return graph.input(name, shape)
    }
}
