import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite(.needsDevice) struct ExecutorTests {
        @Test(arguments: TestDevice.families) func randomGraphsAgreeWithAnInterpreter(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            var (updates, hoisted, outputs) = (0, 0, 0)
            for seed in 0..<40 as Range<UInt64> {
                let graph = Graph()
                ExactGraphs.record(seed: seed, nodes: 40, in: graph)
                let plan = try executor.makePlan(graph)
                var interpreter = Interpreter(state: ExactGraphs.state(seed: seed))
                try ExactGraphs.write(interpreter.state, to: executor.store)
                let found = try executor.results(plan)
                let expected = interpreter.run(graph)
                #expect(found.mapValues { $0.map(Double.init) } == expected, "seed \(seed)")
                for external in graph.externals where external.role == .parameter {
                    let stored = try executor.store.read(external.name).map(Double.init)
                    #expect(stored == interpreter.state[external.name], "\(external.name), seed \(seed)")
                }
                updates += graph.count(SGDUpdate.self)
                hoisted += plan.prologue.count
                outputs += expected.count
            }
            #expect(updates > 100 && hoisted > 20 && outputs > 200, "few of what should be compared")
        }

        @Test(arguments: TestDevice.families) func theComparisonSeesWrongPlans(family: KernelFamily) throws {
            var mismatches = 0
            for seed in 0..<10 as Range<UInt64> {
                let executor = try TestDevice.executor(family)
                let graph = Graph()
                ExactGraphs.record(seed: seed, nodes: 40, in: graph)
                let plan = try executor.makePlan(graph)
                var interpreter = Interpreter(state: ExactGraphs.state(seed: seed))
                try ExactGraphs.write(interpreter.state, to: executor.store)
                // Updates of this run come before the reads of the next one.
                try executor.run(plan)
                let found = try executor.results(plan)
                if found.mapValues({ $0.map(Double.init) }) != interpreter.run(graph) { mismatches += 1 }
            }
            #expect(mismatches >= 8)
        }

        @Test(arguments: TestDevice.families) func readsSeeTheValueOfTheirTime(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            let shape = Shape([3, 5])
            let plan = try executor.plan("updates") { graph in
                let (p, g) = (graph.parameter("p0", shape), graph.input("x0", shape))
                let flag = graph.input("flag", Shape([2], compact: true))
                for number in 0...2 {
                    graph.output("read\(number)", graph.record(Scale(2), [p])[0])
                    _ = graph.record(
                        SGDUpdate(rate: RateSlot(0), momentum: 0, weightDecay: 0),
                        [p, g, graph.parameter("p0.momentum", shape), graph.step, flag])
                }
                graph.output("p", p)
            }
            let state = ExactGraphs.state(seed: 3)
            try ExactGraphs.write(state, to: executor.store)
            let found = try executor.results(plan)
            func expected(_ updates: Double, _ factor: Double) -> [Float] {
                zip(state["p0"]!, state["x0"]!).map { Float(factor * ($0 - updates * ExactGraphs.rate * $1)) }
            }
            for number in 0...2 { #expect(found["read\(number)"] == expected(Double(number), 2)) }
            #expect(found["p"] == expected(3, 1))
            #expect(expected(1, 2) != expected(2, 2), "negative control")
        }

        @Test(arguments: TestDevice.families) func longSumsOfOneValueAreWhole(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            let plan = try executor.plan("sum") { graph in
                let x = graph.record(Scale(2), [graph.input("x0", Shape([3, 5]))])[0]
                graph.output("y", graph.record(Sum(), Array(repeating: x, count: 9))[0])
            }
            let state = ExactGraphs.state(seed: 4)
            try ExactGraphs.write(state, to: executor.store)
            #expect(try executor.results(plan)["y"] == state["x0"]!.map { Float(18 * $0) })
        }

        @Test(arguments: TestDevice.families) func trainingTwiceGivesTheSameBits(family: KernelFamily) throws {
            func train(_ executor: Executor, seed: UInt64, steps: Int = 4) throws -> [String: [UInt32]] {
                let plan = try executor.plan("training", trace: SmallNetwork.recordTraining)
                try SmallNetwork.write(SmallNetwork.state(seed: seed), to: executor.store)
                var losses: [Float] = []
                for _ in 0..<steps { losses += try executor.results(plan)["loss"]! }
                #expect(losses.allSatisfy(\.isFinite) && losses.last! < losses[0], "it learns: \(losses)")
                var bits = ["losses": losses.map(\.bitPattern)]
                let names =
                    SmallNetwork.parameters.flatMap { [$0.name, $0.name + ".momentum"] } + SmallNetwork.statistics
                for name in names { bits[name] = try executor.store.read(name).map(\.bitPattern) }
                #expect(try executor.store.readIntegers("tracked1") == [Int32(steps)])
                return bits
            }
            let executor = try TestDevice.executor(family)
            let first = try train(executor, seed: 1)
            #expect(try train(executor, seed: 1) == first)
            // Another plan leaves its values in the arena; a new executor has another arena.
            _ = try executor.results(executor.plan("gradients", trace: SmallNetwork.recordGradients))
            #expect(try train(executor, seed: 1) == first)
            #expect(try train(TestDevice.executor(family), seed: 1) == first)
            #expect(try train(executor, seed: 2) != first, "negative control")
        }

        @Test func launchesCarryTheScopeTheyWereRecordedIn() throws {
            let executor = try TestDevice.executor(.cpu)
            let plan = try executor.plan("scopes") { graph in
                let x = graph.input("x0", Shape([3, 5]))
                graph.output("y", graph.scope("stage") { graph.scope("relu") { graph.record(ReLU(), [x])[0] } })
            }
            #expect(try plan.launches.map(\.site.label) == ["stage/relu"])
            #expect(executor.shape("y", of: plan) == Shape([3, 5]) && executor.shape("z", of: plan) == nil)
        }

        /// Planning gives no launch its memory. A plan whose binding stopped half-way goes on where it stopped, and one
        /// that goes in that state, or has never run, leaves kernels to others that are theirs.
        @Test(arguments: TestDevice.families) func launchesGetMemoryAsTheyAreEnqueued(family: KernelFamily) throws {
            struct Stop: Error {}
            let executor = try TestDevice.executor(family)
            let shape = Shape([3, 5])
            try executor.store.write("x", shape, [Float](repeating: 1, count: shape.count))
            let factors = [2.0, 3, 5]
            func plan() throws -> Plan {
                let graph = Graph()
                var value = graph.input("x", shape)
                for factor in factors { value = graph.record(Scale(factor), [value])[0] }
                graph.output("y", value)
                return try executor.makePlan(graph)
            }
            func bindTwo(_ plan: Plan) throws {
                var bound = 0
                #expect(throws: Stop.self) {
                    try plan.bindRest { _ in
                        bound += 1
                        if bound == 2 { throw Stop() }
                    }
                }
                #expect(bound == 2, "nothing was bound before")
            }
            try bindTwo(try plan())
            _ = try plan()
            let last = try plan()
            try bindTwo(last)
            for _ in 0..<2 {
                #expect(try executor.results(last)["y"] == [Float](repeating: 30, count: shape.count))
            }
            var more = 0
            try last.bindRest { _ in more += 1 }
            #expect(more == 0 && last.launchCount == factors.count)
            #expect(try last.launches.count == factors.count)
        }

        @Test(arguments: TestDevice.families) func kernelsOfAPlanThatHasGoneServeTheNext(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family)
            let shape = Shape([3, 5])
            func plan(_ name: String) throws -> Plan {
                let graph = Graph()
                graph.output("y", graph.record(Scale(2), [graph.input(name, shape)])[0])
                return try executor.makePlan(graph)
            }
            for (name, value) in [("a", Float(1)), ("b", 10), ("c", 100)] {
                try executor.store.write(name, shape, [Float](repeating: value, count: shape.count))
            }
            func identity(_ plan: Plan) throws -> ObjectIdentifier { ObjectIdentifier(try plan.launches[0]) }

            var first: Plan? = try plan("a")
            let second = try plan("b")
            let identities = [try identity(first!), try identity(second)]
            #expect(identities[0] != identities[1], "plans that exist together share no kernel")
            #expect(try executor.results(second)["y"] == Array(repeating: 20, count: shape.count))
            #expect(try executor.results(first!)["y"] == Array(repeating: 2, count: shape.count))
            first = nil
            let third = try plan("c")
            #expect(try identity(third) == identities[0])
            #expect(try executor.results(third)["y"] == Array(repeating: 200, count: shape.count))
            #expect(try executor.results(second)["y"] == Array(repeating: 20, count: shape.count))
        }
    }
}
