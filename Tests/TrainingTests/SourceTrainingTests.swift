import AdaShareDatasets
import AdaShareFiles
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    /// Runs whose tasks have data sets of their own.
    @Suite struct SourceTrainingTests {
        private static let yaml = """
            tasks:
              - { name: a, kind: depth, dataset: { kind: scenes, count: 20, size: [24, 16], seed: 2 } }
              - { name: b, kind: segmentation, channels: 6 }
              - { name: c, kind: normals, dataset: { kind: scenes, count: 20, size: [24, 16], seed: 2 } }
            dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16] }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training:
              batch: 3
              log_every: 1
              checkpoint_every: 5
              warmup: { iterations: 4 }
              policy: { iterations: 12 }
              retrain: { iterations: 4 }
            policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 }, cost: shared, budget: 0.8 }
            """

        private func trainer(
            _ folder: TemporaryFolder, _ overrides: [String] = [], mode: RunDirectory.Mode = .create,
            onStep: @escaping (StepReport) -> Void = { _ in }
        ) throws -> Trainer {
            let configuration = try ExperimentConfiguration.parse(
                yaml: Self.yaml, file: "c.yml", overrides: overrides)
            return try Trainer(configuration, in: folder, mode: mode) {
                if case .step(let step) = $0 { onStep(step) }
            }
        }

        /// Every phase runs on a batch of each data set; a run continued from disk ends in the same bits.
        @Test func runsResumeInTheMiddleOfAPhase() throws {
            let (source, folder) = (try TemporaryFolder(), try TemporaryFolder())
            var steps = 0
            var copies = 0
            let whole = try trainer(source) { step in
                steps += step.losses.map(\.name) == ["a", "b", "c", "total"] ? 1 : 0
                guard step.phase == "policy", step.iteration == 7 else { return }
                let copy: Void? = try? FileManager.default.copyItem(
                    at: source.url.appendingPathComponent("run"), to: folder.url.appendingPathComponent("run"))
                copies += copy == nil ? 0 : 1
            }
            try whole.train()
            #expect(copies == 1 && steps == 20)
            let summary = try #require(try whole.summarise())
            // Two scenes of the shorter data set and four of the other are for testing.
            #expect(summary.images == 6 && summary.labelled == ["a": 2, "b": 4, "c": 2])
            #expect(summary.metrics.keys.sorted() == ["a", "b", "c"] && summary.cost.backbone.images == 2)
            #expect((summary.policyCost?.discrete ?? 2) <= 0.8)

            // What a changed data set is noticed by, of each of them.
            let permutations = try whole.permutations()
            #expect(permutations["source0/split/train"] == Array(0..<16))
            #expect(permutations["source1/split/train"] == Array(0..<32) && permutations["split/train"] == nil)

            let resumed = try trainer(folder, mode: .resume)
            #expect(resumed.state.phase == .policy && resumed.state.iteration == 5)
            try resumed.train()
            for phase in ["policy", "retrain"] {
                let files = try [whole, resumed].map {
                    try TensorFile.read($0.checkpoints.url("\(phase).safetensors"))
                }
                #expect(files[0].tensors == files[1].tensors, "\(phase)")
            }
            // Negative control: another order of the same images ends elsewhere.
            let plain = try TemporaryFolder()
            let unshuffled = try trainer(plain, ["dataset.shuffle=false"])
            try unshuffled.train()
            let files = try [whole, unshuffled].map { try TensorFile.read($0.checkpoints.url("retrain.safetensors")) }
            #expect(files[0].tensors != files[1].tensors)
        }

        /// What tasks of other images do leaves a task alone where they share no weight: the network of one task, on
        /// its own, has the same loss in the first step.
        @Test func firstLossesAreThoseOfEachDataSetAlone() throws {
            func first(_ tasks: [String]) throws -> [String: Double] {
                var configuration = try ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml")
                if !tasks.isEmpty { configuration = try configuration.selecting(tasks) }
                let experiment = try Experiment(configuration)
                let network = try NetworkRuntime(library: TestDevice.nativeLibrary(), graphs: experiment.stepGraphs)
                try network.initialise(seed: 1)
                try network.beginPhase()
                let batches = try zip(experiment.sources, experiment.makeDatasets()).enumerated().map { index, pair in
                    // Under one name: a data set alone is loaded as the only one.
                    try experiment.loader(
                        pair.1, split: pair.1.splits.train, phase: "test", startStep: 0, source: index
                    ).next()
                }
                let plan = try #require(try network.step(.hardSharing, batches: batches, state: StepState()))
                return try network.losses(of: plan)
            }
            let all = try first([])
            let (pair, alone) = (try first(["a", "c"]), try first(["b"]))
            #expect(all["a"] == pair["a"] && all["c"] == pair["c"] && all["b"] == alone["b"])
            #expect(all["a"] != nil && all["a"] != all["b"])
        }
    }
}
