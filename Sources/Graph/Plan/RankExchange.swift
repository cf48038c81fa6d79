import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareRanks

/// Takes values of a plan from the device to the other processes, and back what comes of them.
///
/// Reaching device memory and speaking to the others is the work of the group's thread, with a queue of its own, while
/// the device goes on with what the exchange does not need.
final class RankExchange: @unchecked Sendable {
    private let group: RankGroup
    private let context: DeviceContext
    /// Of the group's thread.
    private let window: HostWindow
    private var pending: [Int: JobResult<Outcome>] = [:]
    private(set) var cost = ExchangeCost()

    /// Values and where they lie.
    typealias Operand = (buffer: DeviceBuffer, shape: Shape)

    private struct Outcome {
        /// What is gathered; sums lie on the device already.
        let gathered: [Float]
        let ready, done: ContinuousClock.Instant
    }

    /// - Throws: `DeviceError` if the driver refuses another queue.
    init(_ group: RankGroup, context: DeviceContext) throws {
        (self.group, self.context) = (group, context)
        window = try HostWindow(context: context)
    }

    /// Begins an exchange of what the compute queue has been told to compute.
    ///
    /// - Precondition: sums replace values that nothing reads but the exchange.
    func start(_ exchange: ExchangeStart, _ operands: [Operand]) throws {
        precondition(pending[exchange.number] == nil, "exchange \(exchange.number) is under way")
        let ready = try context.queue.marker()
        let work = UncheckedSendable((window, operands.map { (buffer: $0.buffer, count: $0.shape.storedCount) }))
        pending[exchange.number] = group.start { group in
            // Not by waiting for the device, which may take long: the other processes want signs of life.
            try group.wait { try ready.isReached }
            let begun = ContinuousClock.now
            let (window, pieces) = work.value
            var gathered: [Float] = []
            switch exchange.form {
            case .sum: try window.change(pieces, after: ready) { try group.sum(&$0) }
            case .gather: gathered = try group.gatherNumbers(window.read(pieces, after: ready))
            }
            return Outcome(gathered: gathered, ready: begun, done: .now)
        }
    }

    /// Waits for an exchange and has the compute queue use what has come of it.
    ///
    /// - Parameters:
    ///   - inputs: of the start.
    ///   - outputs: where what has come of them belongs.
    func end(_ exchange: ExchangeEnd, _ inputs: [Operand], to outputs: [Operand]) throws {
        guard let result = pending.removeValue(forKey: exchange.number) else {
            preconditionFailure("exchange \(exchange.number) was not started")
        }
        // What was launched meanwhile must not wait for the host.
        let own = try context.queue.marker()
        // Without the exchange the device would have been done then.
        if cost.isMeasured { try own.wait() }
        let computed = ContinuousClock.now
        let outcome = try result.wait()
        cost.add(outcome.ready, outcome.done, of: inputs.reduce(0) { $0 + $1.shape.byteCount }, computed: computed)
        switch exchange.form {
        case .sum:
            for (input, output) in zip(inputs, outputs) where !input.buffer.begins(with: output.buffer) {
                try context.queue.copy(from: input.buffer, to: output.buffer, byteCount: input.shape.byteCount)
            }
        case .gather:
            var start = 0
            for (buffer, shape) in outputs {
                let end = start + shape.storedCount
                try outcome.gathered[start..<end].withUnsafeBytes { try context.queue.write($0, to: buffer) }
                start = end
            }
            precondition(start == outcome.gathered.count, "\(outcome.gathered.count) values for \(start)")
        }
    }

    /// Begins a step.
    func begin() {
        // Of a step that has failed: nothing may still reach for its memory.
        for result in pending.values { _ = try? result.wait() }
        pending = [:]
        if !cost.isMeasured { cost.steps = [] }
        cost.steps.append(ExchangeCost.Step())
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

/// What speaking to other processes has cost, step by step.
package struct ExchangeCost: Sendable {
    /// Has the host wait for its device at each exchange, to know what others cost.
    var isMeasured = false
    package internal(set) var steps: [Step] = []

    /// Adds an exchange to the last step.
    fileprivate mutating func add(
        _ ready: ContinuousClock.Instant, _ done: ContinuousClock.Instant, of byteCount: Int,
        computed: ContinuousClock.Instant
    ) {
        let begun = steps[steps.count - 1].begun
        if steps[steps.count - 1].exchanges.isEmpty { steps[steps.count - 1].computed = computed - begun }
        steps[steps.count - 1].waited += max(.zero, done - computed)
        steps[steps.count - 1].exchanges.append(
            Exchange(byteCount: byteCount, ready: ready - begun, done: done - begun))
    }

    /// Times count from when the host began to enqueue the step.
    package struct Step: Sendable {
        fileprivate let begun = ContinuousClock.now
        /// What the device has stood still for, if that is measured.
        package fileprivate(set) var waited = Duration.zero
        /// When the device had computed all that it could without the others, if that is measured.
        package fileprivate(set) var computed = Duration.zero
        /// In their order.
        package fileprivate(set) var exchanges: [Exchange] = []
    }

    /// One exchange of a step.
    package struct Exchange: Sendable {
        /// That each process gives.
        package let byteCount: Int
        /// From when the values were there until what has come of them was; the thread that speaks may have been busy.
        package let ready, done: Duration
    }
}
