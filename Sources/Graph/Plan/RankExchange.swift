import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareRanks

/// Takes values of a plan from the device to the other processes, and back what comes of them.
///
/// Reading the device and speaking to the others is the work of the group's thread, with a queue of its own, while the
/// device goes on with what the exchange does not need.
final class RankExchange: @unchecked Sendable {
    private let group: RankGroup
    private let context: DeviceContext
    /// Of the group's thread.
    private let queue: CommandQueue
    private var pending: [Int: JobResult<[Float]>] = [:]
    /// What the host has waited for other processes after its own device was done, and what each process has given.
    private(set) var cost = ExchangeCost()

    /// Values and where they lie.
    typealias Operand = (buffer: DeviceBuffer, shape: Shape)

    /// - Throws: `DeviceError` if the driver refuses another queue.
    init(_ group: RankGroup, context: DeviceContext) throws {
        (self.group, self.context) = (group, context)
        queue = try context.makeQueue(profiling: false)
    }

    /// Begins an exchange of what the compute queue has been told to compute.
    func start(_ exchange: ExchangeStart, _ operands: [Operand]) throws {
        precondition(pending[exchange.number] == nil, "exchange \(exchange.number) is under way")
        let ready = try context.queue.marker()
        let counts = operands.map(\.shape.storedCount)
        let buffers = UncheckedSendable(operands.map(\.buffer))
        let queue = UncheckedSendable(queue)
        pending[exchange.number] = group.start { group in
            // Not by waiting for the device, which may take long: the other processes want signs of life.
            try group.wait { try ready.isReached }
            try queue.value.wait(for: ready)
            var values: [Float] = []
            values.reserveCapacity(counts.reduce(0, +))
            for (buffer, count) in zip(buffers.value, counts) {
                values += try queue.value.read(Float.self, count: count, from: buffer)
            }
            switch exchange.form {
            case .sum: return try group.sum(values)
            case .gather: return try group.gatherNumbers(values)
            }
        }
    }

    /// Waits for an exchange and has the compute queue write what has come of it.
    func end(_ exchange: ExchangeEnd, _ operands: [Operand]) throws {
        guard let result = pending.removeValue(forKey: exchange.number) else {
            preconditionFailure("exchange \(exchange.number) was not started")
        }
        // What was launched meanwhile must not wait for the host.
        let own = try context.queue.marker()
        let clock = ContinuousClock()
        if cost.isMeasured {
            // Without the exchange the device would have been done now.
            try own.wait()
        }
        let begun = clock.now
        let values = try result.wait()
        cost.waited += clock.now - begun
        if exchange.number == 0 { cost.steps += 1 }
        cost.bytes += 4 * values.count
        var start = 0
        for (buffer, shape) in operands {
            try values.withUnsafeBytes { bytes in
                let range = start * 4..<(start + shape.storedCount) * 4
                try context.queue.write(UnsafeRawBufferPointer(rebasing: bytes[range]), to: buffer)
            }
            start += shape.storedCount
        }
        precondition(start == values.count, "\(values.count) values for \(start)")
    }

    /// Begins to count anew.
    ///
    /// - Parameter isMeasured: has waiting for the device be told from waiting for others; both at once are faster.
    func count(isMeasured: Bool) { cost = ExchangeCost(isMeasured: isMeasured) }

    private struct UncheckedSendable<Value>: @unchecked Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }
}

/// What speaking to other processes has cost a step.
package struct ExchangeCost: Sendable {
    var isMeasured = false
    /// What the device has stood still for.
    package internal(set) var waited = Duration.zero
    /// How many steps.
    package internal(set) var steps = 0
    /// Bytes of what was exchanged.
    package internal(set) var bytes = 0
}
