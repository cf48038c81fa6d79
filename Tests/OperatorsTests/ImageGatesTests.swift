import Foundation
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    /// Decisions of each image, and what follows them.
    @Suite struct ImageGatesTests {
        /// Images and blocks: rows within and beyond the pads.
        static let sizes = [[1, 1], [3, 8], [2, 16], [5, 33]]

        static func logits(_ size: [Int], seed: UInt64) -> Tensor {
            var z = Tensor.random(shape: size, seed: seed, scale: 3)
            if z.count > 2 { (z.values[0], z.values[1], z.values[2]) = (30, -30, 0) }
            return z
        }

        @Test(arguments: TestDevice.families, sizes)
        func gatesAndTheirGradient(family: KernelFamily, size: [Int]) throws {
            let (z, u) = (Self.logits(size, seed: 1), Tensor.randomUniforms(shape: size, seed: 2))
            let dv = Tensor.random(shape: size, seed: 3)
            for temperature in [5.0, 0.5] {
                let trial = try Trial(family)
                trial.state.temperature = Float(temperature)
                // As a linear layer puts them out.
                let logits = try trial.parameter("z", Tensor(shape: [size[0], 1, 1, size[1]], values: z.values))
                let outputs = trial.graph.record(ImageGates(), [logits, try trial.input("u", u), trial.graph.step])
                trial.graph.output("v", outputs[0])
                trial.graph.output("soft", outputs[1])
                trial.apply("decided", DecidedGates(), logits)
                trial.gradients(of: outputs[0], along: try trial.input("dv", dv), for: ["dz": logits])
                let results = try trial.runTwice()
                let sample = Reference.imageGates(logits: z, uniforms: u, temperature: temperature)
                try results.expect("v", sample.v)
                try results.expect("soft", sample.soft)
                try results.expect("decided", z.map { $0 >= 0 ? 1 : 0 })
                let dz = sample.slope.zip(dv, *)
                try results.expect("dz", Tensor(shape: [size[0], 1, 1, size[1]], values: dz.values))
                // A Gumbel-Softmax of two classes: the noise of one is that of ½, of the other what makes the rest.
                let two = Tensor(shape: [z.count, 2], values: z.values.flatMap { [$0, 0] })
                let noise = Tensor(
                    shape: two.shape,
                    values: u.values.flatMap {
                        $0 > 0.5 ? [pow(2, -(1 - $0) / $0), 0.5] : [0.5, pow(2, -$0 / (1 - $0))]
                    })
                let gumbel = Reference.gumbelSoftmax(logits: two, uniforms: noise, temperature: temperature)
                let weights = Tensor(shape: size, values: (0..<z.count).map { gumbel.soft[$0, 0] })
                try results.expect("soft", weights)
                let other = Reference.imageGates(logits: z, uniforms: u, temperature: temperature * 0.9)
                if z.count > 2 { #expect(try results.error("soft", other.soft) > 1e-3, "negative control") }
            }
        }

        @Test(arguments: TestDevice.families, [[1, 1, 1, 1], [3, 5, 7, 19], [2, 40, 52, 64]])
        func selection(family: KernelFamily, shape: [Int]) throws {
            let (a, b) = (Tensor.random(shape: shape, seed: 1), Tensor.random(shape: shape, seed: 2))
            let dy = Tensor.random(shape: shape, seed: 3)
            var gates = Tensor.random(shape: [shape[0], 9], seed: 4)
            // What is drawn is 0 or 1; the operator takes anything.
            gates[0, 4] = 1
            if shape[0] > 1 { gates[1, 4] = 0 }
            let trial = try Trial(family)
            let inputs = [try trial.input("a", a), try trial.input("b", b), try trial.parameter("v", gates)]
            let y = trial.graph.record(ImageSelect(column: 4), inputs)[0]
            trial.graph.output("y", y)
            // A tensor that nothing else reads is overwritten.
            let copy = trial.graph.record(Scale(1), [inputs[0]])[0]
            trial.graph.output("in place", trial.graph.record(ImageSelect(column: 4), [copy] + inputs.dropFirst())[0])
            trial.gradients(
                of: y, along: try trial.input("dy", dy), for: ["da": inputs[0], "db": inputs[1], "dv": inputs[2]])
            let results = try trial.runTwice()
            let expected = Reference.imageSelect(a, b, gates: gates, column: 4, dy: dy)
            try results.expect("y", expected.y, tolerance: 1e-6)
            #expect(try results.words("in place") == results.words("y"))
            try results.expect("da", expected.da, tolerance: 1e-6)
            try results.expect("db", expected.db, tolerance: 1e-6)
            try results.expect("dv", expected.dv)
            // Of a drawn gate the one or the other, to the bit.
            let span = shape.dropFirst().reduce(1, *)
            #expect(try results.values("y").prefix(span) == a.floats.prefix(span))
            if shape[0] > 1 { #expect(try results.values("y")[span..<2 * span] == b.floats[span..<2 * span]) }
            let another = Reference.imageSelect(a, b, gates: gates, column: 5, dy: dy)
            #expect(try results.error("y", another.y) > 0.01, "negative control")
        }

        @Test(arguments: TestDevice.families, sizes)
        func blockUse(family: KernelFamily, size: [Int]) throws {
            let gates = Tensor.random(shape: size, seed: 1).map { $0 > -0.3 ? 1.0 : 0 }
            try check(family, BlockUse(), [gates]) { Reference.blockUse($0[0]) }
        }

        @Test(arguments: TestDevice.families, sizes)
        func losses(family: KernelFamily, size: [Int]) throws {
            let (z, other) = (
                Tensor.random(shape: size, seed: 5, scale: 3), Tensor.random(shape: size, seed: 6, scale: 3)
            )
            for (form, reference) in [(RegulariserForm.paper, PolicyLossForm.paper), (.published, .published)] {
                for layered in form == .paper ? [false] : [false, true] {
                    try check(family, ImageSparsityLoss(form: form, layered: layered), [z]) {
                        Reference.imageSparsity($0[0], form: reference, perLayerWeights: layered)
                    }
                }
                try check(family, ImageSharingLoss(form: form), [z, other]) {
                    Reference.imageSharing($0[0], $0[1], form: reference)
                }
            }
        }

        /// Compares a loss with a reference, and its gradients with differences of that.
        private func check(
            _ family: KernelFamily, _ operation: any Operator, _ inputs: [Tensor], _ reference: ([Tensor]) -> Double
        ) throws {
            let trial = try Trial(family)
            let values = try inputs.enumerated().map { try trial.parameter("x\($0.offset)", $0.element) }
            let loss = trial.graph.record(operation, values)[0]
            trial.graph.output("loss", loss)
            let half = trial.graph.record(Scale(0.5), [loss])[0]
            for (index, gradient) in trial.graph.gradients(of: half, for: values).enumerated() {
                trial.graph.output("d\(index)", try #require(gradient))
            }
            let results = try trial.runTwice()
            try results.expect("loss", .scalar(reference(inputs)))
            for (index, input) in inputs.enumerated() {
                let found = try results.tensor("d\(index)").map { 2 * $0 }
                results.expectCleanPads("d\(index)")
                let error = FiniteDifference.error(of: found, at: input) { moved in
                    var all = inputs
                    all[index] = moved
                    return reference(all)
                }
                #expect(error < 1e-4, "\(operation) \(index)")
                let wrong = FiniteDifference.error(of: found.map { 1.1 * $0 }, at: input) { moved in
                    var all = inputs
                    all[index] = moved
                    return reference(all)
                }
                // A block whose loss weighs nothing has no gradient.
                if found.maximumMagnitude > 1e-3 { #expect(wrong > 1e-2, "negative control") }
            }
        }

        /// Far logits overflow nothing; a broken one reaches the gates, and with them the loss.
        @Test(arguments: TestDevice.families)
        func extremesAndNaN(family: KernelFamily) throws {
            let trial = try Trial(family)
            let z = try trial.input("z", Tensor(shape: [1, 4], values: [-1000, 1000, .nan, 0]))
            let (low, high) = (Reference.uniform(bits: 0), Reference.uniform(bits: .max))
            let u = try trial.input("u", Tensor(shape: [1, 4], values: [high, low, low, low]))
            trial.apply("v", ImageGates(), z, u, trial.graph.step)
            trial.apply("sparsity", ImageSparsityLoss(form: .published), z)
            let results = try trial.run()
            let v = try results.values("v")
            #expect(v[0] == 0 && v[1] == 1 && v[2].isNaN && v[3] == 0)
            #expect(try results.values("sparsity")[0].isNaN)
        }

        /// A layer that nothing moves has no gradient but that of what passes it.
        @Test(arguments: TestDevice.families)
        func frozenBatchNormPassesItsGradientOn(family: KernelFamily) throws {
            let (shape, channels) = ([2, 5, 7, 19], [19])
            let (x, residual) = (Tensor.random(shape: shape, seed: 1), Tensor.random(shape: shape, seed: 2))
            let dy = Tensor.random(shape: shape, seed: 3)
            let gamma = Tensor.awayFromZero(shape: channels, seed: 4)
            let (beta, mean) = (Tensor.random(shape: channels, seed: 5), Tensor.random(shape: channels, seed: 6))
            let variance = Tensor.random(shape: channels, seed: 7).map { Double(Float(abs($0) + 0.5)) }
            let trial = try Trial(family)
            let inputs = [try trial.input("x", x), try trial.input("r", residual)]
            let state = try [gamma, beta, mean, variance].enumerated().map {
                try trial.parameter("s\($0.offset)", $0.element)
            }
            let y = trial.graph.batchNorm(
                inputs[0], gamma: state[0], beta: state[1], mean: state[2], variance: state[3],
                tail: .addReLU(residual: inputs[1]))
            trial.graph.output("y", y)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": inputs[0], "dr": inputs[1]])
            let results = try trial.runTwice()
            var (expected, dx, dr) = (x, dy, dy)
            for i in 0..<x.count {
                let c = i % 19
                let scale = gamma.values[c] / (variance.values[c] + 1e-5).squareRoot()
                let sum = residual.values[i] + scale * (x.values[i] - mean.values[c]) + beta.values[c]
                expected.values[i] = max(sum, 0)
                dr.values[i] = sum > 0 ? dy.values[i] : 0
                dx.values[i] = dr.values[i] * scale
            }
            try results.expect("y", expected)
            try results.expect("dx", dx)
            try results.expect("dr", dr)
            #expect(try results.error("dx", dr) > 0.01, "negative control")
        }
    }
}
