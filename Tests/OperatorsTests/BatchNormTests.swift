import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// One batch normalisation in training mode.
struct BatchNormCase: Hashable, Sendable, CustomTestStringConvertible {
    let shape: [Int]
    /// Mean of the input; its standard deviation is about 0.6.
    var offset = 0.0
    /// The float32 input holds less of the signal the larger its mean.
    var tolerance = 2e-5

    var testDescription: String { "\(shape)" + (offset == 0 ? "" : " around \(offset)") }

    /// A chunk is 2048 rows of 16 channels in the CPU family and 256 in the GPU family. Large means are a matter of
    /// rounding, and no other accesses for a simulator to check.
    static var all: [BatchNormCase] { TestDevice.isSimulated ? cases.filter { $0.offset == 0 } : cases }

    private static let cases: [BatchNormCase] = [
        .init(shape: [1, 1, 1, 16]),
        .init(shape: [3, 1, 1, 19]),
        .init(shape: [2, 5, 7, 1]),
        .init(shape: [3, 9, 11, 64]),
        .init(shape: [1, 61, 83, 3]),
        .init(shape: [2, 29, 29, 40]),
        .init(shape: [2, 29, 29, 19], offset: 1000, tolerance: 1e-4),
        .init(shape: [1, 61, 83, 16], offset: -1000, tolerance: 1e-4),
    ]
}

private struct BatchNormReference: Sendable {
    let x, gamma, beta, dy, y, mean, inverse, unbiased: Tensor

    static let memo = Memo<BatchNormCase, BatchNormReference>()
    static func of(_ a: BatchNormCase) -> BatchNormReference { memo(a) { BatchNormReference(a) } }

    private init(_ a: BatchNormCase) {
        let statistics = [a.shape[3]]
        x = Tensor.random(shape: a.shape, seed: 1).map { Double(Float($0 + a.offset)) }
        gamma = .awayFromZero(shape: statistics, seed: 2)
        beta = .random(shape: statistics, seed: 3)
        dy = .random(shape: a.shape, seed: 4)
        (y, mean, inverse, unbiased) = Reference.batchNormTraining(x: x, gamma: gamma, beta: beta)
    }
}

extension OperatorsTests {
    @Suite struct BatchNormTests {
        @Test(arguments: TestDevice.families, BatchNormCase.all)
        func trainingMatchesReference(family: KernelFamily, a: BatchNormCase) throws {
            try check(family, a, relu: false)
        }

        @Test(arguments: TestDevice.families, BatchNormCase.all)
        func trainingWithReLUMatchesReference(family: KernelFamily, a: BatchNormCase) throws {
            try check(family, a, relu: true)
        }

        private func check(_ family: KernelFamily, _ a: BatchNormCase, relu: Bool) throws {
            let reference = BatchNormReference.of(a)
            let trial = try Trial(family)
            let x = try trial.input("x", reference.x)
            let gamma = try trial.parameter("gamma", reference.gamma)
            let beta = try trial.parameter("beta", reference.beta)
            let result = trial.graph.batchNorm(x, gamma: gamma, beta: beta, tail: relu ? .relu : .none)
            trial.keep(result)
            let dy = try trial.input("dy", reference.dy)
            trial.gradients(of: result.y, along: dy, for: ["dx": x, "dgamma": gamma, "dbeta": beta])
            let results = try trial.runTwice()

            try results.expect("y", relu ? Reference.relu(reference.y) : reference.y, tolerance: a.tolerance)
            try results.expect("mean", reference.mean, tolerance: 1e-6)
            try results.expect("inverse", reference.inverse)
            try results.expect("unbiased", reference.unbiased)
            // The mask is the device's own, compared above: rounding decides which side of zero an element lies on.
            let gradient =
                relu ? Reference.reluGradient(y: try results.tensor("y"), dy: reference.dy) : reference.dy
            let expected = Reference.batchNormBackward(
                x: reference.x, dy: gradient, gamma: reference.gamma, mean: reference.mean,
                inverseDeviation: reference.inverse)
            try results.expect("dx", expected.dx, tolerance: a.tolerance)
            try results.expect("dgamma", expected.dgamma, tolerance: a.tolerance)
            try results.expect("dbeta", expected.dbeta, tolerance: a.tolerance)
        }

