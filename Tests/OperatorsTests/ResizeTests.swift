import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// One resize, with names for the test log.
struct ResizeCase: Hashable, Sendable, CustomTestStringConvertible {
    let shape: [Int]
    let height: Int, width: Int

    var testDescription: String { "\(shape) to \(height)×\(width)" }

    static let all: [ResizeCase] = [
        .init(shape: [1, 1, 1, 16], height: 3, width: 2),
        .init(shape: [2, 5, 7, 19], height: 3, width: 4),
        .init(shape: [2, 3, 4, 19], height: 7, width: 5),
        .init(shape: [1, 29, 29, 3], height: 57, width: 41),
        .init(shape: [1, 40, 33, 1], height: 29, width: 29),
        .init(shape: [1, 6, 6, 64], height: 6, width: 6),
        .init(shape: [3, 8, 9, 40], height: 1, width: 1),
    ]
}

extension OperatorsTests {
    @Suite struct ResizeTests {
        @Test(arguments: TestDevice.families, ResizeCase.all)
        func mapAndItsGradient(family: KernelFamily, a: ResizeCase) throws {
            let x = Tensor.random(shape: a.shape, seed: 1)
            let dy = Tensor.random(shape: [a.shape[0], a.height, a.width, a.shape[3]], seed: 2)
            let trial = try Trial(family)
            let input = try trial.input("x", x)
            let y = trial.apply("y", NearestResize(height: a.height, width: a.width), input)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input])
            let results = try trial.runTwice()
            try results.expect("y", Reference.nearestResize(x, height: a.height, width: a.width), tolerance: 0)
            try results.expect("dx", Reference.nearestResizeGradient(dy: dy, inputShape: a.shape), tolerance: 1e-6)
        }

        @Test(arguments: TestDevice.families)
        func compactLabelsKeepTheirIntegers(family: KernelFamily) throws {
            let labels: [Int32] = (0..<286).map { index in
                switch index % 7 {
                case 0: 255
                case 1: -1
                default: Int32(index)
                }
            }
            let trial = try Trial(family)
            let input = try trial.integers("labels", [2, 13, 11, 1], labels)
            let y = trial.apply("y", NearestResize(height: 5, width: 6), input)
            #expect(y.shape.isCompact)
            let source = Tensor(shape: [2, 13, 11, 1], values: labels.map(Double.init))
            let expected = Reference.nearestResize(source, height: 5, width: 6)
            let found = try trial.runTwice().words("y").map { Double(Int32(bitPattern: $0)) }
            #expect(found == expected.values)
        }

        @Test(arguments: TestDevice.families)
        func compactColoursStayCompact(family: KernelFamily) throws {
            let x = Tensor.random(shape: [2, 9, 10, 3], seed: 3, scale: 255)
            let trial = try Trial(family)
            let y = trial.apply("y", NearestResize(height: 4, width: 7), try trial.input("x", x, compact: true))
            #expect(y.shape.isCompact)
            try trial.runTwice().expect("y", Reference.nearestResize(x, height: 4, width: 7), tolerance: 0)
        }

        /// Negative control: sampling at pixel centres, the other common rule, must not pass.
        @Test(arguments: TestDevice.families)
        func otherIndexRuleIsNoticed(family: KernelFamily) throws {
            let x = Tensor.random(shape: [1, 1, 9, 1], seed: 4)
            let trial = try Trial(family)
            trial.apply("y", NearestResize(height: 1, width: 3), try trial.input("x", x))
            let centres = Tensor(shape: [1, 1, 3, 1], values: [x.values[1], x.values[4], x.values[7]])
            #expect(try trial.run().error("y", centres) > 0.01)
        }
    }
}
