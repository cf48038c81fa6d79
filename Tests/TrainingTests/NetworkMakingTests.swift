import AdaShareDatasets
import AdaShareFiles
import AdaShareGraph
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

extension TrainingTests {
    /// Networks as every command makes them: class weights, labels and logits are theirs, not the trainer's.
    @Suite struct NetworkMakingTests {
        private static let yaml = """
            tasks:
              - { name: classes, kind: segmentation, channels: 6, class_weights: [1, 2, 0.5, 1, 3, 1] }
              - { name: depth, kind: depth }
            dataset: { kind: scenes, count: 20, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training: { batch: 2, warmup: { iterations: 2 }, policy: { iterations: 6 }, retrain: { iterations: 2 } }
            policy: { sampling: hard_skip, alternation: { weights: 1, logits: 1 }, curriculum_speed: 1 }
            """
        private static let weights: [Float] = [1, 2, 0.5, 1, 3, 1]

        private func experiment(_ overrides: [String] = []) throws -> Experiment {
            try Experiment(ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml", overrides: overrides))
        }

        private func batch(_ experiment: Experiment, _ dataset: (any Dataset)? = nil) throws -> Batch {
            let dataset = try dataset ?? experiment.makeDataset()
            return try experiment.loader(dataset, split: dataset.splits.train, phase: "warmup", startStep: 0).next()
        }

        private func loss(_ network: NetworkRuntime, _ batch: Batch) throws -> Double {
            try network.initialise(seed: 1)
            try network.beginPhase()
            let plan = try #require(try network.step(.hardSharing, batch: batch, state: StepState()))
            return try #require(try network.losses(of: plan)["classes"])
        }

        // MARK: - Class weights

        @Test func everyNetworkHasItsClassWeights() throws {
            let weighted = try experiment()
            let network = try weighted.makeNetwork(library: TestDevice.library(.cpu))
            #expect(try network.executor.store.read(StepGraphs.classWeightsName("classes")) == Self.weights)
            let batch = try batch(weighted)
            let found = try loss(network, batch)
            // Near the logarithm of the number of classes, as every network that has learned nothing.
            #expect((0.5...4).contains(found), "\(found)")
            let plain = try experiment(["tasks.0.class_weights=null"])
            #expect(try loss(plain.makeNetwork(library: TestDevice.library(.cpu)), batch) != found)
        }

        @Test func benchmarksHaveClassWeightsToo() throws {
            let session = ExperimentSession(settled: try experiment(), library: try TestDevice.library(.cpu))
            let bench = try NetworkBench(session, shape: BatchShape(count: 2, height: 16, width: 16))
            try bench.reserve(.hardSharing)
            let step = try bench.prepare(.hardSharing)
            try bench.executor.run(step.plan)
            let found = try bench.executor.read("loss/classes", of: step.plan)[0]
            #expect(found > 0.1, "\(found)")
        }

        @Test func aNetworkWithoutThemOnlyInfers() async throws {
            let folder = try TemporaryFolder()
            let missing = folder.url.appendingPathComponent("none.npy").path
            let lacking = try experiment(["tasks.0.class_weights=\(missing)"])
            let library = try TestDevice.library(.cpu)
            #expect(throws: InputError.self) { try lacking.makeNetwork(library: library) }
            let network = try lacking.makeNetwork(library: library, infersOnly: true)
            let all = DiscretePolicy.hardSharing(tasks: 2, blocks: 8)
            #expect(try network.predict(batch(experiment()), policy: all)["classes"]?.channels == 6)
            await #expect(processExitsWith: .failure) {
                let configuration = try ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml")
                let network = try Experiment(configuration).makeNetwork(
                    library: TestDevice.library(.cpu), infersOnly: true)
                _ = try network.plan(.hardSharing, BatchShape(count: 2, height: 16, width: 16))
            }
        }

        // MARK: - Labels

        /// Somebody else's data set, whose labels nobody has checked.
        private struct Foreign: Dataset {
            let label: UInt8
            let name = "foreign"
            let count = 20
            let labels: Set<String> = ["segmentation", "depth"]
            let splits: DatasetSplits

            init(_ label: UInt8) throws {
                self.label = label
                splits = try ScenesDataset(count: 20, height: 16, width: 16, seed: 1).splits
            }

            func sample(_ index: Int) throws -> Sample {
                var classes = [UInt8](repeating: 1, count: 256)
                if index % 2 == 0 { classes[3 * 16 + 7] = label }
                return Sample(
                    name: "picture \(index)", height: 16, width: 16, image: [UInt8](repeating: 9, count: 768),
                    segmentation: classes, depth: [Float](repeating: 1, count: 256))
            }
        }

        @Test(arguments: [6, 200, 254] as [UInt8]) func labelsBeyondTheClassesAreNamed(label: UInt8) throws {
            let experiment = try experiment()
            let network = try experiment.makeNetwork(library: TestDevice.library(.cpu))
            let error = #expect(throws: InputError.self) {
                for _ in 0..<4 { _ = try loss(network, batch(experiment, Foreign(label))) }
            }
            let text = error?.description ?? ""
            #expect(text.hasPrefix("foreign: picture "), "\(text)")
            #expect(text.contains("segmentation label \(label) at row 3, column 7"), "\(text)")
            #expect(text.contains("expected 0 to 5") && text.contains("task classes, or 255"), "\(text)")
        }

        @Test(arguments: [0, 5, 255] as [UInt8]) func classesAndIgnoredLabelsPass(label: UInt8) throws {
            let experiment = try experiment()
            let network = try experiment.makeNetwork(library: TestDevice.library(.cpu))
            #expect(try loss(network, batch(experiment, Foreign(label))) > 0)
        }

        @Test func aTrainingOnSuchLabelsEnds() throws {
            let folder = try TemporaryFolder()
            let experiment = try experiment()
            let trainer = try Trainer(experiment.configuration, in: folder, dataset: Foreign(77))
            let error = #expect(throws: InputError.self) { try trainer.train(phases: [.warmup]) }
            #expect(error?.description.contains("label 77") == true)
        }

        // MARK: - Logits

        /// Draws of policies follow the logits, however these came to the device.
        @Test func drawsFollowLoadedLogits() throws {
            let folder = try TemporaryFolder()
            let experiment = try experiment()
            let trainer = try Trainer(experiment.configuration, in: folder)
            let network = trainer.network
            try network.initialise(seed: 1)
            func drawn(_ logits: [Float]) throws -> [Bool] {
                let values = Array(repeating: logits, count: 8).flatMap { $0 }
                var file = TensorFile()
                let checkpoint = try network.checkpoint()
                for spec in network.graphs.catalog.specs {
                    if spec.layout == .counter {
                        file.add(spec.name, integers: try checkpoint.integers(spec.name, shape: []), shape: [])
                    } else {
                        let old = try checkpoint.floats(spec.name, shape: spec.diskShape)
                        file.add(spec.name, floats: spec.group == .policy ? values : old, shape: spec.diskShape)
                    }
                }
                try network.load(file)
                trainer.state.phase = .policy
                let learning = try #require(try trainer.currentPhase() as? PolicyLearning)
                let step = try learning.step(learning.schedule.iterationsToOpenAll).kind.step as? WeightStep
                return Array(try #require(step?.gates.drawn).select.joined())
            }
            #expect(try drawn([100, -100]).allSatisfy { $0 })
            #expect(try drawn([-100, 100]).allSatisfy { !$0 })
            #expect(try drawn([100, -100]).allSatisfy { $0 })
        }
    }
}
