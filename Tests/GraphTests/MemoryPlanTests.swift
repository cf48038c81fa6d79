import AdaShareOperators
import AdaShareSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    @Suite struct MemoryPlanTests {
        /// A limit that one value of a random graph just fits under, so that plans need several chunks.
        private static let tightLimit = 20 * 48 * 4 + 256

        @Test(arguments: 0..<100) func valuesDoNotOverlapWhileTheyLive(seed: UInt64) throws {
            let graph = Graph.randomProbes(seed: seed, nodes: 60).lowered(for: .cpu)
            let schedule = Schedule(graph)
            for (alignment, limit) in [(512, 1 << 30), (512, Self.tightLimit), (1024, 8192), (64, 5000)] {
                let plan = try MemoryPlan(graph, schedule: schedule, alignment: alignment, chunkLimit: limit)
                let check = MemoryCheck(graph, schedule, alignment: alignment, limit: limit)
                #expect(check.faults(plan.placed, plan.scratch, plan.chunkBytes) == [])
                #expect(plan.peakLiveBytes == check.peak(plan.placed, plan.scratch))
                #expect(plan.peakLiveBytes <= plan.totalBytes)
                let sizes = plan.placed.values.map(\.byteCount) + plan.scratch.values.map(\.byteCount)
                #expect(plan.peakLiveBytes <= sizes.reduce(0, +))
            }
        }

        @Test func randomGraphsUseEveryFeature() throws {
            var (inPlace, workspaces, chunks, saved) = (0, 0, 0, 0)
            for seed in 0..<20 {
                let graph = Graph.randomProbes(seed: UInt64(seed), nodes: 60).lowered(for: .cpu)
                let schedule = Schedule(graph)
                let plan = try MemoryPlan(graph, schedule: schedule, chunkLimit: Self.tightLimit)
                inPlace += MemoryCheck(graph, schedule, alignment: 512, limit: Self.tightLimit).overwrites(plan.placed)
                workspaces += plan.scratch.count
                chunks += plan.chunkBytes.count
                if plan.totalBytes < plan.placed.values.reduce(0, { $0 + $1.byteCount }) * 2 / 3 { saved += 1 }
            }
            #expect(inPlace > 20 && workspaces > 100 && chunks > 40 && saved > 15)
        }

        @Test func theCheckFindsWrongPlans() throws {
            var found = [0, 0, 0, 0]
            for seed in 0..<20 {
                let graph = Graph.randomProbes(seed: UInt64(seed), nodes: 60).lowered(for: .cpu)
                let schedule = Schedule(graph)
                let plan = try MemoryPlan(graph, schedule: schedule, chunkLimit: 1 << 30)
                let check = MemoryCheck(graph, schedule, alignment: 512, limit: 1 << 30)
                let folded = plan.placed.mapValues { MemoryPlan.Place(chunk: 0, offset: 0, byteCount: $0.byteCount) }
                let shifted = plan.placed.mapValues {
                    MemoryPlan.Place(chunk: 0, offset: $0.offset + 64, byteCount: $0.byteCount)
                }
                let scratch = plan.scratch.mapValues {
                    MemoryPlan.Place(chunk: 0, offset: 0, byteCount: max($0.byteCount, plan.totalBytes))
                }
                if !check.faults(folded, plan.scratch, plan.chunkBytes).isEmpty { found[0] += 1 }
                if !check.faults(shifted, plan.scratch, plan.chunkBytes).isEmpty { found[1] += 1 }
                if !check.faults(plan.placed, scratch, plan.chunkBytes).isEmpty { found[2] += 1 }
                if !check.faults(plan.placed, plan.scratch, plan.chunkBytes.map { $0 - 512 }).isEmpty {
                    found[3] += 1
                }
            }
            #expect(found == [20, 20, 20, 20])
        }

        @Test func aChainOfReLUsUsesOnePlace() throws {
            let shape = Shape([10, 100])
            func total(_ operations: [any Operator]) throws -> Int {
                let graph = Graph()
                graph.output("y", operations.reduce(graph.input("x", shape)) { graph.record($1, [$0])[0] })
                return try MemoryPlan(graph).totalBytes
            }
            let size = roundUp(shape.byteCount, to: 512)
            #expect(try total([Scale(2), ReLU(), Scale(3), ReLU(), Scale(4), ReLU()]) == size)
            let copying = (0..<6).map { Probe(tag: $0, results: [shape]) }
            #expect(try total(copying) == 2 * size, "negative control: not in place, two places alternate")
        }

        @Test func anInputThatIsStillNeededIsNotOverwritten() throws {
            let graph = Graph()
            let x = graph.record(Scale(2), [graph.input("x", .scalar)])[0]
            let y = graph.record(ReLU(), [x])[0]
            graph.output("z", graph.record(ReLUGradient(), [x, y])[0])
            let plan = try MemoryPlan(graph)
            #expect(plan.placed[x.id] != plan.placed[y.id])
            #expect(plan.totalBytes == 1024)
        }

        @Test func anInputThatIsReadAgainByTheSameNodeIsNotOverwritten() throws {
            let graph = Graph()
            let x = graph.record(Scale(2), [graph.input("x", .scalar)])[0]
            let twice = graph.record(Sum(), [x, x])[0]
            let fivefold = graph.record(Sum(), Array(repeating: twice, count: 5))[0]
            graph.output("y", fivefold)
            let plan = try MemoryPlan(graph)
            #expect(plan.placed[twice.id] == plan.placed[x.id], "both inputs of the first sum may be overwritten")
            #expect(plan.placed[fivefold.id] != plan.placed[twice.id], "the fifth term is read after the first write")
        }

        @Test func namedOutputsOutliveEverything() throws {
            let graph = Graph()
            let x = graph.input("x", .scalar)
            let values = (0..<5).map { graph.record(Scale(Double($0)), [x])[0] }
            graph.output("first", values[0])
            graph.output("last", values[1...].reduce(values[0]) { graph.record(Sum(), [$0, $1])[0] })
            let plan = try MemoryPlan(graph)
            #expect(plan.placed.count { $0.value == plan.placed[values[0].id] } == 1)
        }

        @Test func aTensorLargerThanTheDeviceAllocatesIsNamed() throws {
            let graph = Graph()
            let x = graph.input("x", .scalar)
            graph.scope("stage") {
                graph.output("y", graph.scope("big") { graph.record(Probe(results: [Shape([100, 16])]), [x])[0] })
            }
            _ = try MemoryPlan(graph, alignment: 64, chunkLimit: 6400)
            let error = #expect(throws: InputError.self) {
                try MemoryPlan(graph, alignment: 64, chunkLimit: 6399)
            }
            let message = error?.description ?? ""
            #expect(message.contains("stage/big") && message.contains("6400") && message.contains("6336"), "\(message)")
        }

        @Test func aWorkspaceLargerThanTheDeviceAllocatesIsAnError() throws {
            let graph = Graph()
            graph.output("y", graph.record(Probe(workspace: 10_000), [graph.input("x", .scalar)])[0])
            #expect(throws: InputError.self) { try MemoryPlan(graph, chunkLimit: 8192) }
        }
    }
}
