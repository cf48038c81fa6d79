import DeviceLayer
import Reference
import Testing

@testable import Graph
@testable import Operators

extension OperatorsTests {
    @Suite struct ConvolutionTests {
        /// On registers of 16 floats, of 8, in work-groups, and in those on matrix units, which devices without emulate.
        enum Kernels {
            case wide, narrow, gpu, tf32, bfloat16

            /// What matrix units multiply.
            var operands: MatrixOperands? { self == .tf32 ? .tf32 : self == .bfloat16 ? .bfloat16 : nil }
            var arithmetic: ConvolutionArithmetic { operands.map { $0 == .tf32 ? .tf32 : .bfloat16 } ?? .float32 }
            var family: KernelFamily { self == .wide || self == .narrow ? .cpu : .gpu }
            var isEmulated: Bool {
                get throws { try operands.map { try TestDevice.matrixLibrary().matrixUnits($0) == .emulated } ?? false }
            }
            func library() throws -> KernelLibrary {
                switch self {
                case .wide, .gpu: try TestDevice.library(family)
                case .narrow: try TestDevice.narrowLibrary()
                case .tf32, .bfloat16: try TestDevice.matrixLibrary()
                }
            }
        }

        /// Every third case on narrow registers: each tile is a kernel to compile; and on matrix units where they are emulated, which
        /// takes long.
        private static let algorithmCases = ConvolutionCase.all.enumerated().flatMap { index, one in
            let isCPU = TestDevice.families.contains(.cpu)
            var kernels = [Kernels.gpu]
            if isCPU { kernels += index % 3 == 1 ? [.wide, .narrow] : [.wide] }
            if !isCPU || one.multiplyAccumulates <= 4_000_000, one.tiledMultiplyAccumulates <= Simulation.mostEmulated {
                if !isCPU || index % 3 == 2 { kernels.append(.tf32) }
                if !isCPU || index % 3 == 0 || one.compact { kernels.append(.bfloat16) }
            }
            return kernels.map { (one, $0) }
        }

        /// Every algorithm that computes a pass of a case, not only what its shape suggests.
        @Test(arguments: algorithmCases)
        func everyAlgorithmMatchesReference(a: ConvolutionCase, kernels: Kernels) throws {
            let (family, arithmetic) = (kernels.family, kernels.arithmetic)
            let reference = ConvolutionReference.of(a, kernels.operands)
            let geometry = ConvolutionGeometry(
                kernelHeight: a.kernel, kernelWidth: a.kernel, stride: a.stride, dilation: a.dilation,
                padding: a.padding)
            let input = Shape(reference.x.shape, compact: a.compact)
            let problems = [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient].map {
                ConvolutionProblem($0, geometry, input: input, outputs: a.k)
            }
            let candidates = try problems.map { problem in
                let all = try ConvolutionAlgorithm.candidates(for: problem, family: family, arithmetic: arithmetic)
                    .filter {
                        if let operands = $0.operands {
                            return try TestDevice.holds(try #require(WorkGroupTile($0)), operands)
                        }
                        // CLBlast's kernels are not ours to simulate.
                        return kernels.operands == nil && !($0 == .clblast && TestDevice.isSimulated)
                    }
                let number = try #require(ConvolutionCase.all.firstIndex(of: a))
                guard kernels.operands != nil else {
                    return TestDevice.isSimulated ? Simulation.sample(all, 2, from: number) : all
                }
                // Matrix units have every third case. Emulated tiles take long to compile: all of them are tried on plain cases.
                return try kernels.isEmulated && (TestDevice.isSimulated || a.bias || a.compact)
                    ? Simulation.sample(all, 1, from: number / 3) : all
            }
            var sums: [String: [UInt32]] = [:]
            for round in 0..<(candidates.map(\.count).max() ?? 0) {
                let chosen = candidates.map { $0[min(round, $0.count - 1)] }
                let trial = try Trial(kernels.library())
                trial.graph.choices = AlgorithmChoices(
                    arithmetic, measured: Dictionary(uniqueKeysWithValues: zip(problems, chosen)))
                try reference.record(a, in: trial)
                let used = trial.graph.nodes.compactMap { node -> ConvolutionAlgorithm? in
                    switch node.operation {
                    case let operation as Convolution: operation.algorithm
                    case let operation as ConvolutionInputGradient: operation.algorithm
                    case let operation as ConvolutionWeightGradient: operation.algorithm
                    default: nil
                    }
                }
                #expect(used == chosen)
                let results = try trial.runTwice()
                try reference.expect(results)
                // Every tile of the direct sum gives the same bits, on matrix units too.
                for (name, algorithm) in zip(["y", "dx", "dw"], chosen)
                where algorithm.isExact || algorithm.operands != nil {
                    let words = try results.words(name)
                    #expect(sums[name, default: words] == words, "\(name) by \(algorithm)")
                    sums[name] = words
                }
                let plan = try #require(trial.plan)
                #expect(
                    plan.launches.count { $0.site.name == MatrixProductSite.name } == chosen.count { $0 == .clblast })
                #expect(plan.launches.reduce(0) { $0 + $1.site.multiplyAccumulates } == plan.multiplyAccumulates)
            }
        }

