import Foundation
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// One form of a policy regulariser.
struct SparsityCase: Hashable, Sendable, CustomTestStringConvertible {
    let form: RegulariserForm
    let first: Int
    var layered = false

    var testDescription: String { "\(form) from block \(first)" + (layered ? " layered" : "") }

    static let all: [SparsityCase] = [
        .init(form: .paper, first: 0), .init(form: .paper, first: 11), .init(form: .published, first: 0),
        .init(form: .published, first: 5), .init(form: .published, first: 0, layered: true),
        .init(form: .published, first: 15, layered: true),
    ]
}

extension OperatorsTests {
    @Suite struct PolicyTests {
        static let blocks = 16

        /// Logits from nearly equal to very sure.
        static func logits(seed: UInt64) -> Tensor {
            var z = Tensor.random(shape: [blocks, 2], seed: seed, scale: 3)
            (z[0, 0], z[0, 1]) = (0.5, 0.5)
            (z[1, 0], z[1, 1]) = (20, -20)
            (z[2, 0], z[2, 1]) = (-9, 9)
            return z
        }

        @Test(arguments: TestDevice.families, [5, 0.5])
        func gatesAndTheirGradient(family: KernelFamily, temperature: Double) throws {
            let z = Self.logits(seed: 1)
            let u = Tensor.randomUniforms(shape: z.shape, seed: 2)
            let dv = Tensor.random(shape: z.shape, seed: 3)
            for straightThrough in [false, true] {
                let trial = try Trial(family)
                trial.state.temperature = Float(temperature)
                let logits = try trial.parameter("z", z)
                let inputs = [logits, try trial.input("u", u), trial.graph.step]
                let outputs = trial.graph.record(GumbelSoftmax(straightThrough: straightThrough), inputs)
                trial.graph.output("v", outputs[0])
                trial.graph.output("soft", outputs[1])
                trial.gradients(of: outputs[0], along: try trial.input("dv", dv), for: ["dz": logits])
                let results = try trial.runTwice()
                let sample = Reference.gumbelSoftmax(
                    logits: z, uniforms: u, temperature: temperature, straightThrough: straightThrough)
                try results.expect("v", sample.v)
                try results.expect("soft", sample.soft)
                try results.expect("dz", sample.gradient(dv: dv))
                if straightThrough { #expect(try results.values("v").allSatisfy { $0 == 0 || $0 == 1 }) }
                // Negative control: another temperature must not pass.
                let other = Reference.gumbelSoftmax(logits: z, uniforms: u, temperature: temperature * 0.965)
                #expect(try results.error("soft", other.soft) > 1e-3)
                #expect(try results.error("dz", other.gradient(dv: dv)) > 1e-3)
            }
        }

        /// The rarest draws: the smallest and largest uniform of 23 bits must give finite gates.
        @Test(arguments: TestDevice.families)
        func extremeUniformsStayFinite(family: KernelFamily) throws {
            let (low, high) = (Reference.uniform(bits: 0), Reference.uniform(bits: .max))
            let u = Tensor(shape: [4, 2], values: [low, high, high, low, low, low, high, high])
            let z = Tensor.filled(shape: [4, 2], with: 0.5)
            let trial = try Trial(family)
            trial.state.temperature = 0.5
            let (logits, uniforms) = (try trial.parameter("z", z), try trial.input("u", u))
            trial.apply("v", GumbelSoftmax(straightThrough: false), logits, uniforms, trial.graph.step)
            let sample = Reference.gumbelSoftmax(logits: z, uniforms: u, temperature: 0.5)
            try trial.runTwice().expect("v", sample.v)
        }

        @Test(arguments: TestDevice.families, SparsityCase.all)
        func sparsityAndItsGradient(family: KernelFamily, a: SparsityCase) throws {
            let z = Self.logits(seed: 4)
            let trial = try Trial(family)
            let logits = try trial.parameter("z", z)
            let loss = trial.apply("loss", SparsityLoss(form: a.form, first: a.first, layered: a.layered), logits)
            let total = trial.apply("total", WeightedSum([0.05]), loss)
            trial.keepGradients(of: total, for: ["dz": logits])
            let results = try trial.runTwice()
            func reference(_ first: Int) -> (loss: Double, gradient: Tensor) {
                Reference.sparsity(
                    logits: z, open: first..<Self.blocks, form: a.form == .paper ? .paper : .published,
                    perLayerWeights: a.layered)
            }
            let expected = reference(a.first)
            try results.expect("loss", .scalar(expected.loss))
            try results.expect("total", .scalar(0.05 * expected.loss))
            try results.expect("dz", expected.gradient.map { 0.05 * $0 })
            // Negative control: one block more or less must not pass.
            let other = reference(a.first == 0 ? 1 : a.first - 1)
            #expect(try results.error("dz", other.gradient.map { 0.05 * $0 }) > 1e-3)
        }

        @Test(arguments: TestDevice.families, [RegulariserForm.paper, .published])
        func sharingAndItsGradients(family: KernelFamily, form: RegulariserForm) throws {
            var tasks = [Self.logits(seed: 5), Self.logits(seed: 6), Self.logits(seed: 7)]
            // A block on which two tasks agree exactly pulls neither way.
            for column in 0..<2 { tasks[1][9, column] = tasks[0][9, column] }
            let trial = try Trial(family)
            let logits = try tasks.enumerated().map { try trial.parameter("z\($0.offset)", $0.element) }
            let pairs = [(0, 1), (0, 2), (1, 2)].map {
                trial.graph.record(SharingLoss(form: form), [logits[$0.0], logits[$0.1]])[0]
            }
            let total = trial.apply("total", WeightedSum([0.05, 0.05, 0.05]), pairs[0], pairs[1], pairs[2])
            trial.keepGradients(of: total, for: ["dz0": logits[0], "dz1": logits[1], "dz2": logits[2]])
            let results = try trial.runTwice()
            func reference(_ form: RegulariserForm) -> (loss: Double, gradient: Tensor) {
                let stacked = Tensor(shape: [3, Self.blocks, 2], values: tasks.flatMap(\.values))
                return Reference.sharing(logits: stacked, form: form == .paper ? .paper : .published)
            }
            let expected = reference(form)
            try results.expect("total", .scalar(0.05 * expected.loss))
            for task in 0..<3 {
                let rows = expected.gradient.values[task * Self.blocks * 2..<(task + 1) * Self.blocks * 2]
                let gradient = Tensor(shape: [Self.blocks, 2], values: rows.map { 0.05 * $0 })
                try results.expect("dz\(task)", gradient)
                #expect(try results.error("dz\(task)", gradient.map { -$0 }) > 0.1)
            }
            let other = reference(form == .paper ? .published : .paper)
            #expect(try results.error("total", .scalar(0.05 * other.loss)) > 0.01)
        }

        /// What every joint decision costs, as a share: bit `task * blocks + block` says that a task selects a block.
        private static func jointCosts(
            _ costs: [Double], _ form: CostForm, images: [Int]
        ) -> [Double] {
            let (tasks, blocks) = (images.count, costs.count)
            return (0..<(1 << (tasks * blocks))).map { bits in
                let rows = (0..<tasks).map { bits >> ($0 * blocks) & (1 << blocks - 1) }
                let cost = (0..<blocks).reduce(0.0) { cost, block in
                    // A path is known by its image and what it has done below.
                    let paths = zip(rows, images).filter { $0.0 >> block & 1 == 1 }.map {
                        $0.1 << blocks | $0.0 & (1 << block - 1)
                    }
                    return cost + costs[block] * Double(form == .passes ? paths.count : Set(paths).count)
                }
                return cost / Double(form == .passes ? tasks : Set(images).count)
            }
        }

        /// E, enumerated: the sum over all joint decisions of their probability times what they cost.
        private static func enumerated(_ alphas: [[Double]], _ joint: [Double]) -> Double {
            let alphas = alphas.flatMap { $0 }
            return joint.indices.reduce(0) { sum, bits in
                var probability = 1.0
                for (bit, alpha) in alphas.enumerated() { probability *= bits >> bit & 1 == 1 ? alpha : 1 - alpha }
                return sum + probability * joint[bits]
            }
        }

        @Test(arguments: TestDevice.families, CostForm.allCases)
        func expectedCostAndItsGradients(family: KernelFamily, form: CostForm) throws {
            try checkExpectedCost(family, form, images: [0, 0, 0], unlike: nil)
        }

        /// Tasks of different images have nothing in common, whatever they decide.
        @Test(arguments: TestDevice.families, [[0, 1, 0], [0, 1, 2]])
        func expectedCostOfSeparateImages(family: KernelFamily, images: [Int]) throws {
            try checkExpectedCost(family, .shared, images: images, unlike: [0, 0, 0])
        }

        /// - Parameter unlike: images under which the cost must be another one; nil for another form instead.
        private func checkExpectedCost(
            _ family: KernelFamily, _ form: CostForm, images: [Int], unlike: [Int]?
        ) throws {
            let (tasks, blocks, first, budget) = (3, 4, 1, 0.55)
            let costs = [0.1, 0.4, 0.2, 0.3]
            let logits = (0..<tasks).map { Tensor.random(shape: [blocks, 2], seed: UInt64(31 + $0), scale: 1.5) }
            func loss(_ logits: [Tensor], _ joint: [Double]) -> Double {
                let alphas = logits.map { z in
                    (0..<blocks).map { $0 < first ? 1 : 1 / (1 + exp(z[$0, 1] - z[$0, 0])) }
                }
                return abs(Self.enumerated(alphas, joint) - budget)
            }
            let joint = Self.jointCosts(costs, form, images: images)
            let trial = try Trial(family)
            let shares = try trial.parameter("costs", Tensor(shape: [blocks], values: costs))
            let inputs = try logits.enumerated().map { try trial.parameter("z\($0.offset)", $0.element) }
            let operation = ExpectedCostLoss(form: form, first: first, images: images)
            trial.state.budget = Float(budget)
            let value = trial.graph.record(operation, [shares, trial.graph.step] + inputs)[0]
            trial.graph.output("loss", value)
            let total = trial.apply("total", WeightedSum([3]), value)
            trial.keepGradients(of: total, for: ["dz0": inputs[0], "dz1": inputs[1], "dz2": inputs[2]])
            let results = try trial.runTwice()
            try results.expect("loss", .scalar(loss(logits, joint)))
            for task in 0..<tasks {
                var gradient = Tensor.zeros(shape: [blocks, 2])
                for block in 0..<blocks {
                    for column in 0..<2 {
                        func moved(_ step: Double) -> Double {
                            var other = logits
                            other[task][block, column] += step
                            return loss(other, joint)
                        }
                        gradient[block, column] = 3 * (moved(1e-5) - moved(-1e-5)) / 2e-5
                    }
                }
                #expect(gradient[0, 0] == 0)
                try results.expect("dz\(task)", gradient, tolerance: 1e-4)
            }
            let others = Self.jointCosts(
                costs, form == .passes || unlike != nil ? .shared : .passes, images: unlike ?? images)
            let other = loss(logits, others)
            #expect(try results.error("loss", .scalar(other)) > 1e-3, "negative control")
        }
    }
}
