import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareFiles
import AdaShareGraph
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// Networks in which each image takes a path of its own: what is computed in inference, and what that gives.
    @Suite(.needsDevice) struct ImagePathTests {
        private static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6 }
              - { name: depth, kind: depth }
            dataset: { kind: scenes, count: 20, size: [24, 32], crop: [24, 32], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training: { batch: 6, retrain: { iterations: 2 } }

            """
        static let methods = [
            ["method=block_drop"], ["method=block_drop", "method.policy_of=task"], ["method=adashare_instance"],
            ["method=spot_tune"],
        ]

        private func configuration(_ overrides: [String]) throws -> ExperimentConfiguration {
            try .parse(yaml: Self.yaml, file: "c.yml", overrides: overrides)
        }

        private func batch(_ experiment: Experiment) throws -> Batch {
            let dataset = try experiment.makeDataset()
            return try experiment.loader(dataset, split: dataset.splits.train, phase: "train", startStep: 0).next()
        }

        /// A network whose images part: each decision is near the middle of what these images have the policy network
        /// say.
        private func network(
            _ experiment: Experiment, _ batch: Batch, on library: KernelLibrary
        ) throws -> NetworkRuntime {
            let network = try experiment.makeNetwork(library: library)
            try network.initialise(seed: 3)
            let routing = try #require(experiment.method.routing)
            _ = try network.predict(batch, policy: experiment.methodSettings.allSelected)
            let shape = BatchShape(count: batch.count, height: batch.height, width: batch.width)
            let plan = try network.plan(routing.decision, shape)
            try network.executor.run(plan)
            let biases = experiment.catalog.specs.filter { $0.name.hasSuffix("gates.linear.bias") }
            let logits = try biases.indices.map {
                try network.executor.read(ImageRouting.outputName($0), of: plan)
            }
            let blocks = experiment.architecture.blocks.count
            for (spec, logits) in zip(biases, logits) {
                let values = try network.read(spec)
                let middles = (0..<blocks).map { block in
                    let column = (0..<batch.count).map { logits[$0 * blocks + block] }.sorted()
                    // Some blocks part the images after the first, some before the last.
                    let place = 1 + (block % (batch.count - 1))
                    return (column[place - 1] + column[place]) / 2
                }
                try network.write(spec, zip(values, middles).map { $0 - $1 })
            }
            if experiment.method is SpotTune {
                // As after some training: the two forms differ, and so do running statistics.
                for spec in experiment.catalog.specs where spec.name.hasSuffix("running_mean") {
                    try network.write(spec, try network.read(spec).enumerated().map { Float($0.offset % 3) * 1e-3 })
                }
            }
            _ = network.takePaths()
            return network
        }

        /// The same predictions, to the bit, as all blocks computed for all images and chosen between by gates.
        @Test(arguments: TestDevice.families, methods)
        func groupsPredictWhatGatesDo(family: KernelFamily, method: [String]) throws {
            let experiment = try Experiment(configuration(method))
            let batch = try batch(experiment)
            let network = try network(experiment, batch, on: TestDevice.library(family))
            let policy = experiment.methodSettings.allSelected
            let grouped = try network.predict(batch, policy: policy)
            let paths = try #require(network.takePaths())
            #expect(paths.count > 2 && paths.values.reduce(0, +) == 6, "\(paths.count) paths")
            var graphs = experiment.stepGraphs
            graphs.routing = nil
            let whole = try NetworkRuntime(library: TestDevice.library(family), graphs: graphs)
            try whole.load(network.checkpoint())
            let gated = try whole.predict(batch, policy: policy)
            #expect(whole.takePaths() == nil)
            for (task, prediction) in gated {
                let ours = try #require(grouped[task]?.values)
                let scale = prediction.values.map(abs).max() ?? 0
                #expect(ours == prediction.values, "\(task)")
                // One after the other the images take the same paths.
                for image in 0..<batch.count {
                    let alone = try #require(try network.predict(batch.selecting([image]), policy: policy)[task])
                    let part = ours[image * alone.values.count..<(image + 1) * alone.values.count]
                    #expect(zip(alone.values, part).allSatisfy { abs($0 - $1) <= 1e-5 * scale }, "\(task) \(image)")
                }
            }
            let again = try #require(network.takePaths())
            #expect(again == paths.mapValues { 2 * $0 })
            // Negative control: with other decisions the predictions are others.
            let bias = try #require(experiment.catalog.specs.first { $0.name.hasSuffix("gates.linear.bias") })
            try network.write(bias, try network.read(bias).map { -$0 - 100 })
            let other = try network.predict(batch, policy: policy)
            let values = try #require(gated["segmentation"]).values
            let scale = values.map(abs).max() ?? 0
            let changed = zip(try #require(other["segmentation"]).values, values).map { abs($0 - $1) }.max() ?? 0
            #expect(changed > 1e-3 * scale, "negative control")
        }

        /// What the device computes for a batch is what its images' decisions select, and nothing else.
        @Test(arguments: methods) func theDeviceComputesWhatIsSelected(method: [String]) throws {
            let experiment = try Experiment(configuration(method))
            let batch = try batch(experiment)
            let device = try TestDevice.nativeLibrary().context.device
            let context = try DeviceContext(device: device, cacheDirectory: nil, profiling: true)
            let library = try KernelLibrary(context: context, family: TestDevice.nativeFamily())
            let network = try network(experiment, batch, on: library)
            let (policy, routing) = (experiment.methodSettings.allSelected, try #require(experiment.method.routing))
            let model = experiment.trainingCost
            func work(_ body: () throws -> Void) throws -> (all: Int, blocks: [String: Int]) {
                _ = try context.queue.takeProfile()
                try body()
                let entries = try context.queue.takeProfile().filter { $0.multiplyAccumulates > 0 }
                var blocks: [String: Int] = [:]
                for entry in entries {
                    for block in model.blocks where entry.label.contains("\(block.name).") {
                        blocks[block.name, default: 0] += entry.multiplyAccumulates
                    }
                }
                return (entries.reduce(0) { $0 + $1.multiplyAccumulates }, blocks)
            }
            let grouped = try work { _ = try network.predict(batch, policy: policy) }
            let paths = try #require(network.takePaths())
            #expect(paths.count > 2)
            let heads = 6 * model.heads.reduce(0) { $0 + $1.macs }
            let expected = paths.reduce(heads) { $0 + $1.value * routing.macs($1.key, model) }
            #expect(grouped.all == expected)
            if experiment.method is BlockDrop, method.count == 1 {
                for block in model.blocks {
                    let images = paths.reduce(0) { $0 + ($1.key[0][block.index] ? $1.value : 0) }
                    #expect(grouped.blocks[block.name] ?? 0 == images * block.macs, "\(block.name)")
                }
            }
            // Negative control: with nothing left out there is more to do.
            var graphs = experiment.stepGraphs
            graphs.routing = nil
            let whole = try NetworkRuntime(library: library, graphs: graphs)
            try whole.load(network.checkpoint())
            let all = try work { _ = try whole.predict(batch, policy: policy) }
            #expect(all.all > expected)
            if !(experiment.method is SpotTune) {
                #expect(all.all == heads + 6 * (try #require(model.network)).multiplyAccumulates, "what cost counts")
            }
        }

        /// A trainer with a run of its own.
        private func trainer(_ overrides: [String], in folder: TemporaryFolder) throws -> (Trainer, RunDirectory) {
            let configuration = try configuration(overrides)
            try configuration.validateForTraining()
            let trainer = try Trainer(configuration, in: folder)
            return (trainer, trainer.run)
        }

        /// Evaluation says what paths images took, and a run keeps it.
        @Test func evaluationMeasuresPaths() throws {
            let folder = try TemporaryFolder()
            let (trainer, run) = try trainer(["method=block_drop", "method.warmup=1"], in: folder)
            let phase = try trainer.experiment.method.begin(
                trainer.experiment.method.phases(trainer.settings)[0], in: trainer)
            #expect(try phase.step(0).kind == .hardSharing && phase.step(1).kind != .hardSharing)
            // Adam's corrections count the updates that a group has had.
            let first = try #require(try phase.step(0).state.rates[.backbone])
            let second = try phase.step(1).state.rates
            #expect(second[trainer.catalog.slot(of: "gates")] == first && second[.backbone] != first)
            try trainer.train()
            let summary = try #require(try trainer.summarise())
            let paths = try #require(summary.paths)
            #expect(paths.different >= 1 && (0...1).contains(paths.selected))
            #expect(paths.macs <= summary.cost.macs && summary.cost.network?.isMost == true)
            let events = try EventLog.read(run.log).filter { $0["event"]?.string == "evaluation" }
            #expect(!events.isEmpty && events.allSatisfy { $0["paths"]?["selected"] != nil })
            // All or nothing: what is selected is what is counted.
            let bias = try #require(trainer.catalog["gates.linear.bias"])
            let model = trainer.experiment.trainingCost
            let policy = try #require(trainer.experiment.method as? BlockDrop).network.policy
            for (value, expected) in [(Float(1000), 1.0), (-1000, 0)] {
                try trainer.network.write(bias, [Float](repeating: value, count: 8))
                let result = try trainer.evaluator.evaluate(
                    trainer.network, policy: trainer.settings.allSelected, split: trainer.dataset.splits.test)
                let found = try #require(result.paths)
                let decisions = DiscretePolicy(
                    select: Array(repeating: Array(repeating: expected == 1, count: 8), count: 2))
                #expect(found.different == 1 && found.selected == expected)
                #expect(found.macs == policy.macs(model) + model.parts.cost(of: decisions, .shared))
            }
        }

        // MARK: - Training

        /// The policy network learns at its own rate; what is frozen does not move; a subset of tasks fits.
        @Test(arguments: methods) func whatLearns(method: [String]) throws {
            let folder = try TemporaryFolder()
            let begun = folder.url.appendingPathComponent("begun.safetensors")
            let plain = try Experiment(configuration(["method=hard_sharing"]))
            let start = try plain.makeNetwork(library: TestDevice.nativeLibrary())
            try start.initialise(seed: 9)
            try start.checkpoint().write(to: begun)
            let (trainer, _) = try trainer(method + ["model.initial_checkpoint=\(begun.path)"], in: folder)
            try trainer.train()
            let (file, first) = (try trainer.network.checkpoint(), try TensorFile.read(begun))
            for spec in trainer.catalog.specs where spec.group != .policy && spec.layout != .counter {
                let values = try file.floats(spec.name)
                let name = spec.name.replacing("frozen.", with: "")
                let before = try first.tensors[name].map { _ in try first.floats(name) }
                if spec.name.hasPrefix("frozen.") {
                    #expect(!spec.isTrainable && values == before, "\(spec.name)")
                } else if spec.isTrainable {
                    #expect(values != before ?? spec.initialValues(seed: 1), "\(spec.name)")
                }
            }
            let names = trainer.catalog.specs.map(\.name)
            #expect(names.contains { $0.hasPrefix("frozen.") } == (trainer.experiment.method is SpotTune))
            let part = try Experiment(trainer.experiment.configuration.selecting(["depth"]))
            let some = try part.makeNetwork(library: TestDevice.nativeLibrary(), infersOnly: true)
            try some.load(file)
            let batch = try batch(part)
            let (all, few) = (
                try trainer.network.predict(batch, policy: trainer.settings.allSelected),
                try some.predict(batch, policy: part.methodSettings.allSelected)
            )
            let (ours, theirs) = (try #require(few["depth"]).values, try #require(all["depth"]).values)
            let scale = theirs.map(abs).max() ?? 0
            #expect(zip(ours, theirs).allSatisfy { abs($0 - $1) <= 1e-5 * scale } && few.count == 1)
        }

        @Test func whatIsMissingIsRefused() throws {
            let tuned = try configuration(["method=spot_tune"])
            let none = #expect(throws: InputError.self) { try tuned.validateForTraining() }
            #expect(none?.description.contains("initial_checkpoint") == true)
            let long = try configuration(["method=block_drop", "method.warmup=2"])
            let warmup = #expect(throws: InputError.self) { try long.validateForTraining() }
            #expect(warmup?.description.contains("method.warmup") == true)
            let apart = try configuration([
                "method=block_drop", "tasks.1.dataset.kind=scenes", "tasks.1.dataset.count=20",
            ])
            let separate = #expect(throws: InputError.self) { try apart.validateForTraining() }
            #expect(separate?.description.contains("different images") == true)
            let experiment = try Experiment(configuration(["method=adashare_instance"]))
            #expect(throws: InputError.self) { try experiment.policy(.all) }
            #expect(throws: InputError.self) { try configuration(["method=adashare_instance", "method.block_use=1"]) }
        }
    }
}
