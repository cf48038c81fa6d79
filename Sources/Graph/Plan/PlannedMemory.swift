import AdaShareOperators

/// What a step needs on a device, in bytes; known before any device is.
public struct PlannedMemory: Sendable, Hashable {
    /// The arena: activations, gradients, workspace.
    public let arena: Int
    /// Parameters, optimiser state and inputs, pads included.
    public let tensors: Int
    /// Packed and transformed copies of parameters that stay between steps.
    public let derived: Int

    /// Everything.
    public var total: Int { arena + tensors + derived }
}

extension PlannedMemory {
    /// Plans steps that alternate on one device: they share the arena, and what one of them keeps stays beside the
    /// others. Where none of them changes a parameter, those of which only copies are read are not on the device.
    ///
    /// - Parameter graphs: one of each step.
    /// - Parameter parameters: shapes, by name, of what is on the device whether or not a step reads it.
    /// - Throws: `InputError` if a value has more elements than kernels count.
    public init(_ graphs: [LoweredGraph], besides parameters: [String: Shape] = [:]) throws {
        var arena = 0
        var tensors = parameters
        var derived: [DerivedTensors.Key: [Shape]] = [:]
        let infers = graphs.allSatisfy(\.infers)
        for graph in graphs {
            let schedule = Schedule(graph)
            arena = max(
                arena, try MemoryPlan(graph, schedule: schedule, chunkLimit: Int.max / 2).totalBytes)
            let isRead = schedule.reads(graph)
            for external in graph.externals where !infers || external.role == .input || isRead[external.value.id] {
                tensors[external.name] = external.value.shape
            }
            for index in schedule.hoisted {
                let node = graph.nodes[index]
                let key = DerivedTensors.Key(node.operation, parameters: node.inputs.map(graph.externalName))
                derived[key] = node.outputs.map(\.shape)
            }
        }
        func bytes(_ shapes: some Sequence<Shape>) -> Int { shapes.reduce(0) { $0 + roundUp($1.byteCount, to: 512) } }
        self.init(arena: arena, tensors: bytes(tensors.values), derived: bytes(derived.values.joined()))
    }
}
