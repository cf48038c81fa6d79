import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators
@testable import AdaShareTraining

extension TrainingTests {
    /// Single operators and their gradients against PyTorch, every case of both files.
    @Suite struct GoldenOperatorTests {
        private func operators(_ name: String, _ family: KernelFamily) throws -> GoldenOperatorRun {
            try GoldenOperatorRun(try .golden("operators"), name, family)
        }

        @Test(
            arguments: TestDevice.families,
            [
                "3x3_s1", "3x3_s2", "3x3_s2_even", "3x3_d2", "3x3_d4", "3x3_d12", "7x7_s2", "1x1_s2", "1x1_bias",
                "3x3_one_pixel",
            ])
        func convolution(family: KernelFamily, name: String) throws {
            let run = try GoldenOperatorRun(try .golden("operators_convolution"), "conv_\(name)", family)
            let attributes = try run.floats("attributes").map { Int($0) }
            let (x, w) = (try run.input("x"), try run.input("w"))
            let hasBias = run.file.tensors["conv_\(name).b"] != nil
            let b = hasBias ? try run.input("b") : nil
            let y = run.graph.convolution(
                x, weights: w, bias: b, stride: attributes[0], dilation: attributes[2], padding: attributes[1])
            if let b {
                try run.expect(y: y, gradients: ["x": x, "w": w, "b": b])
            } else {
                try run.expect(y: y, gradients: ["x": x, "w": w])
            }
            try run.compare()
        }

        @Test(arguments: TestDevice.families)
        func batchNorm(family: KernelFamily) throws {
            // Running statistics go on from case to case.
            let state = try operators("batch_norm", family)
            var statistics = try (state.floats("running_mean"), state.floats("running_var"))
            for name in ["batch_norm_train1", "batch_norm_train2"] {
                let run = try operators(name, family)
                let shape = Shape([statistics.0.count])
                try run.executor.store.write("mean", shape, statistics.0)
                try run.executor.store.write("variance", shape, statistics.1)
                let (x, w, b) = (try run.input("x"), try run.input("w"), try run.input("b"))
                let result = run.graph.batchNorm(x, gamma: w, beta: b)
                let (mean, variance) = (run.graph.parameter("mean", shape), run.graph.parameter("variance", shape))
                let tracked = try run.integers("tracked", [0])
                let flag = try run.integers("flag", [0, 0])
                run.graph.updateStatistics(
                    towards: result.statistics, mean: mean, variance: variance, tracked: tracked, paths: 1, flag: flag)
                try run.expect(y: result.y, gradients: ["x": x, "w": w, "b": b])
                try run.compare()
                statistics = try (run.executor.store.read("mean"), run.executor.store.read("variance"))
                #expect(try run.difference("running_mean", statistics.0) <= GoldenOperatorRun.tolerance)
                #expect(try run.difference("running_var", statistics.1) <= GoldenOperatorRun.tolerance)
                #expect(try run.executor.store.readIntegers("tracked") == [1])
            }
            let run = try operators("batch_norm_eval", family)
            let shape = Shape([statistics.0.count])
            try run.executor.store.write("mean", shape, statistics.0)
            try run.executor.store.write("variance", shape, statistics.1)
            // The engine has no gradient of inference; the file's is not compared. It normalises what a convolution
            // sums, here x itself.
            let channels = statistics.0.count
            let unit = Shape([1, 1, channels, channels])
            try run.executor.store.write(
                "unit", unit, (0..<unit.count).map { Float($0 % (channels + 1) == 0 ? 1 : 0) })
            let affine = try run.graph.record(
                BatchNormAffine(),
                [
                    run.input("w"), run.input("b"), run.graph.parameter("mean", shape),
                    run.graph.parameter("variance", shape),
                ])
            let y = run.graph.convolution(
                try run.input("x"), weights: run.graph.parameter("unit", unit), affine: (affine[0], affine[1]))
            run.expect("y", y)
            try run.compare()
        }

        @Test(arguments: TestDevice.families, ["even", "odd", "one_pixel"])
        func maxPool(family: KernelFamily, name: String) throws {
            let run = try operators("max_pool_\(name)", family)
            let x = try run.input("x")
            try run.expect(y: run.graph.record(MaxPool(ceilMode: true), [x])[0], gradients: ["x": x])
            try run.compare()
        }

