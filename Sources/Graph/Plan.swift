import DeviceLayer
import Operators

/// An immutable list of kernel launches with resolved buffers: one step, ready to be enqueued any number of times.
public final class Plan {
    /// Launches of one step, in order.
    public let launches: [KernelLaunch]
    /// Multiply-accumulates of the launched convolutions.
    public let multiplyAccumulates: Int
    /// Operators executed per step, packing of frozen weights excluded.
    public let operations: [any Operator]
    /// Bytes of the arena the step needs.
    public let arenaBytes: Int
    /// Bytes in use at the worst moment, before fragmentation.
    public let peakLiveBytes: Int

    /// Launches that run again only when the parameters they read have changed.
    let prologue: [Prologue]
    let outputs: [String: Operand]
    /// Inputs read by the step, by name.
    let inputs: [String]
    /// Parameters changed by the step.
    let changed: [String]

    struct Prologue {
        let entry: DerivedTensors.Entry
        let launches: [KernelLaunch]
        let parameters: [String]
    }

    /// - Throws: `DeviceError` if a kernel does not compile or memory cannot be had, `PlanError` if a tensor is too
    ///   large for the device.
    init(
        _ graph: Graph, library: KernelLibrary, store: TensorStore, derived: DerivedTensors, arena: ChunkedArena,
        schedule: Schedule, memory: MemoryPlan
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

        let labels = library.context.queue.isProfiling ? graph.profileLabels() : graph.nodes.map(\.label)
        func encode(_ index: Int) throws -> [KernelLaunch] {
            let node = graph.nodes[index]
            func operand(_ value: Value) -> Operand {
                guard let memory = buffers[value.id] else { preconditionFailure("value without memory") }
                return Operand(buffer: memory, shape: value.shape)
            }
            var encoder = LaunchEncoder(
                library: library, inputs: node.inputs.map(operand), outputs: node.outputs.map(operand),
                workspace: try memory.workspaces[index].map(buffer), label: labels[index])
            try node.operation.encode(&encoder)
            return encoder.launches
        }

        var prologue: [Prologue] = []
        for index in schedule.hoisted {
            let node = graph.nodes[index]
            let parameters = node.inputs.map { graph.externalName($0) }
            let entry = try derived.entry(node.operation, parameters: parameters, shapes: node.outputs.map(\.shape))
            for (value, memory) in zip(node.outputs, entry.buffers) { buffers[value.id] = memory }
            prologue.append(Prologue(entry: entry, launches: try encode(index), parameters: parameters))
        }
        self.prologue = prologue

        var launches: [KernelLaunch] = []
        var total = 0
        for index in schedule.order {
            launches += try encode(index)
            let node = graph.nodes[index]
            total += node.operation.multiplyAccumulates(
                inputs: node.inputs.map(\.shape), outputs: node.outputs.map(\.shape))
        }
        self.launches = launches
        multiplyAccumulates = total
        operations = schedule.order.map { graph.nodes[$0].operation }
        arenaBytes = memory.totalBytes
        peakLiveBytes = memory.peakLiveBytes
        var changed = [Bool](repeating: false, count: graph.valueCount)
        for index in schedule.order {
            let node = graph.nodes[index]
            for position in node.mutated { changed[node.inputs[position].id] = true }
        }
        self.changed = graph.externals.filter { changed[$0.value.id] }.map(\.name)
        inputs = graph.externals.filter { $0.role == .input }.map(\.name)
        var outputs: [String: Operand] = [:]
        for (name, value) in graph.outputs {
            outputs[name] = buffers[value.id].map { Operand(buffer: $0, shape: value.shape) }
        }
        self.outputs = outputs
    }
}

extension Graph {
    func externalName(_ value: Value) -> String {
        guard case .external(let index) = source(of: value) else { preconditionFailure("not an external value") }
        return externals[index].name
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
