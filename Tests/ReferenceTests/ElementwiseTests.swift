import Reference
import Testing

@Suite struct ElementwiseTests {
    @Test func reluIsZeroAtAndBelowZero() {
        let y = Reference.relu(Tensor(shape: [3], values: [-1, 0, 2]))
        #expect(y.values == [0, 0, 2])
        #expect(Reference.reluGradient(y: y, dy: .filled(shape: [3], with: 5)).values == [0, 0, 5])
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 3, 5, 3], [1, 1, 3, 19]]) func reluAndResidualGradients(_ shape: [Int]) {
        let residual = Tensor.random(shape: shape, seed: 41)
        let branch = Tensor.random(shape: shape, seed: 42)
        let dy = Tensor.random(shape: shape, seed: 43)
        let dx = Reference.reluGradient(y: Reference.relu(residual), dy: dy)
        #expect(FiniteDifference.error(of: dx, at: residual) { Reference.relu($0).dot(dy) } < gradientTolerance)

        let y = Reference.residualAddReLU(residual: residual, branch: branch)
        let (dResidual, dBranch) = Reference.residualAddReLUGradient(y: y, dy: dy)
        let atResidual = FiniteDifference.error(of: dResidual, at: residual) {
            Reference.residualAddReLU(residual: $0, branch: branch).dot(dy)
        }
        let atBranch = FiniteDifference.error(of: dBranch, at: branch) {
            Reference.residualAddReLU(residual: residual, branch: $0).dot(dy)
        }
        #expect(atResidual < gradientTolerance)
        #expect(atBranch < gradientTolerance)
    }

    @Test func mixedResidualKnownValues() {
        let y = Reference.mixedResidual(
            residual: Tensor(shape: [3], values: [-4, 2, 1]), branch: Tensor(shape: [3], values: [1, 1, -3]),
            vSelect: 0.75, vSkip: 0.25)
        #expect(y.values == [-1, 2.75, 0.25])
    }

    @Test(arguments: [[1, 1, 1, 1], [2, 3, 5, 3], [1, 1, 3, 19]]) func mixedResidualGradients(_ shape: [Int]) {
        let residual = Tensor.random(shape: shape, seed: 44)
        let branch = Tensor.random(shape: shape, seed: 45)
        let dy = Tensor.random(shape: shape, seed: 46)
        let v = Tensor(shape: [2], values: [0.7, 0.3])
        func loss(_ residual: Tensor, _ branch: Tensor, _ v: Tensor) -> Double {
            Reference.mixedResidual(residual: residual, branch: branch, vSelect: v[0], vSkip: v[1]).dot(dy)
        }
        let (dResidual, dBranch, dvSelect, dvSkip) = Reference.mixedResidualGradient(
            residual: residual, branch: branch, vSelect: v[0], vSkip: v[1], dy: dy)
        let dv = Tensor(shape: [2], values: [dvSelect, dvSkip])
        #expect(FiniteDifference.error(of: dResidual, at: residual) { loss($0, branch, v) } < gradientTolerance)
        #expect(FiniteDifference.error(of: dBranch, at: branch) { loss(residual, $0, v) } < gradientTolerance)
        #expect(FiniteDifference.error(of: dv, at: v) { loss(residual, branch, $0) } < gradientTolerance)
        // Negative control: the skip path's share of the residual gradient left out.
        #expect(FiniteDifference.error(of: dBranch, at: residual) { loss($0, branch, v) } > 0.01)
    }

    @Test func dropoutScalesWhatItKeeps() {
        let x = Tensor(shape: [4], values: [1, 2, 3, 4])
        let mask = Tensor(shape: [4], values: [1, 0, 0, 1])
        #expect(Reference.dropout(x, mask: mask, probability: 0.75).values == [4, 0, 0, 16])
        let dy = Tensor.random(shape: [4], seed: 47)
        let dx = Reference.dropout(dy, mask: mask, probability: 0.75)
        let error = FiniteDifference.error(of: dx, at: x) {
            Reference.dropout($0, mask: mask, probability: 0.75).dot(dy)
        }
        #expect(error < gradientTolerance)
    }
}
