import AdaShareOperators
import AdaShareSupport

/// One graph of immutable values: forward, losses, backward and updates of a step, for all tasks together.
///
/// Recording is value-numbered: the same operator on the same values gives the same values, so paths that tasks have in
/// common are one path, whatever the policies, without any code that knows about tasks.
///
/// It belongs to no device: `lowered` rewrites it for one.
public final class Graph: Recorder {
    public let step: Value
    /// What activations recorded from here on are stored as.
    public var activations = ElementType.float32
    /// In recorded order: each reads values of those before it.
    public var nodes: [Node] { recorded.nodes }
    /// Multiply-accumulates of what is recorded, needed or not.
    package var multiplyAccumulates: Int {
        nodes.reduce(0) {
            $0 + $1.operation.multiplyAccumulates(inputs: $1.inputs.map(\.shape), outputs: $1.outputs.map(\.shape))
        }
    }
    /// Values that live outside a plan: parameters, state, inputs.
    public private(set) var externals: [External] = []
    /// Values kept until a plan has ended, by name.
    public private(set) var outputs: [(name: String, value: Value)] = []

    private var recorded = Recorded()
    private var names = HashIndex(capacity: 1 << 10)
    private var outputNames: Set<String> = []
    /// Labels of the open scopes, each with those around it.
    private var scopes: [String] = []
    private var isRecomputing = false
    /// Whether the backward pass computes whole branches again, keeping only what lies between blocks.
    public var recomputesBranches = false
    /// By value id, as far as any has been computed again.
    private var recomputed: [Value?] = []

    /// One application of an operator.
    public final class Node {
        /// What is applied.
        public let operation: any Operator
        /// What it reads.
        public let inputs: [Value]
        /// What it computes.
        public let outputs: [Value]
        /// Where in the network it was first recorded, for profiles.
        public let label: String
        /// Inputs (by position) changed in place.
        let mutated: [Int]
        /// Whether it computes a value of the forward pass again.
        public var isRecomputation: Bool { label.hasPrefix(Graph.recomputationLabel + "/") }
        /// Whether it computes a gradient, or what leads to one.
        var isBackward: Bool { label.hasPrefix(Graph.backwardLabel + "/") }
        var isUpdate: Bool { !mutated.isEmpty }
        /// Whether it moves up in the schedule.
        let isEager: Bool

        var inputShapes: [Shape] { inputs.map(\.shape) }
        var outputShapes: [Shape] { outputs.map(\.shape) }

        init(_ operation: any Operator, inputs: [Value], outputs: [Value], label: String) {
            (self.operation, self.inputs, self.outputs, self.label) = (operation, inputs, outputs, label)
            mutated = operation.mutatedInputs
            isEager = !mutated.isEmpty || operation.isEager
        }

        /// Whether it applies an operator to values. Nearly all nodes differ in their inputs: the operator, which takes
        /// longest to compare, is compared last.
        func applies(_ operation: any Operator, to inputs: [Value], isRecomputed: Bool) -> Bool {
            isRecomputation == isRecomputed && self.inputs.elementsEqual(inputs, by: { $0.id == $1.id })
                && self.operation.equals(operation)
        }

        /// By which a node that applies some operator to values is found.
        static func hash(_ inputs: [Value], isRecomputed: Bool) -> Int {
            inputs.reduce(isRecomputed ? 1 : 0) { HashIndex.hash($0, $1.id) }
        }
    }

    /// A value with memory of its own, named in the tensor store.
    public struct External: Hashable {
        /// Who changes an external value.
        public enum Role: Hashable, Sendable {
            /// Trainable or statistical state of the network; changed only by updates.
            case parameter
            /// Anything the host writes: batches, step buffer, given noise.
            case input
        }
        /// In the tensor store.
        public let name: String
        /// What nodes read.
        public let value: Value
        /// Who changes it.
        public let role: Role
        /// Of the name.
        let hash: Int
    }

    enum Source {
        case external(Int)
        case node(Int)
    }

    /// Values and the nodes that compute them. A structure of its own, so that recording a node is one access to it.
    private struct Recorded {
        private(set) var nodes: [Node] = []
        private(set) var sources: [Source] = []
        /// What each node reads, computes and changes in place.
        private(set) var (read, computed, changed) = (ValueLists(), ValueLists(), ValueLists())
        /// Of each node.
        private(set) var recomputation: [Recomputation] = []
        private var index = HashIndex(capacity: 1 << 11)
        /// By value id, the last node that changed it in place; −1 for none.
        private var lastChange: [Int] = []

        init() {
            nodes.reserveCapacity(1 << 11)
            sources.reserveCapacity(1 << 12)
            lastChange.reserveCapacity(1 << 12)
        }

        mutating func value(_ shape: Shape, _ source: Source) -> Value {
            sources.append(source)
            lastChange.append(-1)
            return Value(id: sources.count - 1, shape: shape)
        }

