import AdaShareDeviceLayer
import AdaShareOperators

/// The kernel launches of one step with their memory, to be enqueued any number of times.
public final class Plan {
    /// Bytes of the arena the step needs.
    public let arenaBytes: Int

    /// Those that run again only when the parameters they read have changed.
    let prologue: [Prologue]
    let outputs: [String: Output]
    /// Inputs read by the step, by name.
    let inputs: [String]
    /// Parameters changed by the step.
    package let changed: [String]
    private let graph: LoweredGraph
    /// Of the graph's nodes.
    private let encodings: [Encoding]
    private let labels: [String]?
    /// Nodes executed per step, packing of frozen weights excluded.
    private let order: [Int]
    /// Of values, by id, and of workspaces, by node.
    private let memory, workspaces: [DeviceBuffer?]
    /// What the nodes launch, in order, as far as it has its memory.
    private var applications: [Encoding.Application] = []
    /// Places in the order at which values are exchanged with other processes.
    private let exchanges: Set<Int>

    /// A named value that stays readable after the step.
    struct Output {
        let buffer: DeviceBuffer
        let shape: Shape
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

    /// Multiply-accumulates of the launched convolutions.
    public var multiplyAccumulates: Int { order.reduce(0) { $0 + encodings[$1].multiplyAccumulates } }
    /// Operators executed per step, in order, packing of frozen weights excluded.
    public var operations: [any Operator] { order.map { graph.nodes[$0].operation } }
    /// Launches of one step.
    public var launchCount: Int { order.reduce(0) { $0 + encodings[$1].launchCount } }
    /// Launches of one step, in order.
    ///
    /// - Throws: `DeviceError` if the device has no room for a kernel object.
    public var launches: [BoundLaunch] {
        get throws {
            try bindRest()
            return applications.flatMap(\.launches)
        }
    }

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
        for external in graph.externals {
            let (value, role) = (external.value, external.role)
            guard isRead[value.id] || role == .input else { continue }
            buffers[value.id] = try store.tensor(external.name, hash: external.hash, value.shape)
            if role == .input { inputs.append(external.name) }
            if isChanged[value.id] { changed.append(external.name) }
        }
        (self.inputs, self.changed) = (inputs, changed)
        let slices = try arena.slices(memory.places)
        for id in slices.indices {
            if let slice = slices[id] { buffers[id] = slice }
        }

        labels = library.context.queue.isProfiling ? graph.profileLabels() : nil
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

        (self.graph, self.encodings, order) = (graph, encodings, schedule.order)
        exchanges = Set(
            schedule.order.indices.filter {
                let operation = graph.nodes[schedule.order[$0]].operation
                return operation is ExchangeStart || operation is ExchangeEnd
            })
        Self.checkExchanges(graph, slices)
        (self.memory, workspaces) = (buffers, try arena.slices(memory.workspaces))
        arenaBytes = memory.totalBytes
        var outputs: [String: Output] = [:]
        for (name, value) in graph.outputs {
            outputs[name] = buffers[value.id].map { Output(buffer: $0, shape: value.shape) }
        }
        self.outputs = outputs
    }

    /// Stops where an exchange would change what something else reads, or what outlives a step.
    private static func checkExchanges(_ graph: LoweredGraph, _ slices: [DeviceBuffer?]) {
        let starts = graph.nodes.filter { ($0.operation as? ExchangeStart)?.form == .sum }
        guard !starts.isEmpty else { return }
        var readers = [Int](repeating: 0, count: graph.valueCount)
        for index in graph.nodes.indices { graph.read.forEach(of: index) { readers[$0] += 1 } }
        for output in graph.outputs { readers[output.value.id] += 1 }
        for value in starts.flatMap({ $0.inputs.dropFirst() }) {
            precondition(
                readers[value.id] == 2 && slices[value.id] != nil,
                "value \(value.id) of an exchange has \(readers[value.id]) readers, not its start and end alone")
        }
    }

    /// Gives the kernels back, the last ones first: the next plan takes them in the order of this one, and with that
    /// many on the operands they had.
    deinit {
        for position in applications.indices.reversed() {
            encodings[order[position]].recycle(applications[position])
        }
    }

    /// Enqueues the step. The first time each operator's kernels get their memory just before they are launched: the
    /// device is at work meanwhile.
    ///
    /// - Parameter exchange: with the processes that compute other parts of the batch; nil where there are none.
    /// - Throws: `DeviceError` if the device refuses a launch, or has no room for a kernel object; `RankError` if
    ///   another process cannot be reached.
    /// - Precondition: a step of several processes has an exchange.
    func enqueue(on queue: CommandQueue, exchange: RankExchange?) throws {
        if !exchanges.isEmpty { exchange?.begin() }
        var place = 0
        func launch(_ application: Encoding.Application) throws {
            for launch in application.launches { try launch.enqueue(on: queue) }
            if exchanges.contains(place) { try self.exchange(at: place, exchange) }
            place += 1
        }
        for application in applications { try launch(application) }
        try bindRest(launch)
    }

    private func exchange(at place: Int, _ exchange: RankExchange?) throws {
        guard let exchange else { preconditionFailure("a step of several processes in one alone") }
        let node = graph.nodes[order[place]]
        func operands(_ values: some Sequence<Value>) -> [RankExchange.Operand] {
            values.map { value in
                guard let buffer = memory[value.id] else { preconditionFailure("a value without memory") }
                return (buffer, value.shape)
            }
        }
        switch node.operation {
        case let start as ExchangeStart: try exchange.start(start, operands(node.inputs.dropFirst()))
        case let end as ExchangeEnd:
            try exchange.end(end, operands(node.inputs.dropFirst()), to: operands(node.outputs))
        default: preconditionFailure("no exchange")
        }
    }

    /// Gives memory to the launches that have none yet, operator by operator.
    ///
    /// - Parameter isBound: called with each.
    package func bindRest(_ isBound: (Encoding.Application) throws -> Void = { _ in }) throws {
        applications.reserveCapacity(order.count)
        var operands: [LentBuffer] = []
        func lend(_ buffer: DeviceBuffer?) {
            guard let buffer else { preconditionFailure("a value without memory") }
            operands.append(buffer.lent)
        }
        for index in order[applications.count...] {
            operands.removeAll(keepingCapacity: true)
            graph.read.forEach(of: index) { lend(memory[$0]) }
            graph.computed.forEach(of: index) { lend(memory[$0]) }
            if let workspace = workspaces[index] { lend(workspace) }
            let application = try encodings[index].bind(operands, label: labels?[index] ?? graph.nodes[index].label)
            applications.append(application)
            try isBound(application)
        }
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

    /// Forgets what no plan uses any more.
    func keep(_ used: [Entry]) {
        let used = Set(used.map { ObjectIdentifier($0) })
        entries = entries.filter { used.contains(ObjectIdentifier($0.value)) }
    }

    var byteCount: Int { entries.values.reduce(0) { $0 + $1.buffers.reduce(0) { $0 + $1.byteCount } } }
}
