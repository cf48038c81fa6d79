import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport

/// Named tensors that outlive a plan: parameters, running statistics, optimiser state, inputs.
public final class TensorStore {
    /// The device, its queue and memory.
    public let context: DeviceContext
    private var tensors: [Stored] = []
    private var index = HashIndex(capacity: 1 << 10)
    /// Numbers every change of any tensor.
    private var changes = 0

    /// One reference: plans look up a thousand.
    private final class Stored {
        let name: String
        /// Nil while it is nowhere but at its source.
        var buffer: DeviceBuffer?
        /// The same while somebody uses it, though it has been released.
        weak var used: DeviceBuffer?
        var shape: Shape
        var version: Int
        /// Where its values can be had again, as long as nobody has changed them.
        var source: (() throws -> [Float])?

        init(_ name: String, buffer: DeviceBuffer?, shape: Shape, version: Int) {
            (self.name, self.buffer, self.shape, self.version) = (name, buffer, shape, version)
        }

        var present: DeviceBuffer? { buffer ?? used }
    }

    /// Creates an empty store.
    public init(context: DeviceContext) { self.context = context }

    /// The memory of `name`, allocated with zeros on first use.
    ///
    /// - Precondition: a name keeps its shape.
    /// - Throws: `DeviceError` if memory cannot be had.
    @discardableResult
    public func tensor(_ name: String, _ shape: Shape) throws -> DeviceBuffer {
        try tensor(name, hash: name.hashValue, shape)
    }

    /// - Parameter hash: of the name.
    func tensor(_ name: String, hash: Int, _ shape: Shape) throws -> DeviceBuffer {
        if let known = find(name, hash: hash) {
            precondition(known.shape == shape, "\(name) is stored as \(known.shape), not \(shape)")
            return try buffer(of: known)
        }
        let buffer = try context.makeBuffer(byteCount: roundUp(shape.byteCount, to: 512))
        add(name, hash: hash, shape, buffer)
        return buffer
    }

    @discardableResult
    private func add(_ name: String, hash: Int, _ shape: Shape, _ buffer: DeviceBuffer?) -> Stored {
        changes += 1
        let stored = Stored(name, buffer: buffer, shape: shape, version: changes)
        tensors.append(stored)
        index.append(hash: hash)
        return stored
    }

    private func find(_ name: String, hash: Int) -> Stored? {
        index.position(hash: hash) { tensors[$0].name == name }.map { tensors[$0] }
    }

    private func find(_ name: String) -> Stored? { find(name, hash: name.hashValue) }

    private func buffer(of stored: Stored) throws -> DeviceBuffer {
        if let buffer = stored.buffer { return buffer }
        if let buffer = stored.used {
            stored.buffer = buffer
            return buffer
        }
        guard let source = stored.source else { preconditionFailure("a tensor that is nowhere") }
        let buffer = try context.makeBuffer(byteCount: roundUp(stored.shape.byteCount, to: 512))
        try write(stored.shape.padded(source()), as: stored.shape.element, to: buffer)
        stored.buffer = buffer
        return buffer
    }

    /// Sets a tensor to values that can be had again: it takes memory while steps read it.
    ///
    /// - Parameters:
    ///   - name: of the tensor.
    ///   - shape: as it is stored.
    ///   - source: the logical values, the same each time.
    public func supply(_ name: String, _ shape: Shape, from source: @escaping () throws -> [Float]) throws {
        let known = find(name) ?? add(name, hash: name.hashValue, shape, nil)
        if known.present != nil {
            try write(name, shape, source())
        } else {
            changes += 1
            (known.shape, known.version) = (shape, changes)
        }
        known.source = source
    }

    /// Gives memory back of which nothing is lost: that of tensors whose values can be had again. Waits for what still
    /// reads them.
    func release(_ names: [String]) throws {
        let spare = names.compactMap { find($0) }.filter { $0.source != nil && $0.buffer != nil }
        guard !spare.isEmpty else { return }
        try context.queue.finish()
        for stored in spare { (stored.used, stored.buffer) = (stored.buffer, nil) }
    }

    /// Forgets a tensor; plans that use it must be forgotten too.
    public func remove(_ name: String) {
        guard let place = index.position(hash: name.hashValue, where: { tensors[$0].name == name }) else { return }
        tensors.remove(at: place)
        index.remove(at: place)
    }

