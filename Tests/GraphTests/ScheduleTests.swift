import AdaShareOperators
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite struct ScheduleTests {
        @Test(arguments: 0..<100) func everyNodeSeesWhatItSawWhenRecorded(seed: UInt64) {
            let graph = Graph.randomProbes(seed: seed).lowered(for: .cpu)
            let schedule = Schedule(graph)
            #expect(ScheduleCheck(graph, hoisted: schedule.hoisted).faults(in: schedule.order) == [])
        }

        @Test(arguments: 0..<100) func updatesHappenAsEarlyAsAllowed(seed: UInt64) {
            let graph = Graph.randomProbes(seed: seed).lowered(for: .cpu)
            let schedule = Schedule(graph)
            let check = ScheduleCheck(graph, hoisted: schedule.hoisted)
            #expect(check.lateUpdates(in: schedule.order) == [])
            let computing = schedule.order.filter { !graph.nodes[$0].isUpdate }
            #expect(computing == computing.sorted(), "everything else stays in recorded order")
        }

        /// Of the order alone, and of what the schedule makes of it.
        @Test(arguments: 0..<200) func earlyGradientsSeeWhatTheySawWhenRecorded(seed: UInt64) {
            let graph = Self.recorded(seed)
            let order = BackwardOrder(graph).order
            #expect(order.sorted() == Array(graph.nodes.indices))
            #expect(ScheduleCheck(graph, hoisted: []).faults(in: order) == [])
            let schedule = Schedule(LoweredGraph(graph, order: order))
            let check = ScheduleCheck(graph, hoisted: schedule.hoisted.map { order[$0] })
            #expect(check.faults(in: schedule.order.map { order[$0] }) == [])
        }

        @Test func mostGradientsComeEarlier() {
            let moved = (0..<UInt64(200)).filter { seed in
                let graph = Self.recorded(seed)
                return BackwardOrder(graph).order != Array(graph.nodes.indices)
            }
            #expect(moved.count > 160)
        }

        /// Forward nodes, then backward ones.
        private static func recorded(_ seed: UInt64) -> LoweredGraph {
            var choices = AlgorithmChoices()
            choices.fitsMemory = false
            return Graph.randomProbes(seed: seed, nodes: 60, forward: 30).lowered(for: .cpu, choices: choices)
        }

        @Test func theCheckFindsWrongOrders() {
            var (swapsFound, lateFound) = (0, 0)
            for seed in 0..<20 {
                let graph = Graph.randomProbes(seed: UInt64(seed)).lowered(for: .cpu)
                let schedule = Schedule(graph)
                let check = ScheduleCheck(graph, hoisted: schedule.hoisted)
                let reversed = Array(schedule.order.reversed())
                if !check.faults(in: reversed).isEmpty { swapsFound += 1 }
                let last =
                    schedule.order.filter { !graph.nodes[$0].isUpdate }
                    + schedule.order.filter { graph.nodes[$0].isUpdate }
                if !check.faults(in: last).isEmpty || !check.lateUpdates(in: last).isEmpty { lateFound += 1 }
            }
            #expect(swapsFound == 20 && lateFound == 20)
        }

        @Test func anUpdateWaitsForReadersOfTheOldValueOnly() {
            let graph = Graph()
            let (x, p, q) = (graph.input("x", .scalar), graph.parameter("p", .scalar), graph.parameter("q", .scalar))
            let gradient = graph.record(Scale(2), [x])[0]  // 0
            let reader = graph.record(Sum(), [p, gradient])[0]  // 1: the old p
            let other = graph.record(Sum(), [q, reader])[0]  // 2
            let unrelated = graph.record(ReLU(), [other])[0]  // 3
            _ = graph.record(Probe(results: [], mutatedInputs: [0]), [p, gradient])  // 4
            _ = graph.record(Probe(tag: 1, results: [], mutatedInputs: [0]), [p, gradient])  // 5
            _ = graph.record(Probe(results: [], mutatedInputs: [0]), [q, gradient])  // 6
            let later = graph.record(Sum(), [p, unrelated])[0]  // 7: the new p
            graph.output("y", later)
            #expect(Schedule(graph.lowered(for: .cpu)).order == [0, 1, 4, 5, 2, 6, 3, 7])
        }

        @Test func updatesOfOneParameterKeepTheirOrder() {
            let graph = Graph()
            let (x, p) = (graph.input("x", .scalar), graph.parameter("p", .scalar))
            let late = graph.record(Scale(2), [graph.record(ReLU(), [x])[0]])[0]
            _ = graph.record(Probe(tag: 1, results: [], mutatedInputs: [0]), [p, late])
            _ = graph.record(Probe(tag: 2, results: [], mutatedInputs: [0]), [p])
            #expect(
                Schedule(graph.lowered(for: .cpu)).order == [0, 1, 2, 3],
                "the second could run at once but for the first")
        }
    }
}

/// What an order of a graph's nodes must respect, worked out from the recording alone.
struct ScheduleCheck {
    let graph: LoweredGraph
    private let hoisted: Set<Int>
    private var producer: [Value: Int] = [:]
    /// For each node, its inputs' updates in recorded order.
    private var history: [[[Int]]] = []
    /// For each node, every node that must come before it.
    private var ancestors: [Set<Int>] = []

    init(_ graph: LoweredGraph, hoisted: [Int]) {
        self.graph = graph
        self.hoisted = Set(hoisted)
        var updates: [Value: [Int]] = [:]
        var readers: [Value: [Int]] = [:]
        for (index, node) in graph.nodes.enumerated() {
            history.append(node.inputs.map { updates[$0] ?? [] })
            var before = Set(node.inputs.compactMap { producer[$0] } + node.inputs.flatMap { updates[$0] ?? [] })
            let changed = node.operation.mutatedInputs.map { node.inputs[$0] }
            for value in changed { before.formUnion(readers[value] ?? []) }
            before = before.subtracting(self.hoisted)
            ancestors.append(before.reduce(into: before) { $0.formUnion(ancestors[$1]) })
            for value in node.inputs { readers[value, default: []].append(index) }
            for value in changed { updates[value, default: []].append(index) }
            for value in node.outputs { producer[value] = index }
        }
    }

    /// Nodes that run before a producer of an input, or see another state of an input than when they were recorded.
    func faults(in order: [Int]) -> [Int] {
        var applied: [Value: [Int]] = [:]
        var ran = hoisted
        var faults: [Int] = []
        for index in order {
            let node = graph.nodes[index]
            let isReady = node.inputs.allSatisfy { producer[$0].map(ran.contains) ?? true }
            let seesTheSame = zip(node.inputs, history[index]).allSatisfy { (applied[$0] ?? []) == $1 }
            if !isReady || !seesTheSame { faults.append(index) }
            for position in node.operation.mutatedInputs { applied[node.inputs[position], default: []].append(index) }
            ran.insert(index)
        }
        // A hoisted node may not read anything that changes.
        return faults + hoisted.filter { graph.nodes[$0].inputs.contains { applied[$0] != nil || producer[$0] != nil } }
    }

    /// Updates that follow a node they need not wait for.
    func lateUpdates(in order: [Int]) -> [Int] {
        var latest: Int?
        return order.filter { index in
            guard graph.nodes[index].isUpdate else {
                latest = index
                return false
            }
            return latest.map { !ancestors[index].contains($0) } ?? false
        }
    }
}
