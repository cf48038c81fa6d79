import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph

extension GraphTests {
    /// What plans leave behind: results of the last one alone, and no inputs of those that have gone.
    @Suite(.needsDevice) struct PlanLifeTests {
        /// Plans y = 2 · x of `rows` rows.
        private static func plan(_ rows: Int, in executor: Executor) throws -> Plan {
            try executor.plan(rows) { graph in
                graph.output("y", graph.record(Scale(2), [graph.input("x\(rows)", Shape([rows, 3]))])[0])
            }
        }

        /// Runs a plan of two rows, perhaps another of three, and reads the first one's output.
        private static func readAfter(another: Bool) throws {
            let executor = try TestDevice.executor(.cpu)
            let (larger, first) = (try plan(3, in: executor), try plan(2, in: executor))
            try executor.run(larger)
            try executor.run(first)
            if another { try executor.run(larger) }
            _ = try executor.read("y", of: first)
        }

        @Test func aLateReadTraps() async {
            await #expect(processExitsWith: .success) { try Self.readAfter(another: false) }
            await #expect(processExitsWith: .failure) { try Self.readAfter(another: true) }
            await #expect(processExitsWith: .failure) {
                let executor = try TestDevice.executor(.cpu)
                _ = try executor.read("y", of: Self.plan(2, in: executor))
            }
        }

        @Test func theLastPlanIsNotKeptAlive() throws {
            let executor = try TestDevice.executor(.cpu)
            weak var plan: Plan?
            do {
                let made = try Self.plan(2, in: executor)
                try executor.run(made)
                plan = made
            }
            #expect(plan != nil, "negative control: the cache holds it")
            executor.reset()
            #expect(plan == nil)
        }

        @Test func outputNamesAreUnique() async {
            func record(_ names: [String]) {
                let graph = Graph()
                for name in names { graph.output(name, graph.input("x", .scalar)) }
            }
            record(["loss/a", "loss/b"])
            await #expect(processExitsWith: .failure) {
                let graph = Graph()
                for _ in 0..<2 { graph.output("loss/a", graph.input("x", .scalar)) }
            }
        }

        /// Images of growing size make the arena grow, which drops every plan before it.
        @Test func growingImagesLeaveNoInputsBehind() throws {
            let executor = try TestDevice.executor(.cpu)
            for rows in stride(from: 200, through: 2000, by: 200) {
                let plan = try Self.plan(rows, in: executor)
                let values = (0..<rows * 3).map { Float($0) }
                try executor.store.write("x\(rows)", Shape([rows, 3]), values)
                #expect(try executor.results(plan)["y"] == values.map { 2 * $0 })
                #expect(executor.store.names.filter { $0.hasPrefix("x") } == ["x\(rows)"])
            }
            // Without growth both stay.
            _ = try Self.plan(100, in: executor)
            #expect(executor.store.names.filter { $0.hasPrefix("x") } == ["x100", "x2000"], "negative control")
            executor.reset()
            #expect(executor.store.names.filter { $0.hasPrefix("x") } == [])
        }

        /// An input that the growing plan reads too keeps what was written to it.
        @Test func sharedInputsStay() throws {
            let executor = try TestDevice.executor(.cpu)
            try executor.store.write("x2", Shape([2, 3]), [Float](repeating: 5, count: 6))
            _ = try Self.plan(2, in: executor)
            let before = executor.arenaBytes
            let plan = try executor.plan("both") { graph in
                graph.output("y", graph.record(Scale(3), [graph.input("x2", Shape([2, 3]))])[0])
                graph.output("z", graph.record(Scale(2), [graph.input("x900", Shape([900, 3]))])[0])
            }
            #expect(executor.arenaBytes > before, "it grew")
            #expect(try executor.results(plan)["y"] == [Float](repeating: 15, count: 6))
        }

        /// A tensor that was removed and made again is not taken for what it was.
        @Test func versionsAreNeverUsedTwice() throws {
            let store = try TestDevice.executor(.cpu).store
            let shape = Shape([1, 3])
            var versions: [Int] = [store.version("x")]
            for value in [Float(1), 2] {
                try store.write("x", shape, [Float](repeating: value, count: 3))
                versions.append(store.version("x"))
                try store.write("other", shape, [Float](repeating: value, count: 3))
                #expect(store.version("x") == versions.last, "another tensor's change")
                store.remove("x")
            }
            #expect(Set(versions).count == 3 && versions[0] == 0)
        }
    }
}
