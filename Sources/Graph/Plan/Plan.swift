import AdaShareDeviceLayer
import AdaShareOperators

/// An immutable list of kernel launches with resolved buffers: one step, ready to be enqueued any number of times.
public final class Plan {
    /// Multiply-accumulates of the launched convolutions.
    public let multiplyAccumulates: Int
    /// Bytes of the arena the step needs.
    public let arenaBytes: Int

    /// Operators executed per step, in order, packing of frozen weights excluded.
    let applied: [Applied]
    /// Those that run again only when the parameters they read have changed.
    let prologue: [Prologue]
    let outputs: [String: Output]
    /// Inputs read by the step, by name.
    let inputs: [String]
    /// Parameters changed by the step.
    package let changed: [String]
    /// What the launches were lent: of values, by id, and of workspaces.
    private let memory: [DeviceBuffer?]
    private let workspaces: [DeviceBuffer?]

    /// A named value that stays readable after the step.
    struct Output {
        let buffer: DeviceBuffer
        let shape: Shape
    }

    /// A node with the memory it works on.
    struct Applied {
        let node: Graph.Node
        let encoding: Encoding
        let application: Encoding.Application

        var launches: [BoundLaunch] { application.launches }
        func recycle() { encoding.recycle(application) }
    }

    /// What is computed of parameters alone. It has memory for them only while it runs: they need not stay.
    struct Prologue {
        let entry: DerivedTensors.Entry
        let node: Graph.Node
        let encoding: Encoding
        let label: String
        let parameters: [String]

        /// Its launches on the parameters of the store; `encoding` takes them back.
        func bind(_ store: TensorStore) throws -> Encoding.Application {
            let memory = try zip(parameters, node.inputShapes).map { try store.tensor($0, $1) } + entry.buffers
            return try encoding.bind(memory.map(\.lent), label: label)
        }
    }

    /// Launches of one step, in order.
    public var launches: [BoundLaunch] { applied.flatMap(\.launches) }
    /// Operators executed per step, packing of frozen weights excluded.
    public var operations: [any Operator] { applied.map(\.node.operation) }

    /// - Throws: `DeviceError` if a kernel does not compile or memory cannot be had, `InputError` if a tensor is too
    ///   large for the device.
    ///
    /// - Parameter encodings: of the graph's nodes.
    init(
        _ graph: LoweredGraph, encodings: [Encoding], library: KernelLibrary, store: TensorStore,
        derived: DerivedTensors, arena: ChunkedArena, schedule: Schedule, memory: MemoryPlan
    ) throws {
        let isChanged = graph.changes
        let isRead = schedule.reads(graph)
        var buffers = [DeviceBuffer?](repeating: nil, count: graph.valueCount)
        var (inputs, changed): ([String], [String]) = ([], [])
        for index in graph.externals.indices {
            let (value, role) = (graph.externals[index].value, graph.externals[index].role)
            guard isRead[value.id] || role == .input else { continue }
            buffers[value.id] = try store.tensor(graph.externals[index].name, value.shape)
            if role == .input { inputs.append(graph.externals[index].name) }
            if isChanged[value.id] { changed.append(graph.externals[index].name) }
        }
        (self.inputs, self.changed) = (inputs, changed)
        var sliced: [MemoryPlan.Place: DeviceBuffer] = [:]
        sliced.reserveCapacity(1 << 10)
        func buffer(_ place: MemoryPlan.Place) throws -> DeviceBuffer {
            if let known = sliced[place] { return known }
            let slice = try arena.slice(chunk: place.chunk, byteOffset: place.offset, byteCount: place.byteCount)
            sliced[place] = slice
            return slice
        }
        for (id, place) in memory.places.enumerated() {
            if let place { buffers[id] = try buffer(place) }
        }

        let workspaces = try memory.workspaces.map { try $0.map(buffer) }
        let labels = library.context.queue.isProfiling ? graph.profileLabels() : nil
        // All at once: what is missing is compiled side by side.
        try library.prepare(encodings)
        var prologue: [Prologue] = []
        for index in schedule.hoisted {
            let node = graph.nodes[index]
            let parameters = node.inputs.map { graph.externalName($0) }
            let entry = try derived.entry(node.operation, parameters: parameters, shapes: node.outputShapes)
            for (value, memory) in zip(node.outputs, entry.buffers) { buffers[value.id] = memory }
            prologue.append(
                Prologue(
                    entry: entry, node: node, encoding: encodings[index], label: labels?[index] ?? node.label,
                    parameters: parameters))
        }
        self.prologue = prologue

        var applied: [Applied] = []
        applied.reserveCapacity(schedule.order.count)
        let lent = buffers.map { $0?.lent }
        var operands: [LentBuffer] = []
        func lend(_ buffer: LentBuffer?) {
            guard let buffer else { preconditionFailure("a value without memory") }
            operands.append(buffer)
        }
        for index in schedule.order {
            let (node, encoding) = (graph.nodes[index], encodings[index])
            operands.removeAll(keepingCapacity: true)
            graph.read.forEach(of: index) { lend(lent[$0]) }
            graph.computed.forEach(of: index) { lend(lent[$0]) }
            if let workspace = workspaces[index] { operands.append(workspace.lent) }
            let application = try encoding.bind(operands, label: labels?[index] ?? node.label)
            applied.append(Applied(node: node, encoding: encoding, application: application))
        }
        self.applied = applied
        (self.memory, self.workspaces) = (buffers, workspaces)
        multiplyAccumulates = applied.reduce(0) { $0 + $1.encoding.multiplyAccumulates }
        arenaBytes = memory.totalBytes
        var outputs: [String: Output] = [:]
        for (name, value) in graph.outputs {
            outputs[name] = buffers[value.id].map { Output(buffer: $0, shape: value.shape) }
        }
        self.outputs = outputs
    }

    /// Gives the kernels back, the last ones first: the next plan takes them in the order of this one, and with that
    /// many on the operands they had.
    deinit {
        for item in applied.reversed() { item.recycle() }
    }
}

/// Values computed from parameters alone (packed weights), kept between steps until the parameters change.
final class DerivedTensors {
    final class Entry {
        let buffers: [DeviceBuffer]
        /// Versions of the parameters the buffers were computed from.
        var versions: [Int]?

        init(buffers: [DeviceBuffer]) { self.buffers = buffers }
    }

    /// What a value is computed by, and from which parameters.
    struct Key: Hashable {
        let operation: AnyHashable
        let parameters: [String]

        init(_ operation: any Operator, parameters: [String]) {
            self.operation = AnyHashable(operation)
            self.parameters = parameters
        }
    }

    private let context: DeviceContext
    private var entries: [Key: Entry] = [:]

    init(context: DeviceContext) { self.context = context }

    func entry(_ operation: any Operator, parameters: [String], shapes: [Shape]) throws -> Entry {
        let key = Key(operation, parameters: parameters)
        if let known = entries[key] { return known }
        let entry = Entry(
            buffers: try shapes.map { try context.makeBuffer(byteCount: roundUp($0.byteCount, to: 512)) })
        entries[key] = entry
        return entry
    }

    func removeAll() { entries = [:] }

    var byteCount: Int { entries.values.reduce(0) { $0 + $1.buffers.reduce(0) { $0 + $1.byteCount } } }
}
