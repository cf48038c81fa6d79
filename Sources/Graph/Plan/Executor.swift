import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareRanks

/// Plans graphs and enqueues plans. It makes no decisions of its own.
public final class Executor {
    /// Compiled kernels of the device.
    public let library: KernelLibrary
    /// Parameters, state and inputs by name.
    public let store: TensorStore
    private var arena: ChunkedArena
    private let derived: DerivedTensors
    private let encodings: EncodingCache
    private let exchange: RankExchange?
    private var plans: [AnyHashable: Plan] = [:]
    private var recency: [AnyHashable] = []
    /// Cached plans at most; the least recently used one goes first.
    private let capacity: Int
    /// Whose outputs are in the arena; nil before the first step, after one that failed, and when the plan has gone.
    private weak var lastRun: Plan?

    /// The device, its queue and memory.
    public var context: DeviceContext { library.context }
    /// Bytes of the arena all plans share.
    public var arenaBytes: Int { arena.totalBytes }
    /// Bytes held on the device: the arena, the store, and what is derived from parameters.
    public var byteCount: Int { arena.totalBytes + store.byteCount + derived.byteCount }
    /// Encodings of operators that are kept for plans to come.
    var encodingCount: Int { encodings.count }

    /// Creates an executor with a store of its own.
    ///
    /// - Parameters:
    ///   - library: compiled kernels of the device.
    ///   - capacity: plans that are kept at most.
    public convenience init(library: KernelLibrary, capacity: Int = 16) {
        self.init(library: library, capacity: capacity, exchange: nil)
    }

    /// Creates an executor of one of several processes that compute parts of the same batches.
    ///
    /// - Parameters:
    ///   - library: compiled kernels of the device.
    ///   - capacity: plans that are kept at most.
    ///   - ranks: the processes.
    /// - Throws: `DeviceError` if the driver refuses another queue.
    public convenience init(library: KernelLibrary, capacity: Int = 16, ranks: RankGroup) throws {
        self.init(
            library: library, capacity: capacity,
            exchange: ranks.count > 1 ? try RankExchange(ranks, context: library.context) : nil)
    }

    private init(library: KernelLibrary, capacity: Int, exchange: RankExchange?) {
        self.exchange = exchange
        self.library = library
        self.capacity = capacity
        store = TensorStore(context: library.context)
        arena = ChunkedArena(context: library.context, chunkBytes: [])
        derived = DerivedTensors(context: library.context)
        encodings = EncodingCache(library: library)
    }

    /// The cached plan of `key`, or a new one from the graph that `trace` records.
    ///
    /// - Parameters:
    ///   - key: what the graph depends on.
    ///   - choices: which algorithm computes each convolution.
    ///   - trace: records the graph.
    /// - Throws: `DeviceError`, `InputError`, or what `trace` throws.
    public func plan(
        _ key: some Hashable, choices: AlgorithmChoices = AlgorithmChoices(), trace: (Graph) throws -> Void
    ) throws -> Plan {
        let key = AnyHashable(key)
        if let known = plans[key] {
            recency.removeAll { $0 == key }
            recency.append(key)
            return known
        }
        let graph = Graph()
        try trace(graph)
        let plan = try makePlan(graph, choices: choices)
        plans[key] = plan
        recency.append(key)
        if recency.count > capacity, let oldest = plans.removeValue(forKey: recency.removeFirst()) {
            forgetInputs(of: [oldest])
            // Sizes of images differ in how they want weights packed.
            derived.keep(plans.values.flatMap(\.prologue).map(\.entry))
        }
        return plan
    }

    /// Frees inputs that only plans read which have left the cache: every image size has inputs of its own.
    ///
    /// - Parameter next: what is planned now, whose inputs stay.
    private func forgetInputs(of dropped: [Plan], for next: LoweredGraph? = nil) {
        var used = plans.values.reduce(into: Set([Graph.stepName])) { $0.formUnion($1.inputs) }
        if let next { used.formUnion(next.externals.map(\.name)) }
        for name in dropped.flatMap(\.inputs) where !used.contains(name) {
            store.remove(name)
        }
    }

