import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    @Suite struct ElementwiseTests {
        static let shapes = [[1], [1, 1, 1, 1], [2, 5, 7, 19], [1, 3, 3, 64], [1, 61, 83, 3]]

        @Test(arguments: TestDevice.families, shapes)
        func reluAndItsGradient(family: KernelFamily, shape: [Int]) throws {
            var x = Tensor.random(shape: shape, seed: 1)
            if x.count > 7 { x.values[7] = 0 }
            let dy = Tensor.random(shape: shape, seed: 2)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let y = trial.apply("y", ReLU(), input)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", Reference.relu(x), tolerance: 0)
            try results.expect("dx", Reference.reluGradient(y: Reference.relu(x), dy: dy), tolerance: 0)
        }

        /// A broken activation must reach the loss, where the finite check sees it.
        @Test(arguments: TestDevice.families)
        func reluPassesNaN(family: KernelFamily) throws {
            let trial = try Trial(family)
            let x = Tensor(shape: [4], values: [-1, .nan, .infinity, 2])
            trial.apply("y", ReLU(), try trial.input("x", x))
            let y = try trial.run().values("y")
            #expect(y[0] == 0 && y[1].isNaN && y[2] == .infinity && y[3] == 2)
        }

        @Test(arguments: TestDevice.families, Array(2...9))
        func sumOfManyTerms(family: KernelFamily, count: Int) throws {
            let shape = [2, 3, 5, 19]
            let terms = (0..<count).map { Tensor.random(shape: shape, seed: UInt64(10 + $0)) }
            let trial = try Trial(family)
            let inputs = try terms.enumerated().map { try trial.input("x\($0.offset)", $0.element) }
            let y = trial.graph.record(Sum(), inputs)[0]
            trial.graph.output("y", y)
            let dy = Tensor.random(shape: shape, seed: 3)
            let along = try trial.input("dy", dy)
            trial.gradients(of: y, along: along, for: ["first": inputs[0], "last": inputs[count - 1]])
            let results = try trial.runTwice()
            let total = terms.dropFirst().reduce(terms[0]) { $0.zip($1, +) }
            try results.expect("y", total, tolerance: 1e-6)
            try results.expect("first", dy, tolerance: 0)
            try results.expect("last", dy, tolerance: 0)
            let withoutLast = total.zip(terms[count - 1], -)
            #expect(try results.error("y", withoutLast) > 0.1)
        }

        /// Computed terms may be overwritten in place; later launches of a long sum must still see theirs.
        @Test(arguments: TestDevice.families)
        func sumOfComputedTerms(family: KernelFamily) throws {
            let x = Tensor.random(shape: [1, 4, 4, 16], seed: 4)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let terms = (1...7).map { trial.graph.record(Scale(Double($0)), [input])[0] }
            let y = trial.graph.record(Sum(), terms)[0]
            trial.graph.output("y", y)
            trial.gradients(of: y, along: try trial.input("dy", x), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", x.map { 28 * $0 }, tolerance: 1e-6)
            try results.expect("dx", x.map { 28 * $0 }, tolerance: 1e-6)
        }

        @Test(arguments: TestDevice.families)
        func termAddedToItself(family: KernelFamily) throws {
            let x = Tensor.random(shape: [3, 5], seed: 5)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let y = trial.apply("y", Sum(), input, input)
            trial.gradients(of: y, along: try trial.input("dy", x), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", x.map { 2 * $0 }, tolerance: 0)
            try results.expect("dx", x.map { 2 * $0 }, tolerance: 0)
        }

        @Test(arguments: TestDevice.families, shapes)
        func scaleAndItsGradient(family: KernelFamily, shape: [Int]) throws {
            let (x, dy) = (Tensor.random(shape: shape, seed: 6), Tensor.random(shape: shape, seed: 7))
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let y = trial.apply("y", Scale(-2.5), input)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", x.map { -2.5 * $0 }, tolerance: 1e-6)
            try results.expect("dx", dy.map { -2.5 * $0 }, tolerance: 1e-6)
            #expect(try results.error("y", x.map { -2.501 * $0 }) > 1e-4)
        }

        @Test(arguments: TestDevice.families, shapes)
        func fillLeavesPadsZero(family: KernelFamily, shape: [Int]) throws {
            let trial = try Trial(family)
            trial.apply("y", Fill(Shape(shape), value: 0.75))
            try trial.runTwice().expect("y", .filled(shape: shape, with: 0.75), tolerance: 0)
        }
    }
}
