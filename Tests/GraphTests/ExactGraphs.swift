import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport

@testable import AdaShareGraph

/// Random graphs of elementwise operators and updates, whose float32 results are exact in any order of rounding.
///
/// Inputs are small integers and factors powers of two; operators are chosen so that no value needs more than
/// `bitLimit` bits. So a device must agree with `Interpreter` in every bit.
struct ExactGraphs {
    static let shapes = [Shape([3, 5]), Shape([2, 7, 40])]
    static let rate = 0.5
    private static let bitLimit = 22

    /// What a value is known to be: a multiple of 2^low, below 2^high in magnitude.
    private struct Extent {
        var low = 0
        var high = 4
        var bits: Int { high - low }

        func scaled(_ exponent: Int) -> Extent { Extent(low: low + exponent, high: high + exponent) }

        static func sum(_ terms: [Extent]) -> Extent {
            Extent(
                low: terms.map(\.low).min()!,
                high: terms.map(\.high).max()! + terms.count.bitWidth - terms.count.leadingZeroBitCount)
        }
    }

    /// Records a graph that depends on `seed` alone.
    static func record(seed: UInt64, nodes count: Int = 30, in graph: Graph) {
        var random = SeededGenerator(seed: seed)
        let flag = graph.input("flag", Shape([2], compact: true))
        var pools = shapes.indices.map { index in
            ["p", "q", "frozen"].map { graph.parameter("\($0)\(index)", shapes[index]) }
                + [graph.input("x\(index)", shapes[index])]
        }
        var ranges: [Int: Extent] = [:]
        for pool in pools { for value in pool { ranges[value.id] = Extent() } }
        for tag in 0..<count {
            let group = Int.random(in: 0..<pools.count, using: &random)
            func value() -> Value {
                random.chance(0.6) ? random.pick(pools[group].suffix(4)) : random.pick(pools[group])
            }
            func range(_ value: Value) -> Extent { ranges[value.id, default: Extent()] }
            if random.chance(0.2) {
                let (parameter, gradient) = (pools[group][Int.random(in: 0...1, using: &random)], value())
                guard parameter != gradient else { continue }
                let name = graph.externalName(parameter) + ".momentum"
                let momentum = graph.parameter(name, shapes[group])
                let velocity = Extent.sum([range(momentum).scaled(-1), range(gradient)])
                let moved = Extent.sum([range(parameter), velocity.scaled(-1)])
                guard velocity.bits <= bitLimit, moved.bits <= bitLimit else { continue }
                (ranges[momentum.id], ranges[parameter.id]) = (velocity, moved)
                _ = graph.record(
                    SGDUpdate(rate: RateSlot(0), momentum: 0.5, weightDecay: 0),
                    [parameter, gradient, momentum, graph.step, flag])
                continue
            }
            let exponent = Int.random(in: -1...1, using: &random)
            let factor = [0.5, 1, 2][exponent + 1] * (random.chance(0.5) ? 1 : -1)
            let terms = (0..<Int.random(in: 2...6, using: &random)).map { _ in value() }
            let total = Extent.sum(terms.map(range))
            let (operation, inputs, result): (any Operator, [Value], Extent) =
                switch Int.random(in: 0..<4, using: &random) {
                case 0 where total.bits <= bitLimit: (Sum(), terms, total)
                case 1: (ReLUGradient(), Array(terms[..<2]), range(terms[1]))
                case 2: (Scale(factor), [terms[0]], range(terms[0]).scaled(exponent))
                default: (ReLU(), [terms[0]], range(terms[0]))
                }
            let made = graph.record(operation, inputs)[0]
            ranges[made.id] = result
            pools[group].append(made)
            if random.chance(0.25) { graph.output("y\(tag)", made) }
        }
        for (index, pool) in pools.enumerated() { graph.output("last\(index)", pool.last!) }
    }

    /// Values for everything that graphs read, small integers.
    static func state(seed: UInt64) -> [String: [Double]] {
        var random = SeededGenerator(seed: seed)
        var state: [String: [Double]] = ["flag": [0, 0]]
        for (index, shape) in shapes.enumerated() {
            for name in ["p", "q", "frozen", "x"] {
                state["\(name)\(index)"] = (0..<shape.count).map { _ in Double(Int.random(in: -8...8, using: &random)) }
            }
            for name in ["p", "q"] { state["\(name)\(index).momentum"] = Array(repeating: 0, count: shape.count) }
        }
        return state
    }

    /// Writes a state to the device, or only those of its tensors that updates change.
    static func write(_ state: [String: [Double]], to store: TensorStore, onlyChanging: Bool = false) throws {
        for (index, shape) in shapes.enumerated() {
            for name in ["p", "q", "p.", "q.", "frozen", "x"] where !onlyChanging || !["frozen", "x"].contains(name) {
                let isMomentum = name.hasSuffix(".")
                let key = isMomentum ? "\(name.dropLast())\(index).momentum" : "\(name)\(index)"
                try store.write(key, shape, state[key]!.map { Float($0) })
            }
        }
        try store.write("flag", Shape([2], compact: true), [Int32(0), 0])
        var step = StepState()
        step.rates[RateSlot(0)] = StepState.Rate(learningRate: rate)
        try store.write(step)
    }
}

/// Evaluates a graph node by node in recorded order, in float64, without schedule, memory plan or hoisting.
struct Interpreter {
    /// Values of the externals by name; updates change it.
    var state: [String: [Double]]

    /// Runs one step and returns the named outputs.
    mutating func run(_ graph: Graph) -> [String: [Double]] {
        var computed: [Int: [Double]] = [:]
        for node in graph.nodes {
            let inputs = node.inputs.map { computed[$0.id] ?? state[graph.externalName($0)] ?? [] }
            switch node.operation {
            case is ReLU: computed[node.outputs[0].id] = inputs[0].map { max($0, 0) }
            case is ReLUGradient: computed[node.outputs[0].id] = zip(inputs[0], inputs[1]).map { $0 > 0 ? $1 : 0 }
            case is Sum: computed[node.outputs[0].id] = inputs.dropFirst().reduce(inputs[0]) { zip($0, $1).map(+) }
            case let scale as Scale: computed[node.outputs[0].id] = inputs[0].map { scale.factor * $0 }
            case let update as SGDUpdate:
                let velocity = zip(inputs[2], inputs[1]).map { update.momentum * $0 + $1 }
                state[graph.externalName(node.inputs[2])] = velocity
                state[graph.externalName(node.inputs[0])] = zip(inputs[0], velocity).map { $0 - ExactGraphs.rate * $1 }
            default: preconditionFailure("the interpreter does not know \(node.operation)")
            }
        }
        return graph.outputs.reduce(into: [:]) { results, output in
            results[output.name] = computed[output.value.id] ?? state[graph.externalName(output.value)]
        }
    }
}
