import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    /// What joins the features of several tasks.
    @Suite struct TaskFusionTests {
        static let shapes = [[1, 1, 1, 1], [2, 5, 7, 19], [1, 40, 52, 64]]

        @Test(arguments: TestDevice.families, shapes)
        func channelMix(family: KernelFamily, shape: [Int]) throws {
            for count in [1, 2, 3, 4, 5, 9] {
                let terms = (0..<count).map { Tensor.random(shape: shape, seed: UInt64(1 + $0)) }
                let weights = Tensor.awayFromZero(shape: [count, shape[3]], seed: 20)
                let dy = Tensor.random(shape: shape, seed: 21)
                let trial = try Trial(family)
                let inputs = try terms.enumerated().map { try trial.input("x\($0.offset)", $0.element) }
                let w = try trial.parameter("w", weights)
                let y = trial.graph.record(ChannelMix(), inputs + [w])[0]
                trial.graph.output("y", y)
                // A tensor that nothing else reads is overwritten.
                let copy = trial.graph.record(Scale(1), [inputs[0]])[0]
                trial.graph.output("in place", trial.graph.record(ChannelMix(), [copy] + inputs.dropFirst() + [w])[0])
                trial.gradients(
                    of: y, along: try trial.input("dy", dy),
                    for: ["first": inputs[0], "last": inputs[count - 1], "dw": w])
                let results = try trial.runTwice()
                let (dTerms, dWeights) = Reference.channelMixGradient(terms, weights: weights, dy: dy)
                try results.expect("y", Reference.channelMix(terms, weights: weights), tolerance: 1e-6)
                #expect(try results.words("in place") == results.words("y"))
                try results.expect("first", dTerms[0], tolerance: 1e-6)
                try results.expect("last", dTerms[count - 1], tolerance: 1e-6)
                try results.expect("dw", dWeights)
                guard count > 1, shape[3] > 1 else { continue }
                // Negative control: the rows of the weights the other way round.
                let reversed = Reference.channelMix(terms.reversed(), weights: weights)
                #expect(try results.error("y", reversed) > 0.01)
            }
        }

        @Test(arguments: TestDevice.families, shapes)
        func sigmoidProduct(family: KernelFamily, shape: [Int]) throws {
            let (z, p) = (Tensor.random(shape: shape, seed: 1, scale: 8), Tensor.random(shape: shape, seed: 2))
            let dy = Tensor.random(shape: shape, seed: 3)
            let trial = try Trial(family)
            let inputs = [try trial.input("z", z), try trial.input("p", p)]
            let y = trial.apply("y", SigmoidProduct(), inputs[0], inputs[1])
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dz": inputs[0], "dp": inputs[1]])
            let results = try trial.runTwice()
            let (dz, dp) = Reference.sigmoidProductGradient(z, p, dy: dy)
            try results.expect("y", Reference.sigmoidProduct(z, p), tolerance: 1e-6)
            try results.expect("dz", dz, tolerance: 1e-5)
            try results.expect("dp", dp, tolerance: 1e-6)
            if shape[3] > 1 { #expect(try results.error("dz", dp) > 0.01, "negative control") }
        }

        @Test(arguments: TestDevice.families, [1, 2, 4])
        func subspaceMix(family: KernelFamily, subspaces: Int) throws {
            for (shape, count) in [([2, 5, 7, 64], 3), ([2, 3, 3, 64], 9), ([1, 40, 52, 128], 2)]
                + (subspaces == 1 ? [([1, 3, 3, 19], 5)] : [])
            {
                let terms = (0..<count).map { Tensor.random(shape: shape, seed: UInt64(1 + $0)) }
                let weights = Tensor.awayFromZero(shape: [subspaces, count * subspaces], seed: 20)
                let dy = Tensor.random(shape: shape, seed: 21)
                let trial = try Trial(family)
                let inputs = try terms.enumerated().map { try trial.input("x\($0.offset)", $0.element) }
                let w = try trial.parameter("w", weights)
                let y = trial.graph.record(SubspaceMix(subspaces: subspaces), inputs + [w])[0]
                trial.graph.output("y", y)
                trial.gradients(
                    of: y, along: try trial.input("dy", dy),
                    for: ["first": inputs[0], "last": inputs[count - 1], "dw": w])
                let results = try trial.runTwice()
                let (dTerms, dWeights) = Reference.subspaceMixGradient(terms, weights: weights, dy: dy)
                try results.expect("y", Reference.subspaceMix(terms, weights: weights), tolerance: 1e-6)
                try results.expect("first", dTerms[0], tolerance: 1e-6)
                try results.expect("last", dTerms[count - 1], tolerance: 1e-6)
                try results.expect("dw", dWeights)
                #expect(try results.error("first", dTerms[1]) > 0.01, "negative control")
            }
        }

        @Test(arguments: TestDevice.families, [([1, 1, 5, 32], 2), ([3, 3, 19, 48], 3), ([7, 7, 3, 64], 2)])
        func subspaceOverlap(family: KernelFamily, problem: ([Int], Int)) throws {
            let weights = Tensor.random(shape: problem.0, seed: 1, scale: 0.25)
            let trial = try Trial(family)
            let w = try trial.parameter("w", weights)
            let y = trial.graph.subspaceOverlap(w, subspaces: problem.1)
            trial.graph.output("y", y)
            trial.keepGradients(of: trial.graph.record(Scale(0.5), [y])[0], for: ["dw": w])
            let results = try trial.runTwice()
            let (value, gradient) = Reference.subspaceOverlap(weights, subspaces: problem.1)
            try results.expect("y", .scalar(value))
            try results.expect("dw", gradient.map { 0.5 * $0 })
            #expect(try results.error("dw", gradient) > 0.01, "negative control")
        }

        /// Weights are float32 where activations are stored in 16 bits, and multiplied on matrix units all the same.
        @Test(.enabled(if: TestDevice.families.contains(.gpu))) func subspaceOverlapOnMatrixUnits() throws {
            let weights = Tensor.random(shape: [3, 3, 16, 64], seed: 1, scale: 0.25)
            let trial = try Trial(try TestDevice.matrixLibrary())
            trial.choices = AlgorithmChoices(.bfloat16)
            let w = try trial.parameter("w", weights)
            let y = trial.graph.subspaceOverlap(w, subspaces: 2)
            trial.graph.output("y", y)
            trial.keepGradients(of: trial.graph.record(Scale(0.5), [y])[0], for: ["dw": w])
            let results = try trial.runTwice()
            let (value, gradient) = Reference.subspaceOverlap(weights, subspaces: 2)
            try results.expect("y", .scalar(value), tolerance: 2e-2)
            try results.expect("dw", gradient.map { 0.5 * $0 }, tolerance: 2e-2)
        }

        /// Far from 0 the exponential overflows; the sigmoid does not. A broken activation must reach the loss.
        @Test(arguments: TestDevice.families)
        func extremesAndNaN(family: KernelFamily) throws {
            let trial = try Trial(family)
            let z = Tensor(shape: [4], values: [-1000, 1000, .nan, 0])
            let p = Tensor(shape: [4], values: [3, 3, 3, .nan])
            let inputs = [try trial.input("z", z), try trial.input("p", p)]
            trial.apply("y", SigmoidProduct(), inputs[0], inputs[1])
            let weights = try trial.parameter("w", .filled(shape: [2, 4], with: 1))
            trial.graph.output("mix", trial.graph.record(ChannelMix(), inputs + [weights])[0])
            let results = try trial.run()
            let (y, mix) = (try results.values("y"), try results.values("mix"))
            #expect(y[0] == 0 && y[1] == 3 && y[2].isNaN && y[3].isNaN)
            #expect(mix[0] == -997 && mix[2].isNaN && mix[3].isNaN)
        }
    }
}
