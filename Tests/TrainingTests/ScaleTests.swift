import AdaShareGraph
import AdaShareOperators
import AdaShareRanks
import AdaShareTasks
import Testing

@testable import AdaShareBenchmarks
@testable import AdaShareTraining

extension TrainingTests {
    /// What several processes exchange, and what that is expected to take.
    @Suite struct ScaleTests {
        private let model = ScaleModel(
            computedMs: 100, restMs: 10,
            exchanges: [
                .init(byteCount: 1000, readyMs: 40, isGathered: true),
                .init(byteCount: 80_000, readyMs: 90, isGathered: false),
            ],
            link: .init(
                transferMs: 1, messageMs: 0.5, bytesPerMs: 4000, stagingBytesPerMs: 10_000, processesPerHost: 1))

        @Test func aModelIsItsFormula() {
            #expect(model.step(processes: 1).ms == 110 && model.step(processes: 1).exposedMs == 0)
            // From 90: staging 16, two transfers of 1.5, half of 80000 bytes there and back at 4000.
            #expect(abs(model.step(processes: 2).exposedMs - 29) < 1e-9)
            #expect(abs(model.efficiency(processes: 2) - 110 / 139) < 1e-9)
            // Two hosts of two: a quarter of the bytes goes to a neighbour, half to the other host, at half the speed.
            let hosts = model.scaled(
                computedMs: nil,
                link: .init(
                    transferMs: 1, messageMs: 0.5, bytesPerMs: 4000, stagingBytesPerMs: 10_000, processesPerHost: 2))
            let travel: Double = 2 * (2 + 20)
            #expect(abs(hosts.step(processes: 4).exposedMs - (11 + travel)) < 1e-9)
            // An exchange that comes late has the next one wait.
            let slow = model.scaled(
                computedMs: nil,
                link: .init(
                    transferMs: 60, messageMs: 0.5, bytesPerMs: 4000, stagingBytesPerMs: 10_000))
            let late: Double = 40 + 60 + 2 * 60 + 16 + 20 - 100
            #expect(slow.step(processes: 2).exposedMs > late)
            #expect(model.bytesSent(processes: 4) == 123_000)
            #expect(model.isSound && !model.scaled(computedMs: 0, link: nil).isSound)
        }

        @Test func whatIsScoredTravelsWhole() throws {
            let scored = Scored.predicted([
                "a": Prediction(height: 1, width: 2, channels: 1, values: [1, -0.0]),
                "depth": Prediction(height: 1, width: 1, channels: 3, values: [.infinity, 2, 3]),
            ])
            let bytes = scored.bytes
            #expect(try Scored(bytes: bytes) == scored)
            let reason = Scored.unreadable("a.png: found nothing")
            #expect(try Scored(bytes: reason.bytes) == reason)
            // Cut anywhere but between two tasks, or with sizes that are none, it is nothing.
            let whole = [1, 1 + 8 + 1 + 32 + 8]
            for count in bytes.indices where !whole.contains(count) {
                #expect(throws: RankError.self, "\(count)") { try Scored(bytes: Array(bytes[..<count])) }
            }
            for place in 10..<42 {
                var other = bytes
                other[place] = 0xff
                #expect(throws: RankError.self, "\(place)") { try Scored(bytes: other) }
            }
        }

        /// What an exchange may change is nobody else's.
        @Test func whatIsReadIsHandedOverAsACopy() {
            let graph = Graph()
            let outside = graph.input("x", Shape([4]))
            let own = graph.record(Scale(2), [outside])[0]
            let read = graph.record(Scale(3), [outside])[0]
            _ = graph.record(Scale(4), [read])
            let shown = graph.record(Scale(5), [outside])[0]
            graph.output("shown", shown)
            let given = graph.handedOver([outside, own, read, shown])
            #expect(given[1].id == own.id)
            for (value, copy) in zip([outside, read, shown], [given[0], given[2], given[3]]) {
                #expect(value.id != copy.id)
            }
            #expect(Set(given.map(\.id)).count == 4)
        }
    }
}
