import AdaShareOperators
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite struct ValueNumberingTests {
        private let graph = Graph()
        private let shape = Shape([2, 3])

        private func apply(_ operation: any Operator, _ inputs: Value...) -> Value {
            graph.record(operation, inputs)[0]
        }

        @Test func equalApplicationsAreOneNode() {
            let x = graph.input("x", shape)
            #expect(apply(ReLU(), x) == apply(ReLU(), x))
            #expect(apply(Scale(2), x) == apply(Scale(2), x))
            #expect(apply(Fill(shape, value: 1)) == apply(Fill(shape, value: 1)))
            #expect(graph.nodes.count == 3)
        }

        @Test func differentAttributesTypesAndInputsAreNot() {
            let (x, y) = (graph.input("x", shape), graph.input("y", shape))
            let distinct = [
                apply(Scale(2), x), apply(Scale(3), x), apply(Scale(2), y), apply(ReLU(), x), apply(Sum(), x, y),
                apply(Sum(), y, x), apply(Sum(), x, x), apply(Sum(), x, y, x), apply(ReLUGradient(), x, y),
                apply(Fill(shape, value: 1)), apply(Fill(Shape(shape.dimensions, compact: true), value: 1)),
                apply(Probe(tag: 1, results: [shape]), x), apply(Probe(tag: 2, results: [shape]), x),
            ]
            #expect(Set(distinct.map(\.id)).count == distinct.count)
            #expect(graph.nodes.count == distinct.count)
        }

        @Test func commonPrefixesOfTwoPathsAreRecordedOnce() {
            func path(_ factors: [Double]) -> Value {
                factors.reduce(graph.input("x", shape)) { apply(Scale($1), apply(ReLU(), $0)) }
            }
            let first = path([2, 3, 4])
            #expect(graph.nodes.count == 6)
            let second = path([2, 3, 5])
            #expect(graph.nodes.count == 7, "all but the last factor is shared")
            #expect(first != second)
            #expect(path([2, 3, 4]) == first && graph.nodes.count == 7)
            _ = path([7, 3, 4])
            #expect(graph.nodes.count == 7 + 5, "nothing but the first ReLU is shared where the first factor differs")
        }

        @Test func anUpdateInPlaceSeparatesReadsBeforeAndAfter() {
            let (p, q) = (graph.parameter("p", shape), graph.parameter("q", shape))
            let update = Probe(results: [], mutatedInputs: [0])
            let before = (apply(ReLU(), p), apply(ReLU(), q), apply(Sum(), q, p))
            #expect(apply(ReLU(), p) == before.0)
            _ = graph.record(update, [p])
            let after = (apply(ReLU(), p), apply(ReLU(), q), apply(Sum(), q, p))
            #expect(after.0 != before.0)
            #expect(after.1 == before.1, "q has not changed")
            #expect(after.2 != before.2)
            #expect(apply(ReLU(), p) == after.0, "reads after the update are shared again")
        }

        @Test func equalUpdatesInARowBothHappen() {
            let p = graph.parameter("p", shape)
            for _ in 0..<3 { _ = graph.record(Probe(results: [], mutatedInputs: [0]), [p]) }
            #expect(graph.nodes.count == 3)
        }

        @Test func externalsAreOnePerName() {
            let p = graph.parameter("p", shape)
            #expect(graph.parameter("p", shape) == p)
            #expect(graph.input("q", shape) != p)
            #expect(graph.externals.map(\.name) == [Graph.stepName, "p", "q"])
            #expect(graph.externals.map(\.role) == [.input, .parameter, .input])
        }

        @Test func nodesKeepTheScopeTheyWereFirstRecordedIn() {
            let x = graph.input("x", shape)
            graph.scope("a") { graph.scope("b") { _ = apply(ReLU(), x) } }
            graph.scope("c") { _ = apply(Scale(2), apply(ReLU(), x)) }
            #expect(graph.nodes.map(\.label) == ["a/b", "c"])
        }
    }
}
