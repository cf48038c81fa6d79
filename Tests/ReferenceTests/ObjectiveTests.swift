import Foundation
import Reference
import Testing

@Suite struct ObjectiveTests {
    /// Central differences of a function of one number.
    private func slope(_ x: Double, _ f: (Double) -> Double) -> Double { (f(x + 1e-5) - f(x - 1e-5)) / 2e-5 }

    @Test(arguments: [0.2, 3], [-1.5, 0, 2]) func uncertainLossGradient(loss: Double, s: Double) {
        let at = Reference.uncertainLoss(loss, s: s, factor: 0.5)
        #expect(abs(at.dloss - slope(loss) { Reference.uncertainLoss($0, s: s, factor: 0.5).y }) < 1e-8)
        #expect(abs(at.ds - slope(s) { Reference.uncertainLoss(loss, s: $0, factor: 0.5).y }) < 1e-8)
        // At σ² = 2 · factor · loss the loss is least.
        #expect(abs(Reference.uncertainLoss(loss, s: log(loss), factor: 0.5).ds) < 1e-12)
    }

    @Test func geometricMeanGradient() {
        let losses = [0.5, 2, 8.0]
        let at = Reference.geometricMean(losses)
        #expect(abs(at.y - 2) < 1e-12)
        for index in losses.indices {
            let numeric = slope(losses[index]) { value in
                var changed = losses
                changed[index] = value
                return Reference.geometricMean(changed).y
            }
            #expect(abs(at.gradient[index] - numeric) < 1e-8)
        }
    }
}
