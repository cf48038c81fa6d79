import AdaShareFiles
import AdaShareModels
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    /// Weights with batch norms per task on disk and back.
    @Suite struct TaskNormCheckpointTests {
        private func network(_ overrides: [String] = [], tasks: [String]? = nil, seed: UInt64) throws -> NetworkRuntime
        {
            let configuration = try ExperimentConfiguration.parse(
                yaml: """
                    tasks:
                      - { name: a, kind: classification, channels: 3, dataset: { kind: folders, root: a } }
                      - { name: b, kind: classification, channels: 4, dataset: { kind: folders, root: b } }
                    model: { backbone: resnet18, width: 0.125, task_batch_norm: true }
                    """, file: "c.yml", overrides: overrides)
            let experiment = try Experiment(tasks.map(configuration.selecting) ?? configuration)
            let network = try NetworkRuntime(library: TestDevice.nativeLibrary(), graphs: experiment.stepGraphs)
            try network.initialise(seed: seed)
            return network
        }

        private let projections = (0..<2).map { "backbone.task\($0)_ds.1.0.weight" }

        @Test func filesHaveThePublishedNames() throws {
            let folder = try TemporaryFolder()
            let url = folder.url.appendingPathComponent("w.safetensors")
            let first = try network(seed: 1)
            let file = try first.checkpoint()
            // A published file has each projection's convolution with each task's batch norm.
            #expect(projections.allSatisfy { file.tensors[$0] != nil } && file.tensors["backbone.ds.1.0.weight"] == nil)
            #expect(try file.floats(projections[0]) == file.floats(projections[1]))
            #expect(file.names.count == first.graphs.catalog.specs.count + 3)
            try file.write(to: url)
            let second = try network(seed: 2)
            #expect(try second.checkpoint() != file)
            try second.load(TensorFile.read(url))
            #expect(try second.checkpoint() == file)
        }

        @Test func aProjectionHasOneConvolution() throws {
            let network = try network(seed: 1)
            let before = try network.checkpoint()
            var parted = before
            let shape = try #require(before.tensors[projections[1]]).shape
            parted.add(projections[1], floats: try before.floats(projections[1]).map { $0 + 1 }, shape: shape)
            #expect(
                message { try network.load(parted) }.contains(
                    "\(projections[1]): found other values than in \(projections[0])"))
            // One of the names is enough; none is too few; another is unknown.
            parted.tensors[projections[1]] = nil
            try network.load(parted)
            parted.tensors[projections[0]] = nil
            #expect(message { try network.load(parted) }.contains("\(projections[0]): found no such tensor"))
            parted.add("backbone.ds.1.0.weight", floats: try before.floats(projections[1]), shape: shape)
            #expect(
                message { try network.load(parted) }.contains("backbone.ds.1.0.weight: found a tensor this network"))
            #expect(message { try network.load(parted) }.contains("batch norm per task"))
            #expect(try network.checkpoint() == before)
        }

        /// Every task's batch norms may begin from those of a network without, such as one trained on ImageNet.
        @Test func commonBatchNormsAreABeginning() throws {
            let common = try network(["model.task_batch_norm=false"], seed: 5)
            let scale = try #require(common.graphs.catalog["backbone.blocks.2.1.bn2.weight"])
            try common.write(scale, (0..<scale.elementCount).map { Float($0) })
            let file = try common.checkpoint()
            let own = try network(seed: 6)
            #expect(message { try own.load(file) }.contains("found a tensor this network does not have"))
            try own.load(file, partial: true)
            let loaded = try own.checkpoint()
            for task in 0..<2 {
                #expect(
                    try loaded.floats("backbone.blocks.2.1.task\(task)_bn2.weight")
                        == file.floats("backbone.blocks.2.1.bn2.weight"))
                #expect(try loaded.floats(projections[task]) == file.floats("backbone.ds.1.0.weight"))
            }
            #expect(try loaded.floats("backbone.conv1.weight") == file.floats("backbone.conv1.weight"))
        }

        /// The network of one task reads the whole network's file and leaves the other's batch norms in it.
        @Test func aPartReadsTheWhole() throws {
            let whole = try network(seed: 3).checkpoint()
            let part = try network(tasks: ["b"], seed: 4)
            try part.load(whole)
            let file = try part.checkpoint()
            #expect(
                file.names.contains("backbone.task1_bn1.weight") && !file.names.contains("backbone.task0_bn1.weight"))
            for name in file.names { #expect(file.tensors[name] == whole.tensors[name], "\(name)") }
        }
    }
}
