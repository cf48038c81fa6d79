import Foundation
import Reference
import Testing

@Suite struct PolicyTests {
    @Test func gumbelKnownValues() {
        // Equal noise cancels: at τ = 1 the decision is the probability itself.
        let logits = Tensor(shape: [1, 2], values: [log(3), 0])
        let even = Tensor.filled(shape: [1, 2], with: 0.3)
        let warm = Reference.gumbelSoftmax(logits: logits, uniforms: even, temperature: 1)
        #expect(abs(warm.v[0, 0] - 0.75) < 1e-15)
        let hot = Reference.gumbelSoftmax(logits: logits, uniforms: even, temperature: 2)
        #expect(abs(hot.v[0, 0] - 1 / (1 + 1 / 3.0.squareRoot())) < 1e-15)
        // G = 0 at U = 1/e and G = 1 at U = exp(-1/e).
        let noise = Tensor(shape: [1, 2], values: [exp(-1), exp(-exp(-1))])
        let noisy = Reference.gumbelSoftmax(logits: .zeros(shape: [1, 2]), uniforms: noise, temperature: 1)
        #expect(abs(noisy.v[0, 1] - 1 / (1 + exp(-1))) < 1e-15)
    }

    @Test(arguments: [1, 8, 33], [5, 1, 0.3]) func gumbelGradient(_ layers: Int, _ temperature: Double) {
        let logits = Tensor.random(shape: [layers, 2], seed: 71, scale: 2)
        let uniforms = Tensor.randomUniforms(shape: [layers, 2], seed: 72)
        let dv = Tensor.random(shape: [layers, 2], seed: 73)
        func sample(_ logits: Tensor) -> GumbelSample {
            Reference.gumbelSoftmax(logits: logits, uniforms: uniforms, temperature: temperature)
        }
        let dz = sample(logits).gradient(dv: dv)
        #expect(FiniteDifference.error(of: dz, at: logits) { sample($0).v.dot(dv) } < gradientTolerance)
    }

    @Test func straightThroughIsOneHotWithTheSoftGradient() {
        let logits = Tensor.random(shape: [16, 2], seed: 74)
        let uniforms = Tensor.randomUniforms(shape: [16, 2], seed: 75)
        let dv = Tensor.random(shape: [16, 2], seed: 76)
        let soft = Reference.gumbelSoftmax(logits: logits, uniforms: uniforms, temperature: 2)
        let hard = Reference.gumbelSoftmax(
            logits: logits, uniforms: uniforms, temperature: 2, straightThrough: true)
        for l in 0..<16 {
            #expect(hard.v[l, 0] == (soft.v[l, 0] >= soft.v[l, 1] ? 1 : 0))
            #expect(hard.v[l, 0] + hard.v[l, 1] == 1)
        }
        #expect(Set(hard.v.values) == [0, 1])
        #expect(hard.gradient(dv: dv) == soft.gradient(dv: dv))
    }

    @Test func sparsityKnownValues() {
        let logits = Tensor(shape: [2, 2], values: [0, 0, log(3), 0])
        let paper = Reference.sparsity(logits: logits, open: 0..<2, form: .paper)
        #expect(abs(paper.loss - (log(0.5) + log(0.75))) < 1e-15)
        let published = Reference.sparsity(logits: logits, open: 0..<2, form: .published)
        #expect(abs(published.loss - (log(2) + log(4)) / 2) < 1e-15)
        let last = Reference.sparsity(logits: logits, open: 1..<2, form: .published)
        #expect(abs(last.loss - log(4)) < 1e-15)
        #expect(last.gradient[0, 0] == 0 && last.gradient[0, 1] == 0)
        let weighted = Reference.sparsity(logits: logits, open: 0..<2, form: .published, perLayerWeights: true)
        #expect(abs(weighted.loss - (log(2) + 2 * log(4)) / 2) < 1e-15)
        let closed = Reference.sparsity(logits: logits, open: 2..<2, form: .published)
        #expect(closed.loss == 0 && closed.gradient == .zeros(shape: [2, 2]))
    }

    @Test(arguments: PolicyLossForm.allCases, [0..<1, 0..<8, 5..<8, 7..<8])
    func sparsityGradient(_ form: PolicyLossForm, _ open: Range<Int>) {
        let logits = Tensor.random(shape: [8, 2], seed: 77, scale: 3)
        for weighted in [false, true] {
            func loss(_ logits: Tensor) -> (loss: Double, gradient: Tensor) {
                Reference.sparsity(logits: logits, open: open, form: form, perLayerWeights: weighted)
            }
            #expect(FiniteDifference.error(of: loss(logits).gradient, at: logits) { loss($0).loss } < gradientTolerance)
        }
    }

    @Test func sharingKnownValues() {
        let logits = Tensor(shape: [2, 2, 2], values: [0, 0, 2, 0, log(3), 0, 5, 0])
        let paper = Reference.sharing(logits: logits, form: .paper)
        #expect(abs(paper.loss - 0.5 * 0.25) < 1e-15)
        let published = Reference.sharing(logits: logits, form: .published)
        #expect(abs(published.loss - (0.5 * log(3) + 3)) < 1e-15)
        #expect(published.gradient.values == [-0.5, 0, -1, 0, 0.5, 0, 1, 0])
    }

    @Test(arguments: PolicyLossForm.allCases, [[1, 4, 2], [2, 1, 2], [3, 8, 2], [5, 3, 2]])
    func sharingGradient(_ form: PolicyLossForm, _ shape: [Int]) {
        let logits = Tensor.random(shape: shape, seed: 78, scale: 2)
        func loss(_ logits: Tensor) -> (loss: Double, gradient: Tensor) {
            Reference.sharing(logits: logits, form: form)
        }
        #expect(FiniteDifference.error(of: loss(logits).gradient, at: logits) { loss($0).loss } < gradientTolerance)
    }

    @Test(arguments: PolicyLossForm.allCases) func equalTasksShareWithoutGradient(_ form: PolicyLossForm) {
        let found = Reference.sharing(logits: .filled(shape: [3, 4, 2], with: 0.5), form: form)
        #expect(found.loss == 0 && found.gradient == .zeros(shape: [3, 4, 2]))
    }

    @Test func gradientOfTheOtherFormIsReported() {
        let logits = Tensor.random(shape: [2, 4, 2], seed: 79)
        let wrong = Reference.sharing(logits: logits, form: .paper).gradient
        let error = FiniteDifference.error(of: wrong, at: logits) {
            Reference.sharing(logits: $0, form: .published).loss
        }
        #expect(error > 0.1)
    }
}
