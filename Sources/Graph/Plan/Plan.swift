import AdaShareDeviceLayer
import AdaShareOperators

/// An immutable list of kernel launches with resolved buffers: one step, ready to be enqueued any number of times.
public final class Plan {
    /// Launches of one step, in order.
    public let launches: [BoundLaunch]
    /// Multiply-accumulates of the launched convolutions.
    public let multiplyAccumulates: Int
    /// Operators executed per step, packing of frozen weights excluded.
    public let operations: [any Operator]
    /// Bytes of the arena the step needs.
    public let arenaBytes: Int

    /// Launches that run again only when the parameters they read have changed.
    let prologue: [Prologue]
    let outputs: [String: Output]
    /// Inputs read by the step, by name.
    let inputs: [String]
    /// Parameters changed by the step.
    let changed: [String]
    /// Where `launches` came from, in order.
    private let encodings: [Encoding]

    /// A named value that stays readable after the step.
    struct Output {
        let buffer: DeviceBuffer
        let shape: Shape
    }

    struct Prologue {
        let entry: DerivedTensors.Entry
        let encoding: Encoding
        let launches: [BoundLaunch]
        let parameters: [String]
    }

    /// - Throws: `DeviceError` if a kernel does not compile or memory cannot be had, `InputError` if a tensor is too
    ///   large for the device.
    init(
        _ graph: LoweredGraph, encodings cache: EncodingCache, store: TensorStore, derived: DerivedTensors,
        arena: ChunkedArena, schedule: Schedule, memory: MemoryPlan
    ) throws {
        var buffers = [DeviceBuffer?](repeating: nil, count: graph.valueCount)
        for external in graph.externals {
            buffers[external.value.id] = try store.tensor(external.name, external.value.shape)
        }
        var sliced: [MemoryPlan.Place: DeviceBuffer] = [:]
        func buffer(_ place: MemoryPlan.Place) throws -> DeviceBuffer {
            if let known = sliced[place] { return known }
            let slice = try arena.slice(chunk: place.chunk, byteOffset: place.offset, byteCount: place.byteCount)
            sliced[place] = slice
            return slice
        }
        for (id, place) in memory.places.enumerated() {
            if let place { buffers[id] = try buffer(place) }
        }

        let labels = cache.library.context.queue.isProfiling ? graph.profileLabels() : nil
        func located(_ value: Value) -> DeviceBuffer {
            guard let memory = buffers[value.id] else { preconditionFailure("value without memory") }
            return memory
        }
        let needed = schedule.hoisted + schedule.order
        var encodings = [Encoding?](repeating: nil, count: graph.nodes.count)
        for index in needed { encodings[index] = try cache.encoding(of: graph.nodes[index]) }
        try cache.library.prepare(encodings.compactMap { $0 })
        func encode(_ index: Int, to list: inout [BoundLaunch]) throws -> Encoding {
            let node = graph.nodes[index]
            guard let encoding = encodings[index] else { preconditionFailure("a node outside the schedule") }
            try encoding.bind(
                inputs: node.inputs.map(located), outputs: node.outputs.map(located),
                workspace: try memory.workspaces[index].map(buffer), label: labels?[index] ?? node.label, to: &list)
            return encoding
        }

        var prologue: [Prologue] = []
        for index in schedule.hoisted {
            let node = graph.nodes[index]
            let parameters = node.inputs.map { graph.externalName($0) }
            let entry = try derived.entry(node.operation, parameters: parameters, shapes: node.outputShapes)
            for (value, memory) in zip(node.outputs, entry.buffers) { buffers[value.id] = memory }
            var launches: [BoundLaunch] = []
            let encoding = try encode(index, to: &launches)
            prologue.append(Prologue(entry: entry, encoding: encoding, launches: launches, parameters: parameters))
        }
        self.prologue = prologue

        var launches: [BoundLaunch] = []
        var total = 0
        launches.reserveCapacity(2 * schedule.order.count)
        var used: [Encoding] = []
        used.reserveCapacity(schedule.order.count)
        for index in schedule.order {
            let encoding = try encode(index, to: &launches)
            total += encoding.multiplyAccumulates
            used.append(encoding)
        }
        self.launches = launches
        self.encodings = used
        multiplyAccumulates = total
        operations = schedule.order.map { graph.nodes[$0].operation }
        arenaBytes = memory.totalBytes
        var changed = [Bool](repeating: false, count: graph.valueCount)
        for index in schedule.order {
            let node = graph.nodes[index]
            for position in node.mutated { changed[node.inputs[position].id] = true }
        }
        self.changed = graph.externals.filter { changed[$0.value.id] }.map(\.name)
        inputs = graph.externals.filter { $0.role == .input }.map(\.name)
        var outputs: [String: Output] = [:]
        for (name, value) in graph.outputs {
            outputs[name] = buffers[value.id].map { Output(buffer: $0, shape: value.shape) }
        }
        self.outputs = outputs
    }

    /// Gives the kernels back: the next plan with such an operator only moves their pointers.
    deinit {
        for item in prologue {
            var start = 0
            item.encoding.recycle(item.launches, from: &start)
        }
        var start = 0
        for encoding in encodings { encoding.recycle(launches, from: &start) }
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
