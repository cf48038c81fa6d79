import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareOperators
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    /// Lists that were not written by this program, or for something else.
    @Suite struct AlgorithmListTests {
        private static func problem(_ input: [Int], outputs: Int, kernel: Int = 1, compact: Bool = false) -> String {
            """
            { "pass": "data_gradient", "input": \(input), "outputs": \(outputs), "kernel": [\(kernel), \(kernel)],
              "stride": 1, "dilation": 1, "padding": 0, "compact": \(compact) }
            """
        }

        private func read(_ problem: String, algorithm: String = "direct") throws -> RecordedAlgorithms? {
            let folder = try TemporaryFolder()
            let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
            let library = try TestDevice.library(.cpu)
            let text = """
                { "device": "another", "kernel_family": "cpu", "arithmetic": "float32",
                  "choices": [{ "problem": \(problem), "algorithm": "\(algorithm)", "chosen_by": "shape" }] }
                """
            try Data(text.utf8).write(to: run.algorithms)
            return try run.readAlgorithms(for: library, arithmetic: .float32)
        }

        /// Each size is one that a convolution may have; their products are not.
        @Test(arguments: [
            problem([16_777_215, 16_777_215, 16_777_215, 16_777_215], outputs: 16_777_215),
            problem([16_777_215, 1, 1, 1], outputs: 16_777_215), problem([1, 1, 1, 16_777_215], outputs: 16_777_215),
            problem([1, 60_000, 60_000, 1], outputs: 1), problem([1, 4000, 4000, 64], outputs: 64, kernel: 3999),
        ])
        func productsOfSizesAreBounded(problem: String) throws {
            let error = #expect(throws: InputError.self) { try read(problem) }
            let text = error?.description ?? ""
            #expect(text.contains("algorithms.json") && text.contains("a tensor of ["), "\(text)")
            #expect(text.contains("choices"), "\(text)")
        }

        @Test func largeButPossibleProblemsAreRead() throws {
            let found = try #require(try read(Self.problem([16, 480, 640, 64], outputs: 256, kernel: 3)))
            #expect(found.algorithms.count == 1)
        }

        /// Reading says which tile; who uses the list sets it.
        @Test func readingLeavesTheLibraryAlone() throws {
            let folder = try TemporaryFolder()
            let library = try KernelLibrary(context: try TestDevice.library(.gpu).context, family: .gpu)
            let problem = ConvolutionProblem(
                .forward, ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1), input: Shape([1, 32, 32, 192]),
                outputs: 192)
            library.productTile = .tile32x32
            let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
            try run.write(
                RecordedAlgorithms(AlgorithmChoices(measured: [problem: .clblast]), for: [problem], library: library))
            library.productTile = .tile128x128
            let recorded = try #require(try run.readAlgorithms(for: library, arithmetic: .float32))
            #expect(library.productTile == .tile128x128)
            guard MatrixProduct.isAvailable else {
                #expect(recorded.tile == nil && recorded.algorithms.isEmpty)
                return
            }
            #expect(recorded.tile == .tile32x32)
            var experiment = try Experiment(
                ExperimentConfiguration.parse(yaml: "tasks: [{ name: depth, kind: depth }]", file: "c.yml"))
            experiment.adopt(recorded, on: library)
            #expect(library.productTile == .tile32x32 && experiment.algorithms == [problem: .clblast])
        }
    }
}

/// Names of tasks that would meet what losses, logs and pictures call themselves.
@Suite struct ReservedNameTests {
    @Test(arguments: ["total", "panel", "sparsity", "sharing", "cost"])
    func reservedNamesAreRefused(name: String) {
        let error = #expect(throws: InputError.self) {
            try ExperimentConfiguration.parse(yaml: "tasks: [{ name: \(name), kind: depth }]", file: "c.yml")
        }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.hasPrefix("c.yml: tasks.0.name: found '\(name)'"), "\(text)")
    }

    @Test func likeNamesAreNot() throws {
        for name in ["costs", "Total", "sparsity2"] {
            _ = try ExperimentConfiguration.parse(yaml: "tasks: [{ name: \(name), kind: depth }]", file: "c.yml")
        }
    }

    /// What a step of the logits calls losses that are no task's.
    @Test func theListIsComplete() throws {
        let yaml = """
            tasks: [{ name: a, kind: depth }, { name: b, kind: depth }]
            dataset: { kind: scenes, size: [16, 16], crop: [16, 16] }
            model: { backbone: resnet18, width: 0.125, head: light }
            policy: { sparsity: 0.1, sharing: 0.1, budget: 0.5 }
            """
        let experiment = try Experiment(ExperimentConfiguration.parse(yaml: yaml, file: "c.yml"))
        var graphs = experiment.stepGraphs
        graphs.keepsGradients = true
        let graph = Graph()
        let learning = PolicySettings(experiment.methodSettings, costs: experiment.budgetCosts)
        graphs.trace(learning.logits(open: 8), batch: BatchShape(count: 1, height: 16, width: 16), into: graph)
        func names(_ prefix: String) -> [String] {
            graph.outputs.map(\.name).filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        }
        #expect(names("loss/").sorted() == ["a", "b", StepGraphs.totalName])
        #expect(names(StepGraphs.regulariserPrefix).sorted() == AdaShare.lossNames.sorted())
    }
}
