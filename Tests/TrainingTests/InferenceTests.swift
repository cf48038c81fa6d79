import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareFiles
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareTasks
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareProfiling
@testable import AdaShareTraining

extension TrainingTests {
    /// Networks that only infer: what is computed of weights alone is computed once, and takes their place.
    @Suite struct InferenceTests {
        private static let shape = BatchShape(count: 2, height: 128, width: 192)
        /// What is launched for weights alone.
        private static let preparations: Set = ["winograd_weights", "convolution_pack", "batchnorm_affine"]

        private static func experiment() throws -> Experiment {
            try Experiment(
                .parse(
                    yaml: """
                        tasks:
                          - { name: segmentation, kind: segmentation, channels: 6 }
                          - { name: depth, kind: depth }
                        dataset: { kind: scenes, count: 20, size: [128, 192], crop: [128, 192], augmentation: none }
                        model: { backbone: resnet18, width: 0.25, head: light, dropout: 0 }
                        """, file: "c.yml"))
        }

        private static func batch() throws -> Batch {
            let normalisation = try experiment().inputNormalisation()
            var batch = Batch(
                count: shape.count, height: shape.height, width: shape.width, indices: [0, 1],
                normalisation: normalisation)
            var random = SeededGenerator(seed: 3)
            let pixels = shape.count * shape.height * shape.width
            batch.image = (0..<3 * pixels).map { _ in Float.random(in: -60...60, using: &random) }
            return batch
        }

        /// A checkpoint whose running statistics are not those of a network that has seen nothing.
        private static func weights(_ seed: UInt64, _ experiment: Experiment) throws -> TensorFile {
            let network = try experiment.makeNetwork(library: TestDevice.nativeLibrary())
            try network.initialise(seed: seed)
            return try network.checkpoint()
        }

        private static func values(_ predictions: [String: Prediction]) -> [String: [Float]] {
            predictions.mapValues(\.values)
        }

        private static let all = DiscretePolicy.hardSharing(tasks: 2, blocks: 8)

        @Test func predictionsAreThoseOfANetworkThatLearns() throws {
            let (experiment, batch) = (try Self.experiment(), try Self.batch())
            let session = ExperimentSession(settled: experiment, library: try TestDevice.nativeLibrary())
            let files = try (1...2).map { try Self.weights($0, experiment) }
            let (learning, network) = (try session.makeNetwork(), try session.makeNetwork(infersOnly: true))
            var all: [[String: [Float]]] = []
            for file in files + [files[0]] {
                try learning.load(file)
                try network.load(file)
                let expected = Self.values(try learning.predict(batch, policy: Self.all))
                #expect(try Self.values(network.predict(batch, policy: Self.all)) == expected, "the same bits")
                #expect(try Self.values(network.predict(batch, policy: Self.all)) == expected)
                #expect(try network.checkpoint() == learning.checkpoint())
                all.append(expected)
            }
            #expect(all[0] != all[1] && all[0] == all[2], "negative control")
            #expect(network.executor.byteCount < learning.executor.byteCount)
            // Memory that is given back, as after an image that was too large, is taken again.
            try network.forgetSteps()
            let names = network.executor.store.names
            #expect(network.executor.arenaBytes == 0 && !names.contains { $0.hasPrefix("input/") })
            #expect(try Self.values(network.predict(batch, policy: Self.all)) == all[2])
        }

        /// The memory report counts what such a network takes; a training step's counts every parameter.
        @Test func memoryIsWhatIsPlanned() throws {
            let experiment = try Self.experiment()
            let library = try TestDevice.nativeLibrary()
            let network = try experiment.makeNetwork(library: library, infersOnly: true)
            try network.load(Self.weights(1, experiment))
            _ = try network.predict(Self.batch(), policy: Self.all)
            let report = try experiment.memory(Self.shape, family: library.family)
            let inference = try #require(report.steps.first { $0.step == "inference" })
            // The flag of losses, and counters of batches.
            let beside = network.executor.byteCount - inference.totalBytes
            #expect((0...512 * 64).contains(beside), "\(beside)")
            let parameters = experiment.catalog.specs.reduce(0) { $0 + $1.storedShape.byteCount }
            for step in report.steps where step.step != "inference" { #expect(step.tensorBytes > parameters) }
        }

        /// In a second pass nothing is packed or folded, and weights are transformed only where tiles are so many that
        /// keeping that is not worth its memory; benchmarks measure such a network.
        @Test func aSecondPassTransformsLess() throws {
            let experiment = try Self.experiment()
            let context = try DeviceContext(device: TestDevice.device(), cacheDirectory: nil, profiling: true)
            let session = ExperimentSession(settled: experiment, library: try KernelLibrary(context: context))
            let bench = try NetworkBench(session, shape: Self.shape, infersOnly: true)
            let kind = experiment.method.inference(Self.all)
            try bench.reserve(kind)
            let step = try bench.prepare(kind)
            let launched = try (0..<2).map { _ in try bench.run(step).entries.map(\.kernelName) }
            let expected = session.library.family == .cpu ? Self.preparations : ["batchnorm_affine"]
            #expect(expected.isSubset(of: launched[0]), "negative control: \(launched[0])")
            let transforms = launched.map { $0.count { $0 == "winograd_weights" } }
            #expect(transforms[1] < transforms[0] || session.library.family == .gpu, "\(transforms)")
            #expect(Self.preparations.subtracting(["winograd_weights"]).isDisjoint(with: launched[1]), "\(launched[1])")
            #expect((0...512 * 64).contains(bench.executor.byteCount - step.bytes))
        }

        /// Of PyTorch, which skips blocks, shares what tasks have in common and folds batch norms, the same steps take
        /// 403 and 424 MB (docs/performance.md).
        @Test(arguments: [(false, 403e6), (true, 424e6)])
        func fullHeadsTakeLessThanInPyTorch(isPublished: Bool, bytes: Double) throws {
            let published = try #require(PublishedPolicies.all.first { $0.policy.select.count == 3 })
            let experiment = try Experiment(
                .parse(
                    yaml: """
                        tasks:
                          - { name: segmentation, kind: segmentation, channels: 40 }
                          - { name: normals, kind: normals }
                          - { name: depth, kind: depth }
                        dataset: { kind: scenes, count: 20, size: [64, 96] }
                        model: { backbone: resnet34, head: four_rate }
                        """, file: "c.yml"))
            let report = try experiment.memory(
                BatchShape(count: 4, height: 224, width: 224), policy: isPublished ? published.policy : nil,
                family: .cpu)
            let inference = try #require(report.steps.first { $0.step == "inference" })
            #expect(Double(inference.totalBytes) < bytes, "\(inference)")
        }
    }
}