        @Test(arguments: TestDevice.families)
        func residuals(family: KernelFamily) throws {
            /// f through a batch norm that leaves it as it is, and the tail.
            func end(_ run: GoldenOperatorRun, _ tail: BatchNormNormalise.Tail, _ f: Value, _ operands: [Value]) throws
                -> Value
            {
                let channels = Shape([f.shape.channels])
                let constants: [(String, Float)] = [("gamma", 1), ("beta", 0), ("mean", 0), ("inverse", 1)]
                let values = try constants.map { name, number in
                    try run.executor.store.write(name, channels, [Float](repeating: number, count: channels.count))
                    return run.graph.parameter(name, channels)
                }
                return run.graph.record(BatchNormNormalise(tail: tail), [f] + values + operands)[0]
            }
            // The gradient of f goes on through the batch's statistics, which the file knows nothing of.
            let add = try operators("residual_add_relu", family)
            var (r, f) = (try add.input("res"), try add.input("f"))
            try add.expect(y: end(add, .addReLU, f, [r]), gradients: ["res": r])
            try add.compare()

            let mix = try operators("mixed_residual", family)
            (r, f) = (try mix.input("res"), try mix.input("f"))
            let v = try mix.input("v", as: [1, 2])
            try mix.expect(y: end(mix, .mix(row: 0), f, [r, v]), gradients: ["res": r, "v": v])
            try mix.compare()
        }

        @Test(arguments: TestDevice.families)
        func averageAndLinear(family: KernelFamily) throws {
            let average = try operators("global_average_pool", family)
            let image = try average.input("x")
            try average.expect(y: average.graph.record(GlobalAveragePool(), [image])[0], gradients: ["x": image])
            try average.compare()

            let linear = try operators("linear", family)
            let x = try linear.input("x", as: [4, 1, 1, 19])
            let (w, b) = (try linear.input("w"), try linear.input("b"))
            try linear.expect(
                y: linear.graph.convolution(x, weights: w, bias: b), gradients: ["x": x, "w": w, "b": b])
            try linear.compare()
        }

        @Test(arguments: TestDevice.families)
        func nearestResize(family: KernelFamily) throws {
            for (name, height, width) in [("down", 5, 6), ("up", 17, 19)] {
                let run = try operators("resize_nearest_\(name)", family)
                let x = try run.input("x")
                run.expect("y", run.graph.record(NearestResize(height: height, width: width), [x])[0])
                try run.compare()
            }
        }

        @Test(arguments: TestDevice.families)
        func taskLosses(family: KernelFamily) throws {
            func check(
                _ name: String, _ kind: LossKind, label: (GoldenOperatorRun) throws -> Value, weighted: Bool = false
            ) throws {
                let run = try operators(name, family)
                let x = try run.input("x")
                let inputs = try [x, label(run)] + (weighted ? [run.input("weights")] : [])
                try run.expect(y: run.graph.record(TaskLoss(kind), inputs)[0], gradients: ["x": x])
                try run.compare()
            }
            try check("cross_entropy", .crossEntropy(ignore: 255), label: { try $0.labels("labels") })
            try check(
                "cross_entropy_weighted", .crossEntropy(ignore: 255), label: { try $0.labels("labels") },
                weighted: true)
            try check("cross_entropy_ignore_minus_one", .crossEntropy(ignore: -1), label: { try $0.labels("labels") })
            try check("cosine_exact", .cosine(published: false), label: { try $0.input("colours", compact: true) })
            try check("cosine_published", .cosine(published: true), label: { try $0.input("colours", compact: true) })
            try check("masked_l1", .absolutePositive, label: { try $0.input("target", compact: true) })
        }

        /// Negative control: the other form of the cosine, and forgotten class weights, must not pass.
        @Test func otherLossesDiffer() throws {
            for (name, label, kind) in [
                ("cosine_exact", "colours", LossKind.cosine(published: true)),
                ("cross_entropy_weighted", "labels", .crossEntropy(ignore: 255)),
            ] {
                let run = try operators(name, TestDevice.nativeFamily())
                let x = try run.input("x")
                let labels = try label == "labels" ? run.labels(label) : run.input(label, compact: true)
                try run.expect(y: run.graph.record(TaskLoss(kind), [x, labels])[0], gradients: ["x": x])
                for (part, difference) in try run.differences() { #expect(difference > 1e-3, "\(name).\(part)") }
            }
        }
    }
}
