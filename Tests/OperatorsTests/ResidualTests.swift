import Reference
import Testing

@testable import Graph
@testable import Operators

extension OperatorsTests {
    @Suite struct ResidualTests {
        static let shapes = [[1, 1, 1, 1], [2, 5, 7, 19], [3, 4, 4, 64], [1, 61, 83, 16]]

        @Test(arguments: KernelFamily.allCases, shapes)
        func selectedBlock(family: KernelFamily, shape: [Int]) throws {
            let tensors = (0..<3).map { Tensor.random(shape: shape, seed: UInt64(1 + $0)) }
            let trial = try Trial(family)
            let (r, f) = (try trial.input("r", tensors[0]), try trial.input("f", tensors[1]))
            let y = trial.apply("y", ResidualAdd(), r, f)
            trial.gradients(of: y, along: try trial.input("dy", tensors[2]), for: ["dr": r, "df": f])
            let results = try trial.runTwice()
            let expected = Reference.residualAddReLU(residual: tensors[0], branch: tensors[1])
            let gradients = Reference.residualAddReLUGradient(y: expected, dy: tensors[2])
            try results.expect("y", expected, tolerance: 1e-6)
            try results.expect("dr", gradients.dResidual, tolerance: 0)
            try results.expect("df", gradients.dBranch, tolerance: 0)
        }

        @Test(arguments: KernelFamily.allCases, shapes)
        func mixedBlock(family: KernelFamily, shape: [Int]) throws {
            let tensors = (0..<3).map { Tensor.random(shape: shape, seed: UInt64(4 + $0)) }
            let gates = Tensor(shape: [4, 2], values: [0.5, 0.5, 0.25, 0.75, 0.9375, 0.0625, 1, 0])
            for block in [0, 2, 3] {
                let trial = try Trial(family)
                let (r, f) = (try trial.input("r", tensors[0]), try trial.input("f", tensors[1]))
                let v = try trial.input("v", gates)
                let y = trial.apply("y", ResidualMix(block: block), r, f, v)
                trial.gradients(of: y, along: try trial.input("dy", tensors[2]), for: ["dr": r, "df": f, "dv": v])
                let results = try trial.runTwice()

                let (vSelect, vSkip) = (gates[block, 0], gates[block, 1])
                let expected = Reference.mixedResidual(
                    residual: tensors[0], branch: tensors[1], vSelect: vSelect, vSkip: vSkip)
                let gradients = Reference.mixedResidualGradient(
                    residual: tensors[0], branch: tensors[1], vSelect: vSelect, vSkip: vSkip, dy: tensors[2])
                var dv = Tensor.zeros(shape: [4, 2])
                dv[block, 0] = gradients.dvSelect
                dv[block, 1] = gradients.dvSkip
                try results.expect("y", expected, tolerance: 1e-6)
                try results.expect("dr", gradients.dResidual, tolerance: 1e-6)
                try results.expect("df", gradients.dBranch, tolerance: 1e-6)
                try results.expect("dv", dv)

                // Negative control: exchanged gates must not pass.
                let exchanged = Reference.mixedResidual(
                    residual: tensors[0], branch: tensors[1], vSelect: vSkip, vSkip: vSelect)
                if vSkip != vSelect { #expect(try results.error("y", exchanged) > 0.01) }
            }
        }

        /// Gate gradients of several blocks add up, each in its row.
        @Test(arguments: KernelFamily.allCases)
        func twoMixedBlocksShareTheGates(family: KernelFamily) throws {
            let tensors = (0..<4).map { Tensor.random(shape: [2, 3, 3, 19], seed: UInt64(7 + $0)) }
            let gates = Tensor(shape: [2, 2], values: [0.25, 0.75, 0.875, 0.125])
            let trial = try Trial(family)
            let (x, v) = (try trial.input("x", tensors[0]), try trial.input("v", gates))
            let (f, g) = (try trial.input("f", tensors[1]), try trial.input("g", tensors[2]))
            let middle = trial.apply("middle", ResidualMix(block: 0), x, f, v)
            let y = trial.apply("y", ResidualMix(block: 1), middle, g, v)
            trial.gradients(of: y, along: try trial.input("dy", tensors[3]), for: ["dx": x, "dv": v])
            let results = try trial.runTwice()

            let first = Reference.mixedResidual(residual: tensors[0], branch: tensors[1], vSelect: 0.25, vSkip: 0.75)
            let top = Reference.mixedResidualGradient(
                residual: first, branch: tensors[2], vSelect: 0.875, vSkip: 0.125, dy: tensors[3])
            let bottom = Reference.mixedResidualGradient(
                residual: tensors[0], branch: tensors[1], vSelect: 0.25, vSkip: 0.75, dy: top.dResidual)
            try results.expect("dx", bottom.dResidual)
            let dv = [bottom.dvSelect, bottom.dvSkip, top.dvSelect, top.dvSkip]
            try results.expect("dv", Tensor(shape: [2, 2], values: dv))
            #expect(try results.error("dv", Tensor(shape: [2, 2], values: dv.reversed())) > 0.01)
        }

        /// A drawn gate that selected its block has the mixed block's gradient at gates (1, 0), without the branch's value.
        @Test(arguments: KernelFamily.allCases)
        func drawnGatesHaveTheMixedGradient(family: KernelFamily) throws {
            let tensors = (0..<3).map { Tensor.random(shape: [2, 5, 3, 19], seed: UInt64(17 + $0)) }
            let y = Reference.residualAddReLU(residual: tensors[0], branch: tensors[1])
            let trial = try Trial(family)
            let inputs = [try trial.input("y", y), try trial.input("r", tensors[0]), try trial.input("dy", tensors[2])]
            trial.apply("dv", DrawnGateGradient(block: 2, blocks: 5), inputs[0], inputs[1], inputs[2])
            let results = try trial.runTwice()
            let gradients = Reference.mixedResidualGradient(
                residual: tensors[0], branch: tensors[1], vSelect: 1, vSkip: 0, dy: tensors[2])
            var dv = Tensor.zeros(shape: [5, 2])
            (dv[2, 0], dv[2, 1]) = (gradients.dvSelect, gradients.dvSkip)
            try results.expect("dv", dv)
            (dv[2, 0], dv[2, 1]) = (gradients.dvSkip, gradients.dvSelect)
            #expect(try results.error("dv", dv) > 0.01, "negative control")
        }

        /// A broken activation must reach the loss, where the finite check sees it.
        @Test(arguments: KernelFamily.allCases)
        func nanPasses(family: KernelFamily) throws {
            let (r, f) = (
                Tensor(shape: [3], values: [1, .nan, -4]), Tensor(shape: [3], values: [.nan, 1, 1])
            )
            let trial = try Trial(family)
            let inputs = [try trial.input("r", r), try trial.input("f", f)]
            let gates = try trial.input("v", Tensor(shape: [1, 2], values: [0.5, 0.5]))
            trial.apply("add", ResidualAdd(), inputs[0], inputs[1])
            trial.apply("mix", ResidualMix(block: 0), inputs[0], inputs[1], gates)
            let results = try trial.run()
            let (added, mixed) = (try results.values("add"), try results.values("mix"))
            #expect(added[0].isNaN && added[1].isNaN && added[2] == 0)
            #expect(mixed[0].isNaN && mixed[1].isNaN && mixed[2] == -2)
        }
    }
}
