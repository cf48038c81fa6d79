import AdaShareOperators
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite struct DeadCodeTests {
        @Test func unusedValuesAreNotComputed() {
            let graph = Graph()
            let x = graph.input("x", .scalar)
            let kept = graph.record(Scale(2), [x])[0]
            let dead = graph.record(Scale(3), [x])[0]
            _ = graph.record(ReLU(), [dead])
            let result = graph.record(ReLU(), [kept])[0]
            #expect(graph.kept == [], "nothing is wanted yet")
            graph.output("y", result)
            #expect(graph.kept == [0, 3])
            graph.output("z", dead)
            #expect(graph.kept == [0, 1, 3])
        }

        @Test func anyUsedOutputKeepsTheNode() {
            let graph = Graph()
            let x = graph.input("x", .scalar)
            let pair = graph.record(Probe(results: [.scalar, .scalar]), [x])
            graph.output("second", pair[1])
            #expect(graph.kept == [0])
        }

        @Test func updatesAreRootsWithAllTheyRead() {
            let graph = Graph()
            let (x, p) = (graph.input("x", .scalar), graph.parameter("p", .scalar))
            let gradient = graph.record(Scale(2), [graph.record(ReLU(), [x])[0]])[0]
            _ = graph.record(Scale(5), [x])
            _ = graph.record(Probe(results: [], mutatedInputs: [0]), [p, gradient])
            #expect(graph.kept == [0, 1, 3])
        }

        @Test(arguments: 0..<60) func agreesWithFollowingInputsBackwards(seed: UInt64) {
            let graph = Graph.randomProbes(seed: seed)
            #expect(Set(graph.kept) == graph.neededNodes)
            let lowered = graph.lowered(for: .cpu)
            let schedule = Schedule(lowered)
            #expect((schedule.order + schedule.hoisted).sorted() == Array(lowered.nodes.indices), "each runs once")
        }

        @Test func randomGraphsHaveDeadEndsAndHoistedNodes() {
            let graphs = (0..<120).map { Graph.randomProbes(seed: $0) }
            #expect(graphs.count { $0.neededNodes.count < $0.nodes.count } > 30)
            #expect(graphs.count { !Schedule($0.lowered(for: .cpu)).hoisted.isEmpty } > 5)
        }

        /// A workspace lies in the arena of the step, so its node cannot run before the step.
        @Test func onlyNodesWithoutWorkspaceAreHoisted() {
            for (workspace, hoisted) in [(0, [0]), (1, [])] {
                let graph = Graph()
                let probe = Probe(workspace: workspace)
                graph.output("y", graph.record(probe, [graph.parameter("p", .scalar)])[0])
                #expect(Schedule(graph.lowered(for: .cpu)).hoisted == hoisted)
            }
        }
    }
}

extension Graph {
    /// The nodes of a graph without convolutions that lowering keeps.
    fileprivate var kept: [Int] {
        let lowered = lowered(for: .cpu).nodes
        return nodes.indices.filter { index in lowered.contains { $0 === nodes[index] } }
    }
}
