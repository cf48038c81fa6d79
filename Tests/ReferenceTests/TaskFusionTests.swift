import Reference
import Testing

@Suite struct TaskFusionTests {
    @Test func knownValues() {
        let terms = [Tensor(shape: [2, 2], values: [1, 2, 3, 4]), Tensor(shape: [2, 2], values: [10, 20, 30, 40])]
        let weights = Tensor(shape: [2, 2], values: [1, 0.5, 0.25, -1])
        #expect(Reference.channelMix(terms, weights: weights).values == [3.5, -19, 10.5, -38])
        let attended = Reference.sigmoidProduct(
            Tensor(shape: [3], values: [0, 800, -800]), Tensor(shape: [3], values: [4, 5, 6]))
        #expect(attended.values == [2, 5, 0])
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 3, 2, 5]], 1...3) func channelMixGradients(_ shape: [Int], _ count: Int) {
        let terms = (0..<count).map { Tensor.random(shape: shape, seed: UInt64(1 + $0)) }
        let weights = Tensor.random(shape: [count, shape[3]], seed: 9)
        let dy = Tensor.random(shape: shape, seed: 10)
        let (dTerms, dWeights) = Reference.channelMixGradient(terms, weights: weights, dy: dy)
        for (place, dx) in dTerms.enumerated() {
            let error = FiniteDifference.error(of: dx, at: terms[place]) { x in
                var changed = terms
                changed[place] = x
                return Reference.channelMix(changed, weights: weights).dot(dy)
            }
            #expect(error < gradientTolerance)
        }
        let atWeights = { (gradient: Tensor) in
            FiniteDifference.error(of: gradient, at: weights) { Reference.channelMix(terms, weights: $0).dot(dy) }
        }
        #expect(atWeights(dWeights) < gradientTolerance)
        #expect(atWeights(dWeights.map { 1.1 * $0 }) > 0.01, "negative control")
    }

    @Test(arguments: [[1], [2, 3, 2, 5]]) func sigmoidProductGradients(_ shape: [Int]) {
        let (z, p) = (Tensor.random(shape: shape, seed: 1, scale: 4), Tensor.random(shape: shape, seed: 2))
        let dy = Tensor.random(shape: shape, seed: 3)
        let (dz, dp) = Reference.sigmoidProductGradient(z, p, dy: dy)
        let atZ = FiniteDifference.error(of: dz, at: z) { Reference.sigmoidProduct($0, p).dot(dy) }
        let atP = FiniteDifference.error(of: dp, at: p) { Reference.sigmoidProduct(z, $0).dot(dy) }
        #expect(atZ < gradientTolerance && atP < gradientTolerance)
        // Negative control: each gradient taken for the other.
        #expect(FiniteDifference.error(of: dp, at: z) { Reference.sigmoidProduct($0, p).dot(dy) } > 0.01)
    }

    @Test(arguments: [1, 2, 3]) func subspaceGradients(_ subspaces: Int) {
        let shape = [2, 2, 1, 6]
        let terms = (0..<2).map { Tensor.random(shape: shape, seed: UInt64(1 + $0)) }
        let weights = Tensor.random(shape: [subspaces, 2 * subspaces], seed: 9)
        let dy = Tensor.random(shape: shape, seed: 10)
        let (dTerms, dWeights) = Reference.subspaceMixGradient(terms, weights: weights, dy: dy)
        let atLast = { (gradient: Tensor) in
            FiniteDifference.error(of: gradient, at: terms[1]) {
                Reference.subspaceMix([terms[0], $0], weights: weights).dot(dy)
            }
        }
        let atWeights = FiniteDifference.error(of: dWeights, at: weights) {
            Reference.subspaceMix(terms, weights: $0).dot(dy)
        }
        #expect(atLast(dTerms[1]) < gradientTolerance && atWeights < gradientTolerance)
        #expect(atLast(dTerms[0]) > 0.01, "negative control")

        let convolution = Tensor.random(shape: [2, 1, 3, 6], seed: 11)
        let (value, gradient) = Reference.subspaceOverlap(convolution, subspaces: subspaces)
        #expect((value > 0) == (subspaces > 1))
        let overlap = FiniteDifference.error(of: gradient, at: convolution) {
            Reference.subspaceOverlap($0, subspaces: subspaces).value
        }
        #expect(overlap < gradientTolerance)
    }

    @Test func knownSubspaces() {
        // Two tensors of two channels, each a subspace.
        let terms = [
            Tensor(shape: [1, 1, 1, 2], values: [1, 10]), Tensor(shape: [1, 1, 1, 2], values: [100, 1000]),
        ]
        let weights = Tensor(shape: [2, 4], values: [1, 0, 0, 2, 0, 0, 3, 0])
        #expect(Reference.subspaceMix(terms, weights: weights).values == [2001, 300])
        // Columns (1, 2) and (3, 4): the square of their product.
        let overlap = Reference.subspaceOverlap(Tensor(shape: [1, 1, 2, 2], values: [1, 3, 2, 4]), subspaces: 2)
        #expect(overlap.value == 121 && overlap.gradient.values == [66, 22, 88, 44])
    }
}