    /// Empties the cache.
    private func dropPlans(for next: LoweredGraph? = nil) {
        let dropped = Array(plans.values)
        (plans, recency) = ([:], [])
        forgetInputs(of: dropped, for: next)
    }

    /// Lowers and plans a graph without caching the plan.
    ///
    /// - Throws: `DeviceError`, or `InputError` where a tensor is too large for the device.
    public func makePlan(_ graph: Graph, choices: AlgorithmChoices = AlgorithmChoices()) throws -> Plan {
        try makePlan(graph.lowered(for: library.family, choices: choices))
    }

    /// Plans a graph without caching the plan.
    ///
    /// - Precondition: it was lowered for the library's family.
    /// - Throws: `DeviceError`, or `InputError` where a tensor is too large for the device.
    public func makePlan(_ graph: LoweredGraph) throws -> Plan {
        precondition(graph.family == library.family, "a graph for \(graph.family) kernels on \(library.family)")
        let schedule = Schedule(graph)
        let encodings = try encodings.encodings(of: graph.nodes)
        let device = context.device
        let alignment = max(512, device.baseAddressAlignmentBytes)
        let memory = try MemoryPlan(
            graph, schedule: schedule, workspaceBytes: encodings.map(\.workspaceByteCount), alignment: alignment,
            chunkLimit: device.maximumAllocationBytes)
        if arena.mustReplaceChunks(for: memory.chunkBytes) {
            // Earlier plans hold the old chunks; without them old and new memory need not fit side by side.
            try context.queue.finish()
            dropPlans(for: graph)
        }
        _ = try arena.grow(to: memory.chunkBytes)
        return try Plan(
            graph, encodings: encodings, library: library, store: store, derived: derived, arena: arena,
            schedule: schedule, memory: memory)
    }

    /// What exchanges with other processes have cost since it was last asked; nil where there are none.
    ///
    /// - Parameter isMeasured: has the host wait for the device at each exchange from now on, to know what others cost.
    package func takeExchangeCost(measuring isMeasured: Bool) -> ExchangeCost? {
        defer { exchange?.count(isMeasured: isMeasured) }
        return exchange?.cost
    }

    /// Forgets all plans with their memory, inputs and derived values, after tensors have been removed from the store.
    public func reset() {
        dropPlans()
        derived.removeAll()
        arena = ChunkedArena(context: context, chunkBytes: [])
    }

    /// Enqueues one step; returns without waiting.
    public func run(_ plan: Plan) throws {
        let queue = context.queue
        lastRun = nil
        for item in plan.prologue where item.entry.versions != item.parameters.map(store.version) {
            let application = try item.bind(store)
            for launch in application.launches { try launch.enqueue(on: queue) }
            item.encoding.recycle(application)
            item.entry.versions = item.parameters.map(store.version)
            try store.release(item.parameters)
        }
        // Also those of a step that fails half-way.
        for name in plan.changed { store.markChanged(name) }
        try plan.enqueue(on: queue, exchange: exchange)
        lastRun = plan
    }

    /// Logical values of a named output of the plan that ran last; waits for it.
    ///
    /// - Precondition: the plan has that output, has run, and no other plan has run since: all plans share one arena.
    public func read(_ output: String, of plan: Plan) throws -> [Float] {
        precondition(lastRun === plan, "\(output) is read of a plan that is not the one that ran last")
        guard let operand = plan.outputs[output] else { preconditionFailure("no output named \(output)") }
        return try context.queue.readValues(operand.shape, from: operand.buffer)
    }

    /// Names of a plan's outputs, sorted.
    package func outputs(of plan: Plan) -> [String] { plan.outputs.keys.sorted() }

    /// Shape of a named output.
    public func shape(_ output: String, of plan: Plan) -> Shape? { plan.outputs[output]?.shape }
}
