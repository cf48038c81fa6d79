import Reference
import Testing

@Suite struct ScalarProductTests {
    @Test(arguments: [(0.75, -2.5), (0, 3), (-1.5, 0)]) func gradients(_ a: Double, _ b: Double) {
        let (da, db) = Reference.scalarProductGradient(a, b, dy: 1.25)
        func scalar(_ value: Double) -> Tensor { Tensor(shape: [1], values: [value]) }
        let atA = FiniteDifference.error(of: scalar(da), at: scalar(a)) {
            1.25 * Reference.scalarProduct($0.values[0], b)
        }
        let atB = FiniteDifference.error(of: scalar(db), at: scalar(b)) {
            1.25 * Reference.scalarProduct(a, $0.values[0])
        }
        #expect(atA < gradientTolerance && atB < gradientTolerance)
        // Negative control: each factor taken for its own derivative.
        let wrong = FiniteDifference.error(of: scalar(1.25 * a), at: scalar(a)) {
            1.25 * Reference.scalarProduct($0.values[0], b)
        }
        #expect(wrong > 0.01)
    }
}