        @Test(arguments: TestDevice.families, [(1, false), (3, false), (3, true)])
        func runningStatisticsMoveOncePerBatch(family: KernelFamily, setting: (batches: Int, gated: Bool)) throws {
            let channels = 19
            let tensors = (0..<4).map { Tensor.random(shape: [channels], seed: UInt64(10 + $0)) }
            let trial = try Trial(family)
            let inputs = [
                try trial.input("mean", tensors[0]), try trial.input("unbiased", tensors[1]),
                try trial.parameter("running_mean", tensors[2]), try trial.parameter("running_variance", tensors[3]),
                try trial.integers("tracked", [1], [5]), try trial.integers("flag", [2], [setting.gated ? 1 : 0, 0]),
            ]
            _ = trial.graph.record(BatchNormUpdate(batches: setting.batches), inputs)
            _ = try trial.run()
            _ = try trial.run()
            for (name, running, statistic) in [
                ("running_mean", tensors[2], tensors[0]), ("running_variance", tensors[3], tensors[1]),
            ] {
                let moved = Reference.runningStatistics(
                    running: running, statistic: statistic, count: 2 * setting.batches)
                let results = try trial.stored(name, [channels])
                try results.expect(name, setting.gated ? running : moved, tolerance: setting.gated ? 0 : 1e-6)
                if !setting.gated {
                    let once = Reference.runningStatistics(running: running, statistic: statistic, count: 1)
                    #expect(try results.error(name, once) > 0.01)
                }
            }
            let count = Int32(setting.gated ? 5 : 5 + 2 * setting.batches)
            #expect(try trial.executor.store.readIntegers("tracked") == [count])
        }

        /// One launch for some batch norms gives the bits of one launch for each.
        @Test(arguments: TestDevice.families, [(2, 19), (24, 40), (3, 5000)])
        func runningStatisticsMoveTogetherAsAlone(family: KernelFamily, setting: (count: Int, channels: Int)) throws {
            func record(_ numbers: Range<Int>) throws -> Trial {
                let trial = try Trial(family)
                var inputs: [Value] = []
                for number in numbers {
                    for (place, name) in ["mean", "unbiased", "running_mean", "running_variance"].enumerated() {
                        let tensor = Tensor.random(shape: [setting.channels], seed: UInt64(10 * number + place))
                        inputs.append(
                            try place < 2
                                ? trial.input("\(name)\(number)", tensor) : trial.parameter("\(name)\(number)", tensor))
                    }
                    inputs.append(try trial.integers("tracked\(number)", [1], [Int32(number)]))
                }
                inputs.append(try trial.integers("flag", [2], [0, 0]))
                _ = trial.graph.record(BatchNormUpdate(batches: 2, tensors: numbers.count), inputs)
                _ = try trial.run()
                return trial
            }
            let together = try record(0..<setting.count)
            #expect(try #require(together.plan).launches.map(\.site.name) == ["batchnorm_update_tensors"])
            for number in 0..<setting.count {
                let alone = try record(number..<number + 1)
                #expect(try #require(alone.plan).launches.map(\.site.name) == ["batchnorm_update"])
                for name in ["running_mean", "running_variance"].map({ "\($0)\(number)" }) {
                    let (a, b) = (
                        try together.stored(name, [setting.channels]), try alone.stored(name, [setting.channels])
                    )
                    #expect(a.outputs[name]?.stored == b.outputs[name]?.stored, "\(name), pads included")
                }
                #expect(try together.executor.store.readIntegers("tracked\(number)") == [Int32(number + 2)])
            }
        }

