import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    /// What objectives make of losses.
    @Suite struct ObjectivesTests {
        private static let upstream = 1.75

        @Test(arguments: TestDevice.families)
        func weightsOfTheHost(family: KernelFamily) throws {
            let trial = try Trial(family)
            let weights = try trial.input("w", Tensor(shape: [4], values: [0.5, 9, 2, -1]), compact: true)
            let losses = try [("a", 3.0), ("b", 0.25)].map { try trial.input($0, .scalar($1)) }
            let sum = TaskWeightedSum(tasks: [2, 0], scales: [3, 0.1])
            let total = trial.apply("total", sum, weights, losses[0], losses[1])
            let y = trial.apply("y", WeightedSum([Self.upstream]), total)
            trial.keepGradients(of: y, for: ["da": losses[0], "db": losses[1]])
            let results = try trial.runTwice()
            try results.expect("total", .scalar(3 * 2 * 3.0 + 0.1 * 0.5 * 0.25))
            try results.expect("da", .scalar(Self.upstream * 6))
            try results.expect("db", .scalar(Self.upstream * 0.05))
            // Negative control: the weights in the order of the losses.
            #expect(try results.error("total", .scalar(3 * 0.5 * 3.0 + 0.1 * 9 * 0.25)) > 0.1)
        }

        @Test(arguments: TestDevice.families, [(0.7, 0.0, 1.0), (2.5, -1.5, 0.5), (1e-3, 3, 0.5)])
        func uncertainty(family: KernelFamily, a: (loss: Double, s: Double, factor: Double)) throws {
            let trial = try Trial(family)
            let (loss, s) = (try trial.input("loss", .scalar(a.loss)), try trial.input("s", .scalar(a.s)))
            let term = trial.apply("term", UncertainLoss(factor: a.factor), loss, s)
            let y = trial.apply("y", WeightedSum([Self.upstream]), term)
            trial.keepGradients(of: y, for: ["dloss": loss, "ds": s])
            let results = try trial.runTwice()
            let expected = Reference.uncertainLoss(a.loss, s: a.s, factor: a.factor)
            try results.expect("term", .scalar(expected.y))
            try results.expect("dloss", .scalar(Self.upstream * expected.dloss))
            try results.expect("ds", .scalar(Self.upstream * expected.ds))
            #expect(try results.error("ds", .scalar(Self.upstream * expected.dloss)) > 1e-3)
        }

        @Test(arguments: TestDevice.families, [[0.3], [2, 5], [0.1, 7, 3e-4]])
        func geometricMean(family: KernelFamily, values: [Double]) throws {
            let trial = try Trial(family)
            let losses = try values.enumerated().map { try trial.input("loss\($0)", .scalar($1)) }
            let mean = trial.graph.record(GeometricMean(), losses)[0]
            trial.graph.output("mean", mean)
            let y = trial.apply("y", WeightedSum([Self.upstream]), mean)
            for (index, loss) in losses.enumerated() {
                let gradient = try #require(trial.graph.gradients(of: y, for: [loss])[0])
                trial.graph.output("d\(index)", gradient)
            }
            let results = try trial.runTwice()
            let expected = Reference.geometricMean(values)
            try results.expect("mean", .scalar(expected.y))
            for (index, gradient) in expected.gradient.enumerated() {
                try results.expect("d\(index)", .scalar(Self.upstream * gradient))
            }
            if values.count > 1 {
                #expect(try results.error("mean", .scalar(values.reduce(0, +) / Double(values.count))) > 0.05)
            }
        }

        /// A loss of 0 takes no part: the others go on as without it.
        @Test(arguments: TestDevice.families)
        func aLossOfZero(family: KernelFamily) throws {
            let trial = try Trial(family)
            let losses = try [("a", 0.0), ("b", 2.0), ("c", 8.0)].map { try trial.input($0, .scalar($1)) }
            let mean = trial.apply("mean", GeometricMean(), losses[0], losses[1], losses[2])
            trial.keepGradients(of: mean, for: ["da": losses[0], "db": losses[1]])
            let results = try trial.runTwice()
            try results.expect("mean", .scalar(4))
            try results.expect("da", .scalar(0))
            try results.expect("db", .scalar(1))
        }

        @Test(arguments: TestDevice.families)
        func lossesAreSummedUntilOneIsNotFinite(family: KernelFamily) throws {
            let trial = try Trial(family)
            let loss = try trial.input("loss", .scalar(1.5))
            let sums = try trial.input("sums", Tensor(shape: [3, 2], values: [0, 0, 10, 4, 0, 0]), compact: true)
            let flag = try trial.integers("flag", [2], [0, 0])
            _ = trial.graph.record(LossAccumulation(task: 1), [loss, sums, flag])
            _ = try trial.run()
            #expect(try trial.executor.store.read("sums") == [0, 0, 11.5, 5, 0, 0])
            try trial.executor.store.write("flag", Shape([2], compact: true), [Int32(3), 0])
            _ = try trial.run()
            #expect(try trial.executor.store.read("sums") == [0, 0, 11.5, 5, 0, 0])
        }
    }
}
