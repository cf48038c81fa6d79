import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// One max pooling.
struct PoolCase: Hashable, Sendable, CustomTestStringConvertible {
    let shape: [Int]
    var window = 3, stride = 2, padding = 1
    let ceilMode: Bool
    /// Only values 0, 1 and 2, so that windows have several equal maxima.
    var ties = false

    var testDescription: String {
        "\(shape) window \(window) stride \(stride) pad \(padding)" + (ceilMode ? " ceil" : "") + (ties ? " ties" : "")
    }

    static let all: [PoolCase] = [
        .init(shape: [1, 1, 1, 16], ceilMode: true),
        .init(shape: [2, 5, 5, 19], ceilMode: true),
        .init(shape: [2, 5, 5, 19], ceilMode: false),
        .init(shape: [1, 12, 9, 64], ceilMode: true),
        .init(shape: [1, 12, 9, 64], ceilMode: false, ties: true),
        .init(shape: [3, 8, 8, 1], ceilMode: true, ties: true),
        .init(shape: [1, 7, 10, 3], window: 2, padding: 0, ceilMode: true, ties: true),
        .init(shape: [1, 7, 10, 3], window: 2, padding: 0, ceilMode: false),
        .init(shape: [1, 6, 7, 16], stride: 1, ceilMode: false),
        .init(shape: [2, 9, 8, 128], ceilMode: true),
        .init(shape: [1, 10, 11, 192], stride: 3, ceilMode: false),
    ]
}

extension OperatorsTests {
    @Suite struct PoolingTests {
        @Test(arguments: TestDevice.families, PoolCase.all)
        func maximumAndItsGradient(family: KernelFamily, a: PoolCase) throws {
            var x = Tensor.random(shape: a.shape, seed: 1)
            if a.ties { x = x.map { ($0 * 1.5).rounded() + 1 } }
            let expected = Reference.maxPool(
                x: x, window: a.window, stride: a.stride, padding: a.padding, ceilMode: a.ceilMode)
            let dy = Tensor.random(shape: expected.y.shape, seed: 2)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let pool = MaxPool(window: a.window, stride: a.stride, padding: a.padding, ceilMode: a.ceilMode)
            let y = trial.apply("y", pool, input)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", expected.y, tolerance: 0)
            let dx = Reference.maxPoolGradient(dy: dy, argmax: expected.argmax, inputShape: a.shape)
            try results.expect("dx", dx, tolerance: 1e-6)
        }

        /// 224 gives 112 after the stem and 57 after ceil mode; 321 gives 161 and 81 either way; without it, 56.
        @Test func extentsOfTheMethod() {
            #expect(MaxPool(ceilMode: true).outputSize(112) == 57)
            #expect(MaxPool(ceilMode: true).outputSize(161) == 81)
            #expect(MaxPool(ceilMode: false).outputSize(112) == 56)
        }

        @Test(arguments: TestDevice.families)
        func nanWins(family: KernelFamily) throws {
            var x = Tensor.random(shape: [1, 6, 6, 1], seed: 3)
            x[0, 2, 2, 0] = .nan
            let trial = try Trial(family)
            trial.apply("y", MaxPool(ceilMode: false), try trial.input("x", x))
            let found = try trial.run().values("y").map(\.isNaN)
            #expect(found == Reference.maxPool(x: x, ceilMode: false).y.values.map(\.isNaN))
            #expect(found.contains(true))
        }

        @Test(arguments: TestDevice.families, [[1, 1, 1, 16], [3, 7, 7, 19], [2, 5, 9, 64]])
        func averageAndItsGradient(family: KernelFamily, shape: [Int]) throws {
            let x = Tensor.random(shape: shape, seed: 4)
            let dy = Tensor.random(shape: [shape[0], 1, 1, shape[3]], seed: 5)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let y = trial.apply("y", GlobalAveragePool(), input)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", Reference.globalAveragePool(x))
            try results.expect("dx", Reference.globalAveragePoolGradient(dy: dy, inputShape: shape))
        }

        /// Negative control: another padding, or the last instead of the first of equal maxima, must not pass.
        @Test(arguments: TestDevice.families)
        func wrongReferenceIsNoticed(family: KernelFamily) throws {
            let x = Tensor.filled(shape: [1, 6, 6, 3], with: 1)
            let dy = Tensor.random(shape: [1, 3, 3, 3], seed: 6)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let y = trial.apply("y", MaxPool(window: 2, stride: 2, padding: 0, ceilMode: false), input)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
            let results = try trial.run()
            let argmax = Reference.maxPool(x: x, window: 2, padding: 0, ceilMode: false).argmax
            let last = Reference.maxPoolGradient(dy: dy, argmax: argmax.map { $0 + 7 }, inputShape: x.shape)
            #expect(try results.error("dx", last) > 0.1)
            #expect(try results.error("y", .filled(shape: [1, 3, 3, 3], with: 1.001)) > 1e-4)
        }
    }
}
