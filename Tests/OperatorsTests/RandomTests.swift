import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    @Suite struct RandomTests {
        static let state: StepState = {
            var state = StepState()
            (state.step, state.seed, state.phase) = (7, 0x1234_5678_9ABC_DEF0, 2)
            return state
        }()

        /// Which elements of a stored tensor dropout keeps, from the reference generator and the published formula.
        static func mask(storedCount: Int, probability: Double, name: String, state: StepState) -> [Bool] {
            let key = state.seed ^ Philox.nameHash(name)
            let halves = [UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)]
            return (0..<storedCount).map { e in
                let counter = [UInt32(e / 64 * 16 + e % 16), state.step, state.phase, 0]
                let word = Reference.philox4x32(counter: counter, key: halves)[e / 16 % 4]
                return Float(Reference.uniform(bits: word)) >= Float(probability)
            }
        }

        /// FNV-1a's published values: names must hash alike in every version of this project.
        @Test func nameHashIsStable() {
            #expect(Philox.nameHash("") == 0xcbf2_9ce4_8422_2325)
            #expect(Philox.nameHash("a") == 0xaf63_dc4c_8601_ec8c)
            #expect(Philox.nameHash("foobar") == 0x8594_4171_f739_67e8)
        }

        @Test(arguments: TestDevice.families, [1, 2, 4, 8, 33])
        func noiseEqualsTheHosts(family: KernelFamily, columns: Int) throws {
            let trial = try Trial(family)
            trial.state = Self.state
            trial.apply("u", UniformNoise(rows: 33, columns: columns, name: "task/gate"), trial.graph.step)
            let results = try trial.runTwice()
            results.expectCleanPads("u")
            let host = Philox.uniforms(rows: 33, columns: columns, name: "task/gate", state: Self.state)
            #expect(try results.values("u") == host)
            #expect(host.allSatisfy { $0 > 0 && $0 < 1 })
            #expect(
                try results.values("u") != Philox.uniforms(rows: 33, columns: columns, name: "x", state: Self.state))
        }

        /// Images begin inside a group of 64 elements, and end where the memory of their values does.
        @Test(arguments: TestDevice.families, [[3, 19], [7, 16]])
        func partsOfABatchHaveItsNoise(family: KernelFamily, each: [Int]) throws {
            let (images, pixels, channels) = (4, each[0], each[1])
            let stored = pixels * Shape([1, 1, 1, channels]).storedChannels
            let x = Tensor.random(shape: [images, 1, pixels, channels], seed: 1).map { abs($0) + 0.1 }
            let trial = try Trial(family)
            trial.state = Self.state
            func drop(_ name: String, _ values: [Double], before: Int) throws {
                let count = values.count / (pixels * channels)
                let part = Tensor(shape: [count, 1, pixels, channels], values: values)
                trial.apply(
                    name, ReLUDropout(probability: 0.5, name: "head", before: before),
                    try trial.input("x\(name)", part),
                    trial.graph.step)
            }
            try drop("whole", x.values, before: 0)
            for image in 0..<images {
                let each = pixels * channels
                try drop("\(image)", Array(x.values[image * each..<(image + 1) * each]), before: image * stored)
            }
            trial.apply("rows", UniformNoise(rows: images, columns: 5, name: "gate"), trial.graph.step)
            trial.apply("last", UniformNoise(rows: 1, columns: 5, name: "gate", firstRow: images - 1), trial.graph.step)
            let results = try trial.runTwice()
            let parts = try (0..<images).map { try results.values("\($0)") }
            #expect(try parts.flatMap(\.self) == results.values("whole"))
            // Negative control: each has its own.
            #expect(Set(parts.map { $0.map { $0 == 0 } }).count == images)
            #expect(try results.values("last") == Array(results.values("rows").suffix(5)))
            for image in 0..<images { results.expectCleanPads("\(image)") }
        }

        /// Shapes end inside, at and beyond a group of 64 elements; the families agree because both equal the formula.
        @Test(arguments: TestDevice.families, [[3, 19], [1, 1, 1, 16], [2, 5, 7, 19], [1, 4, 64]])
        func dropoutFollowsTheFormula(family: KernelFamily, shape: [Int]) throws {
            for probability in [0.5, 0.3, 0] {
                let x = Tensor.awayFromZero(shape: shape, seed: 1)
                let dy = Tensor.awayFromZero(shape: shape, seed: 2)
                let trial = try Trial(family)
                trial.state = Self.state
                let input = try trial.input("x", x)
                let y = trial.graph.record(
                    ReLUDropout(probability: probability, name: "head"), [input, trial.graph.step])[0]
                trial.graph.output("y", y)
                trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
                let results = try trial.runTwice()
                let layout = Shape(shape)
                let kept = layout.unpadded(
                    Self.mask(
                        storedCount: layout.storedCount, probability: probability, name: "head", state: Self.state))
                let passes = zip(kept, x.values).map { $0 && $1 > 0 }
                #expect(try results.values("y").map { $0 != 0 } == passes)
                #expect(try results.values("dx").map { $0 != 0 } == passes)
                let mask = Tensor(shape: shape, values: passes.map { $0 ? 1 : 0 })
                try results.expect(
                    "y", Reference.dropout(x, mask: mask, probability: probability), tolerance: 1e-6)
                try results.expect(
                    "dx", Reference.dropout(dy, mask: mask, probability: probability), tolerance: 1e-6)
            }
        }

        @Test(arguments: TestDevice.families)
        func dropoutKeepsTheRightShare(family: KernelFamily) throws {
            let x = Tensor.filled(shape: [1, 64, 64, 16], with: 1)
            for probability in [0.5, 0.2] {
                let trial = try Trial(family)
                trial.state = Self.state
                let dropout = ReLUDropout(probability: probability, name: "share")
                trial.apply("y", dropout, try trial.input("x", x), trial.graph.step)
                let values = try trial.run().values("y")
                let share = Double(values.filter { $0 != 0 }.count) / Double(values.count)
                // Five standard deviations of a binomial share.
                let spread = 5 * (probability * (1 - probability) / Double(values.count)).squareRoot()
                #expect(abs(share - (1 - probability)) < spread)
            }
        }

        /// Negative control of the exact comparison: another name, step, phase or seed gives another mask.
        @Test(arguments: TestDevice.families)
        func everyKeyMatters(family: KernelFamily) throws {
            func kept(_ name: String, _ state: StepState) throws -> [Bool] {
                let trial = try Trial(family)
                trial.state = state
                let x = try trial.input("x", .filled(shape: [40, 16], with: 1))
                trial.apply("y", ReLUDropout(probability: 0.5, name: name), x, trial.graph.step)
                return try trial.run().values("y").map { $0 != 0 }
            }
            var states = [Self.state, Self.state, Self.state, Self.state]
            states[1].step += 1
            states[2].phase += 1
            states[3].seed ^= 1 << 40
            var masks = try states.map { try kept("a", $0) }
            masks.append(try kept("b", Self.state))
            #expect(Set(masks).count == masks.count)
            #expect(try kept("a", Self.state) == masks[0])
        }
    }
}
