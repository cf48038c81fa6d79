import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    /// Sums of so many parts that each work-item of a group adds up several of them, as in real batches.
    @Suite struct ReductionTests {
        /// 2080 rows: 130 chunks in the GPU family.
        private static let shape = [1, 40, 52, 256]

        @Test(arguments: TestDevice.families)
        func batchNormOfManyChunks(family: KernelFamily) throws {
            let channels = [Self.shape[3]]
            let trend = Tensor.random(shape: Self.shape, seed: 1)
            // Chunks differ in their means: what merging them adds to the variance counts.
            let x = Tensor(
                shape: Self.shape,
                values: trend.values.enumerated().map { Double(Float($1 + Double($0 / (256 * 52)) / 10)) })
            let (gamma, beta) = (Tensor.awayFromZero(shape: channels, seed: 2), Tensor.random(shape: channels, seed: 3))
            let dy = Tensor.random(shape: Self.shape, seed: 4)
            let trial = try Trial(family)
            let inputs = [try trial.input("x", x), try trial.input("gamma", gamma), try trial.input("beta", beta)]
            let result = trial.graph.batchNorm(inputs[0], gamma: inputs[1], beta: inputs[2])
            trial.keep(result)
            trial.gradients(
                of: result.y, along: try trial.input("dy", dy),
                for: ["dx": inputs[0], "dgamma": inputs[1], "dbeta": inputs[2]])
            let results = try trial.runTwice()
            let (y, mean, inverse, unbiased) = Reference.batchNormTraining(x: x, gamma: gamma, beta: beta)
            try results.expect("y", y)
            try results.expect("mean", mean, tolerance: 1e-6)
            try results.expect("inverse", inverse)
            try results.expect("unbiased", unbiased)
            let gradients = Reference.batchNormBackward(
                x: x, dy: dy, gamma: gamma, mean: mean, inverseDeviation: inverse)
            try results.expect("dx", gradients.dx)
            try results.expect("dgamma", gradients.dgamma)
            try results.expect("dbeta", gradients.dbeta)
        }

        @Test(arguments: TestDevice.families)
        func columnSumsOfManyChunks(family: KernelFamily) throws {
            let dy = Tensor.random(shape: Self.shape, seed: 5)
            let trial = try Trial(family)
            trial.apply("db", ColumnSum(), try trial.input("dy", dy))
            try trial.runTwice().expect("db", Reference.biasGradient(dy: dy))
        }

        /// 66,560 vectors of four: more than one for each item of the most groups.
        @Test(arguments: TestDevice.families)
        func gatesOfManyGroups(family: KernelFamily) throws {
            let tensors = (0..<3).map { Tensor.random(shape: [1, 64, 65, 64], seed: UInt64(6 + $0)) }
            let trial = try Trial(family)
            let inputs = try tensors.enumerated().map { try trial.input("t\($0)", $1) }
            trial.apply("dv", DrawnGateGradient(block: 1, blocks: 3), inputs[0], inputs[1], inputs[2])
            var expected = Tensor.zeros(shape: [3, 2])
            for (column, tensor) in tensors.prefix(2).enumerated() {
                expected[1, column] = zip(tensor.values, tensors[2].values).reduce(0) { $0 + $1.0 * $1.1 }
            }
            try trial.runTwice().expect("dv", expected)
        }

        /// 66,049 pixels: more than one for each item of the most groups.
        @Test(arguments: TestDevice.families)
        func lossOfManyGroups(family: KernelFamily) throws {
            let x = Tensor.random(shape: [1, 257, 257, 1], seed: 9)
            // Every third pixel is not valid.
            let labels = Tensor.random(shape: [1, 257, 257, 1], seed: 10).values.enumerated().map {
                $0 % 3 == 0 ? 0 : Double(Float(abs($1) + 0.1))
            }
            let trial = try Trial(family)
            let shape = Shape([1, 257, 257, 1], compact: true)
            try trial.executor.store.write("labels", shape, labels.map { Float($0) })
            let outputs = trial.graph.record(
                TaskLoss(.absolutePositive), [try trial.input("x", x), trial.graph.input("labels", shape)])
            trial.graph.output("loss", outputs[0])
            trial.graph.output("weight", outputs[1])
            let results = try trial.runTwice()
            let valid = labels.indices.filter { labels[$0] > 0 }
            let sum = valid.reduce(0) { $0 + abs(x.values[$1] - labels[$1]) }
            try results.expect("loss", .scalar(sum / Double(valid.count)))
            try results.expect("weight", .scalar(Double(valid.count)), tolerance: 0)
        }
    }
}
