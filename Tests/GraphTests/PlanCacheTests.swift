import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite(.needsDevice) struct PlanCacheTests {
        private struct Refusal: Error {}

        /// Plans y = factor · x of `rows` rows under `key`; returns whether the graph was recorded again.
        private func plan(
            _ key: some Hashable, rows: Int = 1, factor: Double = 2, in executor: Executor
        ) throws -> (plan: Plan, isNew: Bool) {
            var isNew = false
            let plan = try executor.plan(key) { graph in
                isNew = true
                let scaled = graph.record(Scale(factor), [graph.input("x\(rows)", Shape([rows, 3]))])[0]
                graph.output("y", scaled)
            }
            return (plan, isNew)
        }

        @Test func aKeyIsPlannedOnce() throws {
            let executor = try TestDevice.executor(.cpu)
            let first = try plan("a", in: executor)
            let again = try plan("a", in: executor)
            #expect(first.isNew && !again.isNew && first.plan === again.plan)
            #expect(try plan("b", in: executor).plan !== first.plan)
            #expect(try plan(1, in: executor).isNew && plan("1", in: executor).isNew, "keys of different types")
        }

        @Test func theLeastRecentlyUsedPlanGoesFirst() throws {
            let executor = try TestDevice.executor(.cpu, capacity: 2)
            _ = try plan("a", in: executor)
            _ = try plan("b", in: executor)
            _ = try plan("a", in: executor)
            _ = try plan("c", in: executor)
            #expect(try !plan("a", in: executor).isNew, "used after b")
            #expect(try plan("b", in: executor).isNew, "dropped for c")
            #expect(try plan("c", in: executor).isNew, "dropped for b")
            #expect(try !plan("b", in: executor).isNew)
        }

        @Test func failedPlansTakeNoRoomInTheCache() throws {
            let executor = try TestDevice.executor(.cpu, capacity: 2)
            for key in 0..<5 {
                #expect(throws: Refusal.self) { try executor.plan(key) { _ in throw Refusal() } }
            }
            for key in ["a", "b", "c", "d"] { _ = try plan(key, in: executor) }
            #expect(try !plan("c", in: executor).isNew && !plan("d", in: executor).isNew)
            #expect(try plan("a", in: executor).isNew, "the cache holds two")

            #expect(throws: Refusal.self) { try executor.plan("e") { _ in throw Refusal() } }
            #expect(try !plan("d", in: executor).isNew && !plan("a", in: executor).isNew)
        }

        @Test func aGrowingArenaInvalidatesPlans() throws {
            let executor = try TestDevice.executor(.cpu)
            try executor.store.write("x1", Shape([1, 3]), [Float(1), 2, 3])
            let small = try plan("small", in: executor)
            #expect(executor.arenaBytes == small.plan.arenaBytes)
            let large = try plan("large", rows: 1000, in: executor)
            #expect(executor.arenaBytes == large.plan.arenaBytes && executor.arenaBytes > small.plan.arenaBytes)

            let again = try plan("small", in: executor)
            #expect(again.isNew && again.plan !== small.plan)
            #expect(executor.arenaBytes == large.plan.arenaBytes, "it does not shrink")
            let kept = try plan("large", rows: 1000, in: executor)
            #expect(!kept.isNew && kept.plan === large.plan, "the plan it grew for stays")
            let middle = try plan("middle", rows: 500, in: executor)
            #expect(try middle.isNew && !plan("small", in: executor).isNew, "no growth, no loss")
            #expect(
                try executor.results(small.plan) == ["y": [2, 4, 6]], "whoever still holds the old plan may run it")
            // Its inputs went with it; the next batch writes those of the new plan.
            try executor.store.write("x1", Shape([1, 3]), [Float(3), 2, 1])
            #expect(try executor.results(again.plan) == ["y": [6, 4, 2]])
        }

        @Test func resetForgetsPlans() throws {
            let executor = try TestDevice.executor(.cpu)
            _ = try plan("a", in: executor)
            executor.reset()
            #expect(try plan("a", in: executor).isNew)
        }

        /// Image sizes without end: what is kept of them is bounded.
        @Test func aThousandEvictionsLeaveNothingBehind() throws {
            let executor = try TestDevice.executor(.cpu, capacity: 4)
            var largest = (bytes: 0, encodings: 0)
            let end = 2500
            for rows in stride(from: end, to: 0, by: -1) {
                _ = try plan(rows, rows: rows, in: executor)
                if rows == end - 10 { largest.bytes = executor.byteCount }
                largest.encodings = max(largest.encodings, executor.encodingCount)
            }
            #expect(executor.byteCount <= largest.bytes, "the first plans are the largest")
            #expect(executor.store.names.count { $0.hasPrefix("x") } == 4)
            #expect(largest.encodings == 1 << 8, "2500 operators have one each")
        }

        /// Plans of one arena, run in turns, with growth between and parameters that some of them train.
        @Test(arguments: TestDevice.families) func alternatingPlansLeaveEachOtherAlone(family: KernelFamily) throws {
            let executor = try TestDevice.executor(family, capacity: 4)
            let state = ExactGraphs.state(seed: 7)
            try ExactGraphs.write(state, to: executor.store)
            var random = SeededGenerator(seed: 1)
            var different = Set<[String: [Float]]>()
            for _ in 0..<40 {
                let seed = UInt64.random(in: 0..<8, using: &random)
                // Later seeds are longer graphs, so the arena grows along the way.
                let trace = { (graph: Graph) in ExactGraphs.record(seed: seed, nodes: 10 + 8 * Int(seed), in: graph) }
                let plan = try executor.plan(seed, trace: trace)
                try ExactGraphs.write(state, to: executor.store, onlyChanging: true)
                let found = try executor.results(plan)
                let graph = Graph()
                trace(graph)
                var interpreter = Interpreter(state: state)
                let expected = interpreter.run(graph)
                #expect(found.mapValues { $0.map(Double.init) } == expected, "seed \(seed)")
                different.insert(found)
            }
            #expect(different.count == 8)
        }
    }
}
