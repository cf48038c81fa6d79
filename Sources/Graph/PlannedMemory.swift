import Operators

/// What a step needs on a device, in bytes; known before any device is.
public struct PlannedMemory: Sendable, Hashable {
    /// The arena: activations, gradients, workspace.
    public let arena: Int
    /// Parameters, optimiser state and inputs, pads included.
    public let tensors: Int
    /// Packed copies of parameters that stay between steps.
    public let derived: Int

    public var total: Int { arena + tensors + derived }
}

extension Graph {
    /// Plans the recorded step's memory without a device.
    ///
    /// - Throws: `PlanError` if a value has more elements than kernels count.
    public func plannedMemory() throws -> PlannedMemory {
        let schedule = Schedule(self)
        let memory = try MemoryPlan(self, schedule: schedule, chunkLimit: Int.max / 2)
        func bytes(_ shape: Shape) -> Int { roundUp(shape.byteCount, to: 512) }
        return PlannedMemory(
            arena: memory.totalBytes, tensors: externals.reduce(0) { $0 + bytes($1.value.shape) },
            derived: schedule.hoisted.reduce(0) { $0 + nodes[$1].outputs.reduce(0) { $0 + bytes($1.shape) } })
    }
}