    /// Of all tensors, sorted.
    public var names: [String] { tensors.map(\.name).sorted() }
    /// Bytes of all tensors.
    public var byteCount: Int { tensors.reduce(0) { $0 + ($1.present?.byteCount ?? 0) } }

    /// Which contents a tensor has: another number after every change by the host or a step, so that whatever was
    /// computed from it or read of it knows when it is stale. 0 for a tensor that does not exist.
    public func version(_ name: String) -> Int { find(name)?.version ?? 0 }

    func markChanged(_ name: String) {
        changes += 1
        guard let stored = find(name) else { return }
        (stored.version, stored.source) = (changes, nil)
    }

    /// Writes logical values, rounded to what is stored (pads are added); asynchronous, in queue order.
    ///
    /// - Precondition: the value count fits the shape.
    public func write(_ name: String, _ shape: Shape, _ values: [Float]) throws {
        try write(shape.padded(values), as: shape.element, to: try tensor(name, shape))
        markChanged(name)
    }

    private func write(_ stored: [Float], as element: ElementType, to buffer: DeviceBuffer) throws {
        switch element {
        case .float32: try context.queue.write(stored, to: buffer)
        case .bfloat16: try context.queue.write(stored.map { BFloat16($0) }, to: buffer)
        }
    }

    /// Writes logical integer values.
    public func write(_ name: String, _ shape: Shape, _ values: [Int32]) throws {
        try context.queue.write(shape.padded(values), to: tensor(name, shape))
        markChanged(name)
    }

    /// A tensor of a batch.
    public struct Input {
        let name: String
        let shape: Shape
        fileprivate let bytes: [UInt8]

        /// Creates an input of numbers.
        ///
        /// - Parameters:
        ///   - name: in the store.
        ///   - shape: as it is stored.
        ///   - values: logical.
        /// - Precondition: the value count fits the shape, whose elements are float32.
        public init(_ name: String, _ shape: Shape, _ values: [Float]) {
            precondition(shape.element == .float32, "batches are float32")
            (self.name, self.shape) = (name, shape)
            bytes = shape.padded(values).withUnsafeBytes(Array.init)
        }

        /// Creates an input of integers.
        ///
        /// - Parameters:
        ///   - name: in the store.
        ///   - shape: as it is stored.
        ///   - values: logical.
        /// - Precondition: the value count fits the shape.
        public init(_ name: String, _ shape: Shape, _ values: [Int32]) {
            (self.name, self.shape) = (name, shape)
            bytes = shape.padded(values).withUnsafeBytes(Array.init)
        }
    }

    /// Writes a batch; in order with the steps before and after, through a stream beside the computation if there is
    /// one.
    public func write(_ inputs: [Input], through stream: UploadStream?) throws {
        let pieces = try inputs.map { (bytes: $0.bytes, buffer: try tensor($0.name, $0.shape)) }
        if let stream {
            try stream.write(pieces)
        } else {
            for piece in pieces { try context.queue.write(piece.bytes, to: piece.buffer) }
        }
        for input in inputs { markChanged(input.name) }
    }

    /// Reads logical values; waits for the queue.
    ///
    /// - Precondition: the tensor exists.
    public func read(_ name: String) throws -> [Float] {
        let stored = stored(name)
        let values = try context.queue.readValues(stored.shape, from: buffer(of: stored))
        try release([name])
        return values
    }

    /// Reads logical integer values.
    public func readIntegers(_ name: String) throws -> [Int32] {
        let stored = stored(name)
        let elements = try context.queue.read(Int32.self, count: stored.shape.storedCount, from: buffer(of: stored))
        return stored.shape.unpadded(elements)
    }

    private func stored(_ name: String) -> Stored {
        guard let stored = find(name) else { preconditionFailure("no tensor named \(name)") }
        return stored
    }

    /// Writes the step buffer.
    public func write(_ state: StepState) throws {
        try context.queue.write(state.words, to: tensor(Graph.stepName, StepState.shape))
    }
}

extension CommandQueue {
    /// Reads logical values of a tensor, whatever they are stored as; waits for the queue.
    func readValues(_ shape: Shape, from buffer: DeviceBuffer) throws -> [Float] {
        switch shape.element {
        case .float32: shape.unpadded(try read(Float.self, count: shape.storedCount, from: buffer))
        case .bfloat16: shape.unpadded(try read(BFloat16.self, count: shape.storedCount, from: buffer)).map(\.float)
        }
    }
}