        /// Direct tiles of one and two vectors, a tile moved left, the stem, Winograd with tiles beyond the image.
        @Test(
            arguments: TestDevice.families.map { $0 == .cpu ? Kernels.wide : .gpu } + [.bfloat16],
            ConvolutionCase.epilogues)
        func epilogueFollowsTheSum(kernels: Kernels, a: ConvolutionCase) throws {
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
            trial.graph.choices = AlgorithmChoices(kernels.arithmetic)
            if a == .pointwise, kernels == .gpu, !TestDevice.isSimulated {
                let problem = ConvolutionProblem(
                    .forward, ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1), input: Shape(reference.x.shape),
                    outputs: a.k)
                trial.graph.choices = AlgorithmChoices(measured: [problem: .clblast])
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
            let geometry = ConvolutionGeometry(
                kernelHeight: a.kernel, kernelWidth: a.kernel, stride: a.stride, dilation: a.dilation,
                padding: a.padding)
            let (x, dy) = (try trial.input("x", reference.x), try trial.input("dy", reference.dy))
            let flipped = trial.graph.packedWeights(try trial.parameter("w", reference.w), flipped: true)
            trial.apply("dx", ConvolutionInputGradient(geometry, inputShape: x.shape), dy, flipped)
            trial.apply("dw", ConvolutionWeightGradient(geometry, weightShape: Shape(reference.w.shape)), x, dy)
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

        /// More tiles, weights and sums than are transformed at a time: the last ones of each chunk, slice and block too.
        @Test(.enabled(if: Simulation.takes(1 << 30)), arguments: TestDevice.families)
        func winogradTakesManyChunks(family: KernelFamily) throws {
            let x = Tensor.random(shape: [1, 92, 95, 288], seed: 20)
            let w = Tensor.random(shape: [3, 3, 288, 320], seed: 21)
            let dy = Tensor.random(shape: [1, 92, 95, 320], seed: 22)
            let geometry = ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, padding: 1)
            let problems = [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient].map {
                ConvolutionProblem($0, geometry, input: Shape(x.shape), outputs: 320)
            }
            let results = try [true, false].map { isExact in
                let trial = try Trial(family)
                trial.graph.choices = AlgorithmChoices(
                    isExact ? .exact : .float32,
                    measured: Dictionary(uniqueKeysWithValues: problems.map { ($0, .winograd(tile: 4)) }))
                let (input, weights) = (try trial.input("x", x), try trial.parameter("w", w))
                let y = trial.graph.convolution(input, weights: weights, padding: 1)
                trial.graph.output("y", y)
                trial.gradients(of: y, along: try trial.input("dy", dy), for: ["dx": input, "dw": weights])
                let chosen = trial.graph.nodes.compactMap { ($0.operation as? Convolution)?.algorithm }
                #expect(chosen == [isExact ? .direct() : .winograd(tile: 4)])
                return isExact ? try trial.run() : try trial.runTwice()
            }
            for name in ["y", "dx", "dw"] {
                try results[1].expect(name, try results[0].tensor(name), tolerance: 3e-5)
                #expect(try results[0].words(name) != results[1].words(name))
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
            let geometry = ConvolutionGeometry(
                kernelHeight: 3, kernelWidth: 3, dilation: a.dilation, padding: a.padding)
            let reference = ConvolutionReference.of(a)
            // The input gradient writes what the forward pass reads: multiples of 32.
            let passes: [ConvolutionProblem.Pass] =
                [.forward, .weightGradient] + (a.c % 32 == 0 ? [.dataGradient] : [])
            let problems = passes.map {
                ConvolutionProblem($0, geometry, input: Shape(reference.x.shape), outputs: a.k)
            }
            let trial = try Trial(family)
            trial.graph.choices = AlgorithmChoices(
                measured: Dictionary(uniqueKeysWithValues: problems.map { ($0, choice.algorithm) }))
            try reference.record(a, in: trial)
            let used = trial.graph.nodes.flatMap { node in
                [
                    (node.operation as? Convolution)?.algorithm,
                    (node.operation as? ConvolutionInputGradient)?.algorithm,
                    (node.operation as? ConvolutionWeightGradient)?.algorithm,
                ].compactMap { $0 }
            }
            #expect(used.count { $0 == choice.algorithm } == passes.count, "\(used)")
            try reference.expect(try trial.runTwice())
        }

        /// A work-item of Winograd's products takes no more tiles than there are.
        @Test func winogradTilesPerWorkItem() {
            for count in 1...200 {
                for accumulators in [6, RegisterTile.wideAccumulators] {
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