        /// From running statistics: alone, and as the epilogue of a convolution that copies.
        @Test(arguments: TestDevice.families, [[1, 1, 1, 16], [2, 5, 7, 19]])
        func inferenceMatchesReference(family: KernelFamily, shape: [Int]) throws {
            let channels = [shape[3]]
            let (x, gamma, beta) = (
                Tensor.random(shape: shape, seed: 21), Tensor.awayFromZero(shape: channels, seed: 22),
                Tensor.random(shape: channels, seed: 23)
            )
            let mean = Tensor.random(shape: channels, seed: 24)
            let variance = Tensor.random(shape: channels, seed: 25).map { Double(Float(abs($0) + 0.01)) }
            var unit = Tensor.zeros(shape: [1, 1, shape[3], shape[3]])
            for channel in 0..<shape[3] { unit[0, 0, channel, channel] = 1 }
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let parameters = [
                try trial.parameter("gamma", gamma), try trial.parameter("beta", beta),
                try trial.parameter("mean", mean), try trial.parameter("variance", variance),
            ]
            let copy = trial.graph.convolution(input, weights: try trial.parameter("unit", unit))
            for (name, value) in [("alone", input), ("fused", copy)] {
                let y = trial.graph.batchNorm(
                    value, gamma: parameters[0], beta: parameters[1], mean: parameters[2], variance: parameters[3],
                    tail: .relu)
                trial.graph.output(name, y)
            }
            let results = try trial.runTwice()
            #expect(try #require(trial.plan).operations.count { $0 is BatchNormNormalise } == 1)
            func expected(_ epsilon: Double) -> Tensor {
                Reference.relu(
                    Reference.batchNormInference(
                        x: x, gamma: gamma, beta: beta, mean: mean, variance: variance, epsilon: epsilon))
            }
            for name in ["alone", "fused"] {
                try results.expect(name, expected(1e-5))
                if shape[0] > 1 { #expect(try results.error(name, expected(1e-2)) > 1e-3, "negative control") }
            }
        }

        /// A broken activation must reach the loss, where the finite check sees it.
        @Test(arguments: TestDevice.families)
        func reluPassesNaN(family: KernelFamily) throws {
            var x = Tensor.random(shape: [1, 3, 3, 16], seed: 14)
            x[0, 1, 1, 2] = .nan
            let one = Tensor.filled(shape: [16], with: 1)
            let trial = try Trial(family)
            let y = trial.graph.batchNorm(
                try trial.input("x", x), gamma: try trial.parameter("gamma", one),
                beta: try trial.parameter("beta", one), tail: .relu
            ).y
            trial.graph.output("y", y)
            #expect(y.shape.dimensions == x.shape)
            let values = try trial.run().values("y")
            #expect(values.indices.allSatisfy { values[$0].isNaN == ($0 % 16 == 2) })
        }

        /// Halves of one row each have no variance of their own.
        @Test(arguments: TestDevice.families, [[4, 5, 7, 19], [2, 1, 1, 16], [2, 29, 29, 40]])
        func statisticsOfHalvesJoin(family: KernelFamily, shape: [Int]) throws {
            let x = Tensor.random(shape: shape, seed: 1).map { Double(Float($0 + 3)) }
            let half = [shape[0] / 2] + shape[1...]
            let values = x.values
            let parts = [values.prefix(values.count / 2), values.suffix(values.count / 2)].map {
                Tensor(shape: half, values: Array($0))
            }
            let ones = Tensor(shape: [shape[3]], values: [Double](repeating: 1, count: shape[3]))
            let reference = Reference.batchNormTraining(x: x, gamma: ones, beta: ones)
            let trial = try Trial(family)
            let scale = try trial.input("scale", ones)
            let statistics = try parts.enumerated().map { index, part in
                trial.graph.batchNorm(try trial.input("x\(index)", part), gamma: scale, beta: scale).statistics
            }
            let both = trial.graph.join(statistics[0], statistics[1])
            #expect(both.rows == shape[0] * shape[1] * shape[2])
            trial.graph.output("mean", both.mean)
            trial.graph.output("unbiased", both.unbiasedVariance)
            let results = try trial.runTwice()
            for name in ["mean", "unbiased"] { results.expectCleanPads(name) }
            try results.expect("mean", reference.mean)
            try results.expect("unbiased", reference.unbiasedVariance)
        }

        /// Negative control: statistics that are slightly off, or biased instead of unbiased, must not pass.
        @Test(arguments: TestDevice.families)
        func wrongReferenceIsNoticed(family: KernelFamily) throws {
            let reference = BatchNormReference.of(.init(shape: [2, 5, 7, 1]))
            let trial = try Trial(family)
            let result = trial.graph.batchNorm(
                try trial.input("x", reference.x), gamma: try trial.parameter("gamma", reference.gamma),
                beta: try trial.parameter("beta", reference.beta))
            trial.keep(result)
            let results = try trial.run()
            let other = Reference.batchNormTraining(
                x: reference.x, gamma: reference.gamma, beta: reference.beta, epsilon: 1e-3)
            #expect(try results.error("y", other.y) > 1e-4)
            #expect(try results.error("unbiased", reference.unbiased.map { $0 * 69 / 70 }) > 1e-3)
        }
    }
}
