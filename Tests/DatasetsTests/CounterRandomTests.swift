import AdaShareSupport
import Testing

@testable import AdaShareDatasets

@Suite struct CounterRandomTests {
    @Test func streamsDependOnEveryKey() {
        func first(_ stream: CounterRandom) -> UInt64 {
            var stream = stream
            return stream.next()
        }
        let values = [
            first(CounterRandom(seed: 1)), first(CounterRandom(seed: 2)), first(CounterRandom(seed: 1, 0)),
            first(CounterRandom(seed: 1, 1)), first(CounterRandom(seed: 1, 1, 2)), first(CounterRandom(seed: 1, 2, 1)),
            first(CounterRandom(seed: 1, name: "a")), first(CounterRandom(seed: 1, name: "b")),
            first(CounterRandom(seed: 1, name: "a", 1)),
        ]
        #expect(Set(values).count == values.count)
        #expect(first(CounterRandom(seed: 1, name: "a", 1)) == values[8])
    }

    /// SplitMix64's finaliser against the first output of the published generator for state 0.
    @Test func finaliser() {
        #expect(CounterRandom.mix(0x9E37_79B9_7F4A_7C15) == 0xE220_A839_7B1D_CDAF)
    }

    @Test func drawsAreUniform() {
        var random = CounterRandom(seed: 9)
        var counts = [Int](repeating: 0, count: 7)
        var sum = 0.0
        for _ in 0..<70_000 {
            counts[random.integer(below: 7)] += 1
            sum += random.uniform()
        }
        #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
        #expect(abs(sum / 70_000 - 0.5) < 0.01)
        #expect((0..<1000).allSatisfy { _ in (2.0...3.0).contains(random.uniform(2...3)) })
        #expect(Set(random.permutation(100)) == Set(0..<100))
        #expect(random.permutation(0) == [] && random.permutation(1) == [0])
    }
}
