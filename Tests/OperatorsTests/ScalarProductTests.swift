import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    @Suite struct ScalarProductTests {
        @Test(arguments: TestDevice.families, [(0.75, -2.5), (0, 3), (-1.5, 1e-3)])
        func productAndItsGradients(family: KernelFamily, factors: (Double, Double)) throws {
            let (a, b) = (Double(Float(factors.0)), Double(Float(factors.1)))
            let trial = try Trial(family)
            let (left, right) = (try trial.input("a", .scalar(a)), try trial.input("b", .scalar(b)))
            let y = trial.apply("y", ScalarProduct(), left, right)
            trial.gradients(of: y, along: try trial.input("dy", .scalar(1.25)), for: ["da": left, "db": right])
            let results = try trial.runTwice()
            let expected = Reference.scalarProduct(a, b)
            let (da, db) = Reference.scalarProductGradient(a, b, dy: 1.25)
            try results.expect("y", .scalar(expected), tolerance: 1e-6)
            try results.expect("da", .scalar(da), tolerance: 1e-6)
            try results.expect("db", .scalar(db), tolerance: 1e-6)
            #expect(try results.error("da", .scalar(db)) > 1e-3, "negative control")
        }

        /// A loss weighted by itself: both gradients reach it.
        @Test(arguments: TestDevice.families)
        func squareOfAComputedValue(family: KernelFamily) throws {
            let trial = try Trial(family)
            let x = try trial.input("x", .scalar(1.5))
            let doubled = trial.graph.record(Scale(2), [x])[0]
            let y = trial.apply("y", ScalarProduct(), doubled, doubled)
            trial.keepGradients(of: y, for: ["dx": x])
            let results = try trial.runTwice()
            try results.expect("y", .scalar(9), tolerance: 0)
            try results.expect("dx", .scalar(12), tolerance: 0)
        }
    }
}
