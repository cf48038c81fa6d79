import AdaShareDeviceLayer
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    @Suite struct ConvolutionTests {
        /// Direct tiles of one and two vectors, a tile moved left, the stem, Winograd with tiles beyond the image.
        @Test(
            arguments: TestDevice.families.map { $0 == .cpu ? ConvolutionKernels.wide : .gpu } + [.bfloat16],
            ConvolutionCase.epilogues)
        func epilogueFollowsTheSum(kernels: ConvolutionKernels, a: ConvolutionCase) throws {
            let reference = ConvolutionReference.of(a, kernels.operands)
            let element = kernels.arithmetic.activations
            func channels(_ seed: UInt64) -> Tensor { .random(shape: [a.k], seed: seed) }
            let (gamma, beta, mean) = (channels(31), channels(32), channels(33))
            let variance = channels(34).map { Double(Float(abs($0) + 0.01)) }
            let residual = Tensor.random(shape: reference.y.shape, seed: 35).map {
                element == .bfloat16 ? Double(BFloat16(Float($0)).float) : $0
            }
            let normalised = Reference.batchNormInference(
                x: reference.y, gamma: gamma, beta: beta, mean: mean, variance: variance)
            let trial = try Trial(kernels.library())
            trial.choices = AlgorithmChoices(kernels.arithmetic)
            if a == .pointwise, kernels == .gpu, !TestDevice.isSimulated {
                trial.choices = AlgorithmChoices(measured: [a.problem(.forward): .clblast])
            }
            let x = try trial.input(
                "x", reference.x, compact: a.compact, element: a.compact ? .float32 : element)
            let w = try trial.parameter("w", reference.w)
            let bias = try reference.bias.map { try trial.parameter("b", $0) }
            let statistics = [
                try trial.parameter("gamma", gamma), try trial.parameter("beta", beta),
                try trial.parameter("mean", mean), try trial.parameter("variance", variance),
            ]
            let affine = trial.graph.record(BatchNormAffine(), statistics)
            let r = try trial.input("r", residual, element: element)
            func apply(_ name: String, affine isAffine: Bool, residual isAdded: Bool, relu: Bool) {
                trial.graph.output(
                    name,
                    trial.graph.convolution(
                        x, weights: w, bias: bias, affine: isAffine ? (affine[0], affine[1]) : nil,
                        residual: isAdded ? r : nil, relu: relu, stride: a.stride, dilation: a.dilation,
                        padding: a.padding))
            }
            apply("relu", affine: false, residual: false, relu: true)
            apply("affine", affine: true, residual: false, relu: false)
            apply("added", affine: false, residual: true, relu: false)
            apply("all", affine: true, residual: true, relu: true)
            // A residual that nothing else reads is overwritten.
            let copy = trial.graph.record(Scale(1), [r])[0]
            trial.graph.output(
                "in place",
                trial.graph.convolution(
                    x, weights: w, bias: bias, affine: (affine[0], affine[1]), residual: copy, relu: true,
                    stride: a.stride, dilation: a.dilation, padding: a.padding))
            let results = try trial.runTwice()
            // Half a unit in the last place of the largest value, where it is stored in 16 bits.
            let tolerance = element == .bfloat16 ? 0x1p-8 : 2e-5
            try results.expect("relu", Reference.relu(reference.y), tolerance: tolerance)
            try results.expect("affine", normalised, tolerance: tolerance)
            try results.expect("added", reference.y.zip(residual) { $0 + $1 }, tolerance: tolerance)
            #expect(try results.words("in place") == results.words("all"))
            try results.expect(
                "all", Reference.residualAddReLU(residual: residual, branch: normalised), tolerance: tolerance)
            // Negative control: no part of it may be missing.
            #expect(try results.error("all", Reference.relu(normalised)) > 2 * tolerance)
            #expect(try results.error("all", reference.y) > 2 * tolerance)
        }

        /// ReLU and a residual in the epilogue: what passes follows from y.
        @Test(arguments: TestDevice.families)
        func gradientPassesTheEpiloguesReLU(family: KernelFamily) throws {
            let a = ConvolutionCase.biased
            let reference = ConvolutionReference.of(a)
            let trial = try Trial(family)
            let (x, w) = (try trial.input("x", reference.x), try trial.parameter("w", reference.w))
            let b = try trial.parameter("b", try #require(reference.bias))
            let residual = Tensor.random(shape: reference.y.shape, seed: 36)
            let r = try trial.input("r", residual)
            let y = trial.graph.convolution(x, weights: w, bias: b, residual: r, relu: true, padding: a.padding)
            trial.gradients(
                of: y, along: try trial.input("dy", reference.dy), for: ["dx": x, "dw": w, "db": b, "dr": r])
            let sum = reference.y.zip(residual) { $0 + $1 }
            let dy = Reference.reluGradient(y: Reference.relu(sum), dy: reference.dy)
            let results = try trial.runTwice()
            try results.expect(
                "dx",
                Reference.convolutionInputGradient(
                    dy: dy, w: reference.w, inputShape: [a.n, a.h, a.w, a.c], padding: 1))
            try results.expect(
                "dw", Reference.convolutionWeightGradient(x: reference.x, dy: dy, kernel: (3, 3), padding: 1),
                tolerance: 5e-5)
            try results.expect("db", Reference.biasGradient(dy: dy))
            try results.expect("dr", dy, tolerance: 0)
        }

        @Test(arguments: TestDevice.families, [ConvolutionCase.biased, ConvolutionCase.strided])
        func gradientOperatorsStandAlone(family: KernelFamily, a: ConvolutionCase) throws {
            let reference = ConvolutionReference.of(a)
            let trial = try Trial(family)
            let (x, dy) = (try trial.input("x", reference.x), try trial.input("dy", reference.dy))
            let w = try trial.parameter("w", reference.w)
            trial.apply("dx", ConvolutionInputGradient(a.geometry, inputShape: x.shape), dy, w)
            trial.apply("dw", ConvolutionWeightGradient(a.geometry, weightShape: a.weights), x, dy)
            trial.apply("db", ColumnSum(), dy)
            let results = try trial.runTwice()
            try results.expect("dx", reference.dx)
            try results.expect("dw", reference.dw, tolerance: 5e-5)
            try results.expect("db", reference.db)
        }

        @Test(arguments: TestDevice.families)
        func columnSumTakesManyChunks(family: KernelFamily) throws {
            let dy = Tensor.random(shape: [1, 61, 83, 19], seed: 5)
            let trial = try Trial(family)
            trial.apply("db", ColumnSum(), try trial.input("dy", dy))
            try trial.runTwice().expect("db", Reference.biasGradient(dy: dy))
        }

        @Test(arguments: TestDevice.families)
        func linearLayerIsAConvolutionOfOnePixel(family: KernelFamily) throws {
            let x = Tensor.random(shape: [3, 40], seed: 6)
            let w = Tensor.random(shape: [40, 19], seed: 7)
            let b = Tensor.random(shape: [19], seed: 8)
            let dy = Tensor.random(shape: [3, 19], seed: 9)
            let trial = try Trial(family)
            let input = try trial.input("x", x.reshaped([3, 1, 1, 40]))
            let weights = try trial.parameter("w", w.reshaped([1, 1, 40, 19]))
            let bias = try trial.parameter("b", b)
            let y = trial.graph.convolution(input, weights: weights, bias: bias)
            trial.graph.output("y", y)
            trial.gradients(
                of: y, along: try trial.input("dy", dy.reshaped([3, 1, 1, 19])),
                for: ["dx": input, "dw": weights, "db": bias])
            let results = try trial.runTwice()
            let gradients = Reference.linearGradients(x: x, w: w, dy: dy)
            try results.expect("y", Reference.linear(x: x, w: w, bias: b).reshaped([3, 1, 1, 19]))
            try results.expect("dx", gradients.dx.reshaped([3, 1, 1, 40]))
            try results.expect("dw", gradients.dw.reshaped([1, 1, 40, 19]))
            try results.expect("db", gradients.db)
        }

        /// More tiles, weights and sums than are held at a time: the last ones of each chunk, slice and block too.
        @Test(arguments: TestDevice.families)
        func winogradTakesManyChunks(family: KernelFamily) throws {
            let a = ConvolutionCase(h: 5, w: 13, c: 64, k: 96, kernel: 3)
            let reference = ConvolutionReference.of(a)
            let results = try [true, false].map { isExact in
                let trial = try Trial(family)
                trial.choices = AlgorithmChoices(
                    isExact ? .exact : .float32,
                    measured: Dictionary(
                        uniqueKeysWithValues: ConvolutionProblem.Pass.all.map { (a.problem($0), .winograd(tile: 4)) }))
                // Of eight tiles three forward (2, 3 and 3) and two backward; of 96 channels 64, of 64 gradients' 32.
                trial.choices.winogradMemory = WinogradMemory(
                    pixelBytes: 3 * 36 * 64 * 4, weightBytes: 64 * 36 * 64 * 4, gradientBytes: 48 * 48 * 36 * 4,
                    fewestTogether: 1)
                a.record(in: trial.graph)
                let algorithm: ConvolutionAlgorithm = isExact ? .direct() : .winograd(tile: 4)
                #expect(trial.algorithms == [algorithm, algorithm, algorithm])
                try reference.write(a, to: trial.executor.store, .float32)
                let results = try isExact ? trial.run() : trial.runTwice()
                let launched = try #require(trial.plan).launches.map(\.site.name)
                // Chunks times slices of both passes; blocks times chunks.
                #expect(launched.count { $0 == "winograd_products" } == (isExact ? 0 : 3 * 2 + 4 * 2))
                #expect(launched.count { $0 == "winograd_weight_products" } == (isExact ? 0 : 2 * 2 * 4))
                return results
            }
            try reference.expect(results[1])
            for name in ["y", "dx", "dw"] {
                try results[1].expect(name, try results[0].tensor(name), tolerance: 3e-5)
                #expect(try results[0].words(name) != results[1].words(name))
            }
        }

        /// What is held at a time by default: nothing is compiled.
        @Test(arguments: TestDevice.families)
        func winogradCutsWhatIsLarge(family: KernelFamily) throws {
            let a = ConvolutionCase(h: 92, w: 95, c: 288, k: 320, kernel: 3)
            func launches(_ pass: ConvolutionProblem.Pass) throws -> [String: Int] {
                let trial = ConvolutionTrial(
                    a: a, kernels: family == .cpu ? .wide : .gpu, pass: pass, algorithm: .winograd(tile: 4))
                return try trial.requests().reduce(into: [:]) { $0[$1.kernel, default: 0] += 1 }
            }
            // 552 tiles of 36 places, 288 or 320 channels of which are 23 or 25 MB; 320 × 288 sums of as many are 13
            // MB, in four blocks.
            for pass in [ConvolutionProblem.Pass.forward, .dataGradient] {
                let count = try launches(pass)
                #expect(count["winograd_input"] == 2 && count["winograd_products"] == 4, "\(pass): \(count)")
            }
            let count = try launches(.weightGradient)
            #expect(count["winograd_weight_gradient"] == 4, "\(count)")
            for channels in [288, 320] {
                let tiles = try #require(
                    WinogradTiles.cover(Shape([1, 92, 95, channels]), dilation: 1, size: 4).first)
                #expect(tiles.chunks(channels: channels).flatMap { Array($0) } == Array(0..<tiles.count))
            }
        }

        /// Small enough for Oclgrind: a tile of five, and whole phases of four and five pixels.
        @Test(
            arguments: TestDevice.families,
            [
                (ConvolutionCase(h: 5, w: 5, c: 32, k: 32, kernel: 3), ConvolutionAlgorithm.winograd(tile: 5)),
                (ConvolutionCase(h: 8, w: 9, c: 16, k: 32, kernel: 3, dilation: 2), .winogradPhases),
            ])
        func fivePixelsAtATime(family: KernelFamily, choice: (a: ConvolutionCase, algorithm: ConvolutionAlgorithm))
            throws
        {
            let a = choice.a
            let reference = ConvolutionReference.of(a)
            // The input gradient writes what the forward pass reads: multiples of 32.
            let passes = ConvolutionProblem.Pass.all.filter { $0 != .dataGradient || a.c % 32 == 0 }
            let trial = try Trial(family)
            trial.choices = AlgorithmChoices(
                measured: Dictionary(uniqueKeysWithValues: passes.map { (a.problem($0), choice.algorithm) }))
            a.record(in: trial.graph)
            let used = trial.algorithms
            #expect(used.count == 3)
            #expect(used.count { $0 == choice.algorithm } == passes.count, "\(used)")
            try reference.write(a, to: trial.executor.store, .float32)
            try reference.expect(try trial.runTwice())
        }

        /// A work-item of Winograd's products takes no more tiles than there are.
        @Test func winogradTilesPerWorkItem() {
            for count in 1...200 {
                for accumulators in [2, 6, RegisterTile.wideAccumulators] {
                    let pixels = WinogradConvolution.pixels(count, accumulators: accumulators)
                    #expect((1...count).contains(pixels), "\(count) tiles, \(accumulators) accumulators")
                }
            }
        }

        /// Packed weights outlive a step while the weights are frozen, and no longer.
        @Test(arguments: TestDevice.families)
        func changedWeightsArePackedAgain(family: KernelFamily) throws {
            let a = ConvolutionCase.dilated
            let reference = ConvolutionReference.of(a)
            let trial = try Trial(family)
            let w = try trial.parameter("w", reference.w)
            let y = trial.graph.convolution(
                try trial.input("x", reference.x), weights: w, dilation: a.dilation, padding: a.padding)
            trial.graph.output("y", y)
            try trial.run().expect("y", reference.y)
            let halved = reference.w.map { 0.5 * $0 }
            try trial.executor.store.write("w", w.shape, halved.floats)
            try trial.run().expect("y", reference.y.map { 0.5 * $0 })
        }

        /// Negative control: a reference of another dilation, stride or bias must not pass.
        @Test(arguments: TestDevice.families)
        func wrongReferenceIsNoticed(family: KernelFamily) throws {
            let x = Tensor.random(shape: [1, 9, 9, 16], seed: 10)
            let w = Tensor.random(shape: [3, 3, 16, 16], seed: 11)
            let dy = Tensor.random(shape: [1, 9, 9, 16], seed: 12)
            let trial = try Trial(family)
            let (input, weights) = (try trial.input("x", x), try trial.parameter("w", w))
            let y = trial.graph.convolution(input, weights: weights, dilation: 2, padding: 2)
            trial.graph.output("y", y)
            trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input, "dw": weights])
            let results = try trial.run()
            let biased = Reference.convolution(
                x: x, w: w, bias: .filled(shape: [16], with: 0.01), dilation: 2, padding: 2)
            #expect(try results.error("y", biased) > 1e-4)
            #expect(try results.error("y", Reference.convolution(x: x, w: w, padding: 1)) > 0.1)
            let dx = Reference.convolutionInputGradient(dy: dy, w: w, inputShape: x.shape, padding: 1)
            #expect(try results.error("dx", dx) > 0.1)
            let dw = Reference.convolutionWeightGradient(x: x, dy: dy, kernel: (3, 3), padding: 1)
            #expect(try results.error("dw", dw) > 0.1)

            let strided = try Trial(family)
            let z = strided.graph.convolution(
                try strided.input("x", x), weights: try strided.parameter("w", w), stride: 2, padding: 1)
            strided.graph.output("y", z)
            // Same output shape, [1, 5, 5, 16], by another path.
            let other = Reference.convolution(x: x, w: w, stride: 2, dilation: 2, padding: 2)
            #expect(try strided.run().error("y", other) > 0.1)
        }
    }
}
