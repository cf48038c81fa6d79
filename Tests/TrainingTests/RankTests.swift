import AdaShareDatasets
import AdaShareFiles
import AdaShareRanks
import AdaShareSupport
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

extension TrainingTests {
    /// Batches in shards, computed by one process or by several.
    @Suite(.needsDevice) struct RankTests {
        private static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6, class_weights: [0.5, 1, 2, 0.25, 1, 1.5] }
              - { name: normals, kind: normals }
              - { name: depth, kind: depth }
            dataset: { kind: scenes, count: 100, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: four_rate, dropout: 0.5 }
            training:
              batch: 8
              shards: 4
              log_every: 1
              tensorboard: false
              warmup: { iterations: 2 }
              policy: { iterations: 6 }
              retrain: { iterations: 3 }
            policy: { alternation: { weights: 2, logits: 1 }, curriculum_speed: 1, budget: 0.7 }

            """

        static func configuration(_ overrides: [String] = []) throws -> ExperimentConfiguration {
            try .parse(yaml: yaml, file: "c.yml", overrides: overrides)
        }

        /// What a run leaves, in bits: files of weights and states, and its log without times.
        private struct Left: Equatable, Sendable {
            var files: [String: [String: [Int64]]] = [:]
            var log: [String] = []
        }

        /// Scenes of which some cannot be read.
        private struct DamagedDataset: Dataset {
            let base: any Dataset
            let damaged: Range<Int>
            var name: String { base.name }
            var count: Int { base.count }
            var labels: Set<String> { base.labels }
            var splits: DatasetSplits { base.splits }

            func sample(_ index: Int) throws -> Sample {
                guard !damaged.contains(index) else {
                    throw InputError(file: "\(index).png", found: "damage", expected: "none")
                }
                return try base.sample(index)
            }
        }

        /// Trains in so many processes; each one's folder.
        ///
        /// - Parameter damaged: images that a process cannot read.
        private func train(
            _ ranks: Int, mistake: ThreadTransport.Mistake? = nil, damaged: (@Sendable (Int) -> Range<Int>)? = nil,
            _ overrides: [String]
        ) throws -> [Left] {
            let folder = try TemporaryFolder()
            return try asRanks(ranks, mistake: mistake) { group in
                let configuration = try Self.configuration(overrides)
                var experiment = try Experiment(configuration)
                try experiment.divide(among: group)
                let run = try RunDirectory(folder.file("run\(group.index)"), mode: .create)
                try run.prepare(configuration)
                let context = try TestDevice.context().makeContext(profiling: false)
                let dataset = try damaged.map {
                    DamagedDataset(base: try experiment.makeDataset(), damaged: $0(group.index))
                }
                let trainer = try Trainer(experiment: experiment, dataset: dataset, context: context, run: run) { _ in }
                try trainer.train()
                var left = Left()
                for suffix in ["safetensors", "state"] {
                    for file in run.checkpointFiles(extension: suffix) {
                        let tensors = try TensorFile.read(file)
                        left.files[file.lastPathComponent] = try tensors.ordered.reduce(into: [:]) { bits, entry in
                            bits[entry.name] =
                                entry.dtype == .F32
                                ? try tensors.floats(entry.name).map { Int64($0.bitPattern) }
                                : try tensors.integers(entry.name)
                        }
                    }
                }
                left.log = try EventLog.read(run.log).map { EventLog.withoutTimes($0).text }
                return left
            }
        }

        @Test(arguments: [[], ["policy.sampling=hard_skip"]])
        func bitsDoNotDependOnHowManyProcessesThereAre(overrides: [String]) throws {
            let alone = try train(1, overrides)[0]
            #expect(alone.files.count >= 5 && alone.log.count >= 11)
            for ranks in [2, 4] {
                for (index, left) in try train(ranks, overrides).enumerated() {
                    #expect(left.files.keys.sorted() == alone.files.keys.sorted())
                    for (name, bits) in alone.files {
                        #expect(left.files[name] == bits, "\(name) of \(index) of \(ranks)")
                    }
                    #expect(left.log == alone.log, "\(index) of \(ranks)")
                }
            }
        }

        /// Negative control: sums in another order must not pass, nor other shards.
        @Test func anotherOrderOfShardsDiffers() throws {
            let short = ["training.policy.iterations=0", "training.retrain.iterations=0"]
            let alone = try train(1, short)[0]
            let others = try train(4, mistake: .order([0, 2, 1, 3]), short)
            #expect(others.allSatisfy { $0 == others[0] })
            #expect(others[0].files["warmup.safetensors"] != alone.files["warmup.safetensors"])
            #expect(try train(1, short + ["training.shards=2"])[0].files != alone.files)
        }

        /// What no process can read is left out, by whomever it is met; what some can read ends all.
        @Test func imagesAreLeftOutByAllOrNone() throws {
            let short = [
                "training.policy.iterations=0", "training.retrain.iterations=0", "dataset.on_error=skip",
            ]
            let alone = try train(1, damaged: { _ in 0..<40 }, short)[0]
            #expect(alone.log.contains { $0.contains("\"skip\"") })
            for left in try train(2, damaged: { _ in 0..<40 }, short) { #expect(left == alone) }
            let found = message { _ = try train(2, damaged: { $0 == 1 ? 0..<40 : 0..<0 }, short) }
            #expect(found.hasPrefix("rank 1 cannot read what rank 0 can: ") && found.contains(".png"), "\(found)")
        }

        /// One bit that differs on the way, in a sum of gradients, is found at the step after which it is looked for.
        @Test func parametersThatPartEndAll() throws {
            let short = ["training.policy.iterations=0", "training.retrain.iterations=0"]
            #expect(try train(2, mistake: .bit(1), short + ["training.verify_every=0"]).count == 2)
            let found = message { _ = try train(2, mistake: .bit(1), short + ["training.verify_every=1"]) }
            #expect(found.hasPrefix("warmup step 1: the parameters of rank 1 are not those of rank 0"), "\(found)")
        }
    }
}

/// What needs no device, so that tools/check-sanitizers tries it.
@Suite struct RankGroupTests {
    @Test func sumsAreATree() throws {
        let values: [Float] = [1e8, 1, -1e8, 1]
        for count in [5, 3, 0] {
            let sums = try asRanks(4) { group in
                let own = [Float](repeating: values[group.index], count: count)
                return try group.start { group in
                    var sums = own
                    var span = sums.mutableSpan
                    try group.sum(&span)
                    return sums
                }.wait()
            }
            #expect(sums.allSatisfy { $0 == [Float](repeating: (1e8 + 1) + (-1e8 + 1), count: count) })
        }
    }

    /// A process that fails leaves none waiting.
    @Test func anErrorEndsAll() throws {
        #expect(throws: (any Error).self) {
            try asRanks(2) { group in
                if group.index == 1 { throw RankError("broken") }
                return try group.gather([UInt8(1)])
            }
        }
    }

    @Test func shardsThatDoNotFitAreRefused() throws {
        for (overrides, place) in [
            (["training.shards=3"], "training.shards"), (["training.batch=6"], "training.shards"),
            (["objective=geometric"], "training.shards"),
        ] {
            let error = #expect(throws: InputError.self) {
                _ = try TrainingTests.RankTests.configuration(overrides)
            }
            #expect(error?.place == place, "\(overrides)")
        }
        let error = #expect(throws: InputError.self) {
            _ = try asRanks(8) { group in
                var experiment = try Experiment(TrainingTests.RankTests.configuration())
                try experiment.divide(among: group)
            }
        }
        #expect(error?.place == "training.shards")
    }

    /// Nobody is left waiting where one ends early, and nothing of a group that has failed is asked again.
    @Test func whatFollowsAFailureFails() throws {
        let asked = Mutex(0)
        #expect(throws: (any Error).self) {
            try asRanks(2) { group in
                defer { group.close() }
                if group.index == 1 { throw RankError("broken") }
                let found = message { _ = try group.gather([UInt8(1)]) }
                #expect(found == "another process has ended")
                #expect(message { _ = try group.start { _ in asked.withLock { $0 += 1 } }.wait() } == found)
            }
        }
        #expect(asked.withLock { $0 } == 0)
    }
}
