import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    @Suite struct ResidualTests {
        static let shapes = [[1, 1, 1, 1], [2, 5, 7, 19], [3, 4, 4, 64], [1, 61, 83, 16]]

        /// A block's last batch norm and the tensors around it.
        private struct End {
            let x, residual, dy, gamma, beta, z, mean, inverse: Tensor

            init(_ shape: [Int], seed: UInt64) {
                let channels = [shape[3]]
                x = .random(shape: shape, seed: seed)
                residual = .random(shape: shape, seed: seed + 1)
                dy = .random(shape: shape, seed: seed + 2)
                gamma = .awayFromZero(shape: channels, seed: seed + 3)
                beta = .random(shape: channels, seed: seed + 4)
                (z, mean, inverse, _) = Reference.batchNormTraining(x: x, gamma: gamma, beta: beta)
            }

            /// Records the end of the block and the gradients of all it reads.
            func record(_ trial: Trial, mixedBy gates: Value? = nil, row: Int = 0) throws {
                let (x, r) = (try trial.input("x", x), try trial.input("r", residual))
                let (gamma, beta) = (try trial.parameter("gamma", gamma), try trial.parameter("beta", beta))
                func tail(_ residual: Value) -> BatchNormTail {
                    gates.map { .mix(residual: residual, gates: $0, row: row) } ?? .addReLU(residual: residual)
                }
                let y = trial.graph.batchNorm(x, gamma: gamma, beta: beta, tail: tail(r)).y
                trial.graph.output("y", y)
                // Operands that nothing else reads are overwritten.
                let copies = [x, r].map { trial.graph.record(Scale(1), [$0])[0] }
                trial.graph.output(
                    "in place", trial.graph.batchNorm(copies[0], gamma: gamma, beta: beta, tail: tail(copies[1])).y)
                let dy = try trial.input("dy", dy)
                if let gates {
                    trial.gradients(
                        of: y, along: dy, for: ["dx": x, "dr": r, "dgamma": gamma, "dbeta": beta, "dv": gates])
                } else {
                    trial.gradients(of: y, along: dy, for: ["dx": x, "dr": r, "dgamma": gamma, "dbeta": beta])
                }
            }

            /// Compares the gradients of x, γ and β with those of a gradient of z.
            func expect(_ results: Results, dz: Tensor) throws {
                let gradients = Reference.batchNormBackward(
                    x: x, dy: dz, gamma: gamma, mean: mean, inverseDeviation: inverse)
                try results.expect("dx", gradients.dx)
                try results.expect("dgamma", gradients.dgamma)
                try results.expect("dbeta", gradients.dbeta)
                #expect(try results.words("in place") == results.words("y"))
            }
        }

        @Test(arguments: TestDevice.families, shapes)
        func selectedBlock(family: KernelFamily, shape: [Int]) throws {
            let end = End(shape, seed: 1)
            let trial = try Trial(family)
            try end.record(trial)
            let results = try trial.runTwice()
            let expected = Reference.residualAddReLU(residual: end.residual, branch: end.z)
            let gradients = Reference.residualAddReLUGradient(y: expected, dy: end.dy)
            try results.expect("y", expected)
            try results.expect("dr", gradients.dResidual, tolerance: 0)
            try end.expect(results, dz: gradients.dBranch)
        }

        @Test(arguments: TestDevice.families, shapes)
        func mixedBlock(family: KernelFamily, shape: [Int]) throws {
            let end = End(shape, seed: 11)
            let gates = Tensor(shape: [4, 2], values: [0.5, 0.5, 0.25, 0.75, 0.9375, 0.0625, 1, 0])
            for block in [0, 2, 3] {
                let trial = try Trial(family)
                try end.record(trial, mixedBy: try trial.input("v", gates), row: block)
                let results = try trial.runTwice()

                let (vSelect, vSkip) = (gates[block, 0], gates[block, 1])
                let expected = Reference.mixedResidual(
                    residual: end.residual, branch: end.z, vSelect: vSelect, vSkip: vSkip)
                let gradients = Reference.mixedResidualGradient(
                    residual: end.residual, branch: end.z, vSelect: vSelect, vSkip: vSkip, dy: end.dy)
                var dv = Tensor.zeros(shape: [4, 2])
                dv[block, 0] = gradients.dvSelect
                dv[block, 1] = gradients.dvSkip
                try results.expect("y", expected)
                try results.expect("dr", gradients.dResidual, tolerance: 1e-6)
                try results.expect("dv", dv)
                try end.expect(results, dz: gradients.dBranch)

                // Negative control: exchanged gates must not pass.
                let exchanged = Reference.mixedResidual(
                    residual: end.residual, branch: end.z, vSelect: vSkip, vSkip: vSelect)
                if vSkip != vSelect, shape != [1, 1, 1, 1] { #expect(try results.error("y", exchanged) > 0.01) }
            }
        }

        /// Gate gradients of several blocks add up, each in its row; the gradient of what both read, too.
        @Test(arguments: TestDevice.families)
        func twoMixedBlocksShareTheGates(family: KernelFamily) throws {
            let ends = [End([2, 3, 3, 19], seed: 21), End([2, 3, 3, 19], seed: 31)]
            let gates = Tensor(shape: [2, 2], values: [0.25, 0.75, 0.875, 0.125])
            let trial = try Trial(family)
            let v = try trial.input("v", gates)
            let r = try trial.input("r", ends[0].residual)
            var y = r
            for (block, end) in ends.enumerated() {
                y =
                    trial.graph.batchNorm(
                        try trial.input("x\(block)", end.x), gamma: try trial.parameter("gamma\(block)", end.gamma),
                        beta: try trial.parameter("beta\(block)", end.beta),
                        tail: .mix(residual: y, gates: v, row: block)
                    ).y
            }
            trial.gradients(of: y, along: try trial.input("dy", ends[1].dy), for: ["dr": r, "dv": v])
            let results = try trial.runTwice()

            let first = Reference.mixedResidual(
                residual: ends[0].residual, branch: ends[0].z, vSelect: 0.25, vSkip: 0.75)
            let top = Reference.mixedResidualGradient(
                residual: first, branch: ends[1].z, vSelect: 0.875, vSkip: 0.125, dy: ends[1].dy)
            let bottom = Reference.mixedResidualGradient(
                residual: ends[0].residual, branch: ends[0].z, vSelect: 0.25, vSkip: 0.75, dy: top.dResidual)
            try results.expect("dr", bottom.dResidual)
            let dv = [bottom.dvSelect, bottom.dvSkip, top.dvSelect, top.dvSkip]
            try results.expect("dv", Tensor(shape: [2, 2], values: dv))
            #expect(try results.error("dv", Tensor(shape: [2, 2], values: dv.reversed())) > 0.01)
        }

        /// A drawn gate that selected its block has the mixed block's gradient at gates (1, 0), without the branch's
        /// value.
        @Test(arguments: TestDevice.families)
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
        @Test(arguments: TestDevice.families)
        func nanPasses(family: KernelFamily) throws {
            let (r, f) = (
                Tensor(shape: [1, 1, 1, 3], values: [1, .nan, -4]), Tensor(shape: [1, 1, 1, 3], values: [.nan, 1, 1])
            )
            let trial = try Trial(family)
            let constants = try [("gamma", 1), ("beta", 0), ("mean", 0), ("inverse", 1)].map {
                try trial.parameter($0.0, .filled(shape: [3], with: $0.1))
            }
            let inputs = [try trial.input("f", f)] + constants + [try trial.input("r", r)]
            let gates = try trial.input("v", Tensor(shape: [1, 2], values: [0.5, 0.5]))
            for (name, operation, operands) in [
                ("add", BatchNormNormalise(tail: .addReLU), inputs),
                ("mix", BatchNormNormalise(tail: .mix(row: 0)), inputs + [gates]),
            ] {
                trial.graph.output(name, trial.graph.record(operation, operands)[0])
            }
            let results = try trial.run()
            let (added, mixed) = (try results.values("add"), try results.values("mix"))
            #expect(added[0].isNaN && added[1].isNaN && added[2] == 0)
            #expect(mixed[0].isNaN && mixed[1].isNaN && mixed[2] == -2)
        }
    }
}
