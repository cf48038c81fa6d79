import AdaShareDatasets
import AdaShareFiles
import AdaShareModels
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// Weights on disk and back, and the pair of files a run resumes from.
    @Suite struct CheckpointTests {
        private func experiment(_ overrides: [String] = []) throws -> Experiment {
            try Experiment(
                .parse(
                    yaml: """
                        tasks:
                          - { name: segmentation, kind: segmentation, channels: 6 }
                          - { name: depth, kind: depth }
                        dataset: { kind: scenes, count: 20, size: [16, 16], crop: [16, 16] }
                        model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
                        """, file: "c.yml", overrides: overrides))
        }

        private func network(_ overrides: [String] = [], seed: UInt64 = 1) throws -> NetworkRuntime {
            let network = try NetworkRuntime(
                library: TestDevice.nativeLibrary(), graphs: experiment(overrides).stepGraphs)
            try network.initialise(seed: seed)
            return network
        }

        @Test func weightsSurviveTheFileBitByBit() throws {
            let folder = try TemporaryFolder()
            let url = folder.url.appendingPathComponent("w.safetensors")
            let first = try network(seed: 1)
            try first.checkpoint().write(to: url)
            let second = try network(seed: 2)
            #expect(try second.checkpoint() != first.checkpoint())
            try second.load(TensorFile.read(url))
            #expect(try second.checkpoint() == first.checkpoint())
        }

        @Test func filesHaveEveryParameterUnderItsPublishedName() throws {
            let network = try network()
            let file = try network.checkpoint()
            #expect(Set(file.names) == Set(network.graphs.catalog.specs.map(\.name)))
            for spec in network.graphs.catalog.specs {
                let entry = try #require(file.tensors[spec.name])
                let isCounter = spec.layout == .counter
                #expect(entry.dtype == (isCounter ? .I64 : .F32) && entry.shape == (isCounter ? [] : spec.diskShape))
            }
        }

        @Test func anotherArchitectureIsRefusedAndChangesNothing() throws {
            let network = try network()
            let before = try network.checkpoint()
            var wrong = before
            wrong.add("backbone.bn1.weight", floats: [1, 2, 3], shape: [3])
            #expect(message { try network.load(wrong) }.contains("backbone.bn1.weight: found shape [3], expected [16]"))
            var missing = before
            missing.tensors["backbone.blocks.3.1.conv2.weight"] = nil
            #expect(message { try network.load(missing) }.contains("backbone.blocks.3.1.conv2.weight: found no such"))
            var more = before
            more.add("task3_head.weight", floats: [0], shape: [1])
            #expect(message { try network.load(more) }.contains("task3_head.weight: found a tensor this network does"))
            let deeper = try self.network(["model.backbone=resnet34"]).checkpoint()
            #expect(message { try network.load(deeper) }.contains("found resnet34, expected resnet18"))
            #expect(try network.checkpoint() == before)
        }

        @Test func initialWeightsMayBeABackboneAlone() throws {
            let donor = try network(seed: 5)
            var backbone = try donor.checkpoint()
            for name in backbone.names where !name.hasPrefix("backbone.") || name.hasSuffix("num_batches_tracked") {
                backbone.tensors[name] = nil
            }
            backbone.add("fc.weight", floats: [1], shape: [1])
            let network = try network(seed: 6)
            let heads = try network.checkpoint()
            try network.load(backbone, partial: true)
            let loaded = try network.checkpoint()
            #expect(try loaded.floats("backbone.conv1.weight") == backbone.floats("backbone.conv1.weight"))
            #expect(loaded.tensors["task1_head.weight"] == heads.tensors["task1_head.weight"])
            backbone.tensors["backbone.conv1.weight"] = nil
            #expect(message { try network.load(backbone, partial: true) }.contains("backbone.conv1.weight"))
        }

        // MARK: - The pair a run resumes from

        private func store(_ folder: TemporaryFolder) throws -> CheckpointStore {
            CheckpointStore(
                run: try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create),
                phases: [.warmup, .policy, .retrain, .baseline])
        }

        private func save(_ store: CheckpointStore, _ network: NetworkRuntime, _ phase: Phase, _ iteration: Int) throws
        {
            var state = RunState(phase: phase)
            state.iteration = iteration
            try store.save(
                network, state: state, of: 100, policy: nil, facts: [:], permutations: ["train": [2, 0, 1]],
                environment: ["a": "b"])
        }

        private func names(_ store: CheckpointStore) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: store.run.checkpoints.path).sorted()
        }

        @Test func oneWholePairIsKept() throws {
            let folder = try TemporaryFolder()
            let store = try store(folder)
            let network = try network()
            #expect(!store.hasCheckpoint)
            try save(store, network, .warmup, 5)
            try save(store, network, .policy, 0)
            #expect(try names(store) == ["latest.json", "policy-0000000.safetensors", "policy-0000000.state"])
            let saved = try store.load()
            #expect(saved.state.phase == .policy && saved.state.iteration == 0)
            #expect(try saved.model.tensors == network.checkpoint().tensors)
            #expect(try saved.training.integers("permutation/train") == [2, 0, 1])
            #expect(saved.training.metadata["a"] == "b")
        }

        @Test func whatAKilledSaveLeavesIsNotMistakenForACheckpoint() throws {
            let folder = try TemporaryFolder()
            let store = try store(folder)
            let network = try network()
            try save(store, network, .warmup, 5)
            // Killed after the weights: no state yet.
            try Data("half".utf8).write(to: store.url("warmup-0000010.safetensors"))
            #expect(try store.load().state.iteration == 5)
            // Killed before the pointer: the pair of before still counts, and the next save clears the other away.
            try FileManager.default.copyItem(
                at: store.url("warmup-0000005.state"), to: store.url("warmup-0000010.state"))
            #expect(try store.load().state.iteration == 5)
            try save(store, network, .warmup, 15)
            #expect(try names(store) == ["latest.json", "warmup-0000015.safetensors", "warmup-0000015.state"])
        }

        @Test func aLostPointerIsFoundAgainAmongThePairs() throws {
            let folder = try TemporaryFolder()
            let store = try store(folder)
            let network = try network()
            try save(store, network, .warmup, 90)
            let kept = ["warmup-0000090.safetensors", "warmup-0000090.state"]
            for name in kept {
                try FileManager.default.copyItem(at: store.url(name), to: folder.url.appendingPathComponent(name))
            }
            try save(store, network, .policy, 3)
            // Two pairs and no pointer: the later phase is the further one.
            for name in kept {
                try FileManager.default.copyItem(at: folder.url.appendingPathComponent(name), to: store.url(name))
            }
            try FileManager.default.removeItem(at: store.url("latest.json"))
            #expect(store.hasCheckpoint)
            #expect(try store.load().state.phase == .policy)
        }
    }
}
