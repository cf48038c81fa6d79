import AdaShareOperators
import AdaShareSupport
import TestSupport

@testable import AdaShareGraph

/// An operator without a kernel, for what is decided before any device is asked.
struct Probe: Operator {
    var tag = 0
    /// Shapes of the outputs.
    var results = [Shape.scalar]
    /// For each output, the inputs it may overwrite.
    var inPlace: [[Int]] = []
    var mutatedInputs: [Int] = []
    /// Bytes of scratch memory.
    var workspace = 0

    func outputShapes(_ inputs: [Shape]) -> [Shape] { results }
    func inPlaceInputs(output: Int) -> [Int] { inPlace.indices.contains(output) ? inPlace[output] : [] }
    func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int { workspace }
    func encode(_ encoder: inout LaunchEncoder) throws {
        throw InputError(file: "probe", found: "a launch", expected: "none: it has no kernel")
    }
}

extension Graph {
    /// A graph of probes: fan-out, repeated inputs, several outputs, scratch memory, in-place operators, updates of
    /// parameters that are read before and after, dead ends.
    ///
    /// - Parameter forward: nodes before those of the backward pass, some of which are of values computed again; nil
    ///   for all.
    static func randomProbes(seed: UInt64, nodes count: Int = 40, forward: Int? = nil) -> Graph {
        var random = SeededGenerator(seed: seed)
        let graph = Graph()
        let parameters = (0..<4).map { graph.parameter("p\($0)", Shape([$0 + 1, 20])) }
        var values = parameters + [graph.input("x", Shape([3, 3])), graph.step]
        for tag in 0..<count {
            var inputs = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                // Recent values more often than old ones, so that memory is given back.
                random.chance(0.7) ? random.pick(values.suffix(6)) : random.pick(values)
            }
            var probe = Probe(tag: tag, workspace: random.chance(0.3) ? Int.random(in: 1...3000, using: &random) : 0)
            if random.chance(0.25) {
                let trainable = parameters.dropLast().shuffled(using: &random)
                let changed = Array(trainable.prefix(Int.random(in: 1...2, using: &random)))
                inputs = changed + inputs.filter { !changed.contains($0) }
                probe.mutatedInputs = Array(changed.indices)
                if random.chance(0.8) { probe.results = [] }
            } else {
                probe.results = (0..<Int.random(in: 1...3, using: &random)).map { number in
                    if number == 0, random.chance(0.6) { return inputs[0].shape }
                    return Shape([Int.random(in: 1...20, using: &random), random.pick([1, 16, 40])])
                }
                probe.inPlace = probe.results.map { _ in
                    inputs.indices.shuffled(using: &random).filter { _ in random.chance(0.5) }
                }
            }
            let isBackward = forward.map { tag >= $0 } ?? false
            let label =
                isBackward ? random.pick([Graph.backwardLabel, Graph.backwardLabel, Graph.recomputationLabel]) : ""
            let made =
                isBackward
                ? graph.scope("\(label)/probe") { graph.record(probe, inputs) } : graph.record(probe, inputs)
            values += made
            for (number, value) in made.enumerated() where random.chance(0.15) {
                graph.output("y\(tag).\(number)", value)
            }
        }
        return graph
    }

    /// Nodes on which an output or an update depends, found by following inputs backwards.
    var neededNodes: Set<Int> {
        var found = Set<Int>()
        var pending = nodes.indices.filter { !nodes[$0].operation.mutatedInputs.isEmpty }
        func producer(_ value: Value) -> Int? { nodes.firstIndex { $0.outputs.contains(value) } }
        pending += outputs.compactMap { producer($0.value) }
        while let index = pending.popLast() {
            guard found.insert(index).inserted else { continue }
            pending += nodes[index].inputs.compactMap(producer)
        }
        return found
    }
}
