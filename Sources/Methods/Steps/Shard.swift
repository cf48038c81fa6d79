import AdaShareGraph
import AdaShareLayers
import AdaShareOperators

/// A part of a batch whose forward and backward pass are computed alone, batch norms' statistics included.
public struct Shard: Hashable, Sendable {
    /// Which part, from 0.
    public let index: Int
    /// Into how many equal ones the batch is divided.
    public let count: Int

    /// Creates a part.
    ///
    /// - Precondition: the index is one of them.
    public init(_ index: Int, of count: Int) {
        precondition(0..<count ~= index, "shard \(index) of \(count)")
        (self.index, self.count) = (index, count)
    }

    /// A batch that is not divided.
    public static let whole = Shard(0, of: 1)
    /// Whether the batch is not divided.
    public var isWhole: Bool { count == 1 }
    /// What it takes of terms that belong to the batch as a whole, such as a penalty on weights: 1/count, which a
    /// power of two divides without rounding.
    public var share: Double { 1 / Double(count) }
    /// Names what is its own.
    package func named(_ name: String) -> String { isWhole ? name : "\(name)/shard\(index)" }
}

/// What the forward and backward pass of a shard come to, or of several together: everything that is summed over the
/// batch.
struct ShardSums {
    /// Values of the log by name: losses, what is added to them, the total.
    private(set) var outputs: [(name: String, value: Value)] = []
    /// What no update happens after where it is not finite; with the number that stands for it.
    private(set) var checked: [(number: Int, value: Value)] = []
    /// What is added up for `LossHistory`, by task.
    private(set) var remembered: [(task: Int, value: Value)] = []
    /// What moves, and how, and the gradients of it.
    private(set) var update: (parameters: [ParameterSpec], rule: UpdateRule)?
    private(set) var gradients: [Value?] = []
    /// When each gradient is known, compared with the others.
    private var readiness: [Int] = []
    private(set) var statistics = BatchStatistics()

    mutating func output(_ name: String, _ value: Value) { outputs.append((name, value)) }
    mutating func check(_ value: Value, number: Int) { checked.append((number, value)) }
    mutating func remember(_ loss: Value, of task: Int) { remembered.append((task, loss)) }

    mutating func minimise(
        _ parameters: [ParameterSpec], by rule: UpdateRule, gradients: [Value?], statistics: BatchStatistics
    ) {
        precondition(update == nil, "a step that minimises twice")
        (update, self.gradients, self.statistics) = ((parameters, rule), gradients, statistics)
        readiness = gradients.map { $0?.id ?? 0 }
    }

    /// Adds the next shards, as many as these: sums are a binary tree over the batch, whoever computes its parts.
    mutating func join(_ other: ShardSums, in graph: Graph) {
        func sum(_ a: Value, _ b: Value) -> Value { graph.record(GradientSum(), [a, b])[0] }
        graph.scope("shards") {
            for index in outputs.indices {
                outputs[index].value = sum(outputs[index].value, other.outputs[index].value)
            }
            for index in checked.indices {
                checked[index].value = sum(checked[index].value, other.checked[index].value)
            }
            for index in remembered.indices {
                remembered[index].value = sum(remembered[index].value, other.remembered[index].value)
            }
            gradients = zip(gradients, other.gradients).map { mine, others in
                guard let mine, let others else { return mine ?? others }
                return sum(mine, others)
            }
            readiness = other.readiness
            statistics.join(other.statistics, in: graph)
        }
    }

    /// Joins the sums of all processes, each of which has those of as many neighbouring shards.
    ///
    /// Small things are gathered, and joined as those of shards are. Gradients are added on their way, in pieces of
    /// some size, as soon as they are known: the backward pass goes on meanwhile.
    mutating func join(ranks: Int, in graph: Graph) {
        var exchanges: [(form: ExchangeForm, operands: [Value])] = []
        func start(_ form: ExchangeForm, _ values: [Value]) {
            let token = graph.parameter("exchange/\(exchanges.count)", Shape([1]))
            _ = graph.record(ExchangeStart(number: exchanges.count, form: form), [token] + values)
            exchanges.append((form, [token] + values))
        }
        let small = smallValues
        start(.gather(ranks: ranks), small)
        let buckets = buckets()
        var given = graph.handedOver(buckets.flatMap(\.self))[...]
        for bucket in buckets {
            start(.sum, Array(given.prefix(bucket.count)))
            given = given.dropFirst(bucket.count)
        }
        let ended = exchanges.enumerated().map { number, exchange in
            graph.record(ExchangeEnd(number: number, form: exchange.form), exchange.operands)
        }
        let sums = Dictionary(
            uniqueKeysWithValues: zip(buckets.flatMap(\.self).map(\.id), ended.dropFirst().flatMap(\.self)))
        gradients = gradients.map { gradient in gradient.flatMap { sums[$0.id] } }
        var tree = ShardTree()
        for rank in 0..<ranks {
            var part = self
            part.gradients = part.gradients.map { _ in nil }
            part.smallValues = Array(ended[0][rank * small.count..<(rank + 1) * small.count])
            tree.add(part, in: graph)
        }
        let joined = tree.root
        (outputs, checked, remembered, statistics) = (
            joined.outputs, joined.checked, joined.remembered, joined.statistics
        )
    }

    /// Everything but gradients.
    private var smallValues: [Value] {
        get { outputs.map(\.value) + checked.map(\.value) + remembered.map(\.value) + statistics.values }
        set {
            var next = newValue[...]
            for index in outputs.indices { outputs[index].value = next.removeFirst() }
            for index in checked.indices { checked[index].value = next.removeFirst() }
            for index in remembered.indices { remembered[index].value = next.removeFirst() }
            statistics.values = Array(next)
        }
    }

    /// Elements of a bucket at most, unless one gradient has more: of the last one, which nothing is left to compute
    /// beside, and of the early ones.
    private static let bucketElements = (last: 1 << 18, most: 1 << 21)

    /// Gradients that travel together, each once, in the order in which they are known.
    private func buckets() -> [[Value]] {
        var seen: Set<Int> = []
        let order = gradients.indices.sorted { readiness[$0] < readiness[$1] }
        let values = order.compactMap { gradients[$0] }.filter { seen.insert($0.id).inserted }
        // From the last one on: what is known earlier may wait for a bucket that has room.
        var buckets: [[Value]] = []
        var (most, room, open) = (Self.bucketElements.last, 0, 0)
        for value in values.reversed() {
            let count = value.shape.storedCount
            if count <= room {
                buckets[open].append(value)
                room -= count
            } else {
                buckets.append([value])
                // A large one goes alone, as it lies in memory.
                if count < most { (open, room) = (buckets.count - 1, most - count) }
                most = min(2 * most, Self.bucketElements.most)
            }
        }
        return buckets.reversed().map { $0.reversed() }
    }
}

/// Sums of neighbouring shards, joined as soon as there are two of as many.
struct ShardTree {
    private var waiting: [(shards: Int, sums: ShardSums)] = []

    /// Takes the next shard.
    mutating func add(_ sums: ShardSums, in graph: Graph) {
        waiting.append((1, sums))
        while waiting.count > 1, waiting[waiting.count - 2].shards == waiting[waiting.count - 1].shards {
            let last = waiting.removeLast()
            waiting[waiting.count - 1].sums.join(last.sums, in: graph)
            waiting[waiting.count - 1].shards += last.shards
        }
    }

    /// The sums of all of them.
    ///
    /// - Precondition: their number is a power of two.
    var root: ShardSums {
        precondition(waiting.count == 1, "no power of two")
        return waiting[0].sums
    }
}