        mutating func apply(
            _ operation: any Operator, _ inputs: [Value], isRecomputed: Bool, label: String
        ) -> [Value] {
            let hash = Node.hash(inputs, isRecomputed: isRecomputed)
            let known = self.index.position(hash: hash) { position in
                nodes[position].applies(operation, to: inputs, isRecomputed: isRecomputed)
                    // What it read is still what it was.
                    && inputs.allSatisfy { lastChange[$0.id] < position }
            }
            if let known { return nodes[known].outputs }
            let index = nodes.count
            let outputs = operation.outputShapes(inputs.map(\.shape)).map { value($0, .node(index)) }
            let node = Node(operation, inputs: inputs, outputs: outputs, label: label)
            nodes.append(node)
            read.append(inputs)
            computed.append(outputs)
            changed.append(node.mutated, of: inputs)
            recomputation.append(operation.recomputation)
            self.index.append(hash: hash)
            for position in node.mutated {
                guard case .external = sources[inputs[position].id] else {
                    preconditionFailure("\(operation) changes a computed value in place")
                }
                lastChange[inputs[position].id] = index
            }
            return outputs
        }
    }

    /// Name of the step buffer among externals.
    public static let stepName = "step"

    /// Creates a graph that knows the step buffer alone.
    public init() {
        step = recorded.value(StepState.shape, .external(0))
        externals.reserveCapacity(1 << 10)
        add(External(name: Self.stepName, value: step, role: .input, hash: Self.stepName.hashValue))
    }

    /// The external value `name`, created on first use.
    ///
    /// - Precondition: every use of a name has the same shape.
    public func external(_ name: String, _ shape: Shape, role: External.Role) -> Value {
        let value = external(name, role: role, shape)
        precondition(value.shape == shape, "\(name) used as \(value.shape) and as \(shape)")
        return value
    }

    /// An external value whose shape is asked for on first use only.
    package func external(_ name: String, role: External.Role, _ shape: @autoclosure () -> Shape) -> Value {
        let hash = name.hashValue
        if let known = names.position(hash: hash, where: { externals[$0].name == name }) {
            return externals[known].value
        }
        let value = recorded.value(shape(), .external(externals.count))
        add(External(name: name, value: value, role: role, hash: hash))
        return value
    }

    private func add(_ external: External) {
        names.append(hash: external.hash)
        externals.append(external)
    }

    /// Whether an external value of that name is in use.
    public func knows(_ name: String) -> Bool {
        names.position(hash: name.hashValue) { externals[$0].name == name } != nil
    }

    /// The value of a parameter or of its state; see `external`.
    public func parameter(_ name: String, _ shape: Shape) -> Value { external(name, shape, role: .parameter) }

    /// A value that the host writes; see `external`.
    public func input(_ name: String, _ shape: Shape) -> Value { external(name, shape, role: .input) }

    public func record(_ operation: any Operator, _ inputs: [Value]) -> [Value] {
        recorded.apply(operation, inputs, isRecomputed: isRecomputing, label: scopes.last ?? "")
    }

    /// Keeps a value until the plan has ended, readable under `name`.
    ///
    /// - Precondition: no other output has that name.
    public func output(_ name: String, _ value: Value) {
        precondition(outputNames.insert(name).inserted, "two outputs named \(name)")
        outputs.append((name, value))
    }

    /// Labels everything recorded by `body`.
    public func scope<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        scopes.append(scopes.last.map { $0 + "/" + name } ?? name)
        defer { scopes.removeLast() }
        return try body()
    }

    /// The value a backward node is to read in place of one of the forward pass: itself, or what gives the same bits
    /// again.
    public func again(_ value: Value) -> Value {
        if value.id < recomputed.count, let known = recomputed[value.id] { return known }
        guard case .node(let index) = source(of: value) else { return value }
        switch recorded.recomputation[index] {
        case .never: return value
        case .whenAsked where !recomputesBranches: return value
        case .whenAsked, .always: break
        }
        let node = nodes[index]
        let inputs = node.inputs.map(again)
        let outer = scopes
        scopes = ["\(Self.recomputationLabel)/\(node.label)"]
        isRecomputing = true
        let outputs = node.operation.recompute(inputs: inputs, outputs: node.outputs, in: self)
        isRecomputing = false
        scopes = outer
        while recomputed.count < valueCount { recomputed.append(nil) }
        for (old, new) in zip(node.outputs, outputs) { recomputed[old.id] = new }
        return recomputed[value.id] ?? value
    }

    static let recomputationLabel = "recompute"
    /// What the labels of nodes begin with that compute a gradient: `backward/<label of the forward node>`.
    package static let backwardLabel = "backward"

    /// Values that the end of an exchange may find changed: the same ones where nothing recorded reads them, else
    /// copies.
    ///
    /// - Precondition: each value once; nothing but an exchange will read what is returned.
    package func handedOver(_ values: [Value]) -> [Value] {
        var isKept = [Bool](repeating: false, count: valueCount)
        for id in recorded.read.ids { isKept[id] = true }
        for output in outputs { isKept[output.value.id] = true }
        return values.map { value in
            if case .node = source(of: value), !isKept[value.id] { return value }
            return record(ExchangeCopy(), [value])[0]
        }
    }

    func source(of value: Value) -> Source { recorded.sources[value.id] }
    var valueCount: Int { recorded.sources.count }
    /// What each node reads, computes and changes in place.
    var valuesOfNodes: (read: ValueLists, computed: ValueLists, changed: ValueLists) {
        (recorded.read, recorded.computed, recorded.changed)
    }
}
