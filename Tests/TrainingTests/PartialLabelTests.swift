import AdaShareDatasets
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
    /// Samples that lack labels: what a step without a task does, what the log says, what metrics count.
    @Suite struct PartialLabelTests {
        private static func yaml(_ more: String = "") -> String {
            """
            tasks:
              - { name: classes, kind: segmentation, channels: 6 }
              - { name: depth, kind: depth, weight: 2 }
              - { name: edges, kind: edges, weight: 1 }
            dataset: { kind: scenes, count: 20, size: 16, crop: 16, augmentation: none }
            model: { backbone: resnet18, width: 0.25, head: light, dropout: 0 }
            training:
              { batch: 2, log_every: 1, warmup: { iterations: 4 }, policy: { iterations: 4 },
                retrain: { iterations: 2 } }
            policy: { alternation: { weights: 1, logits: 1 }, curriculum_speed: 1 }
            \(more)
            """
        }

        private static func experiment(_ tasks: [String] = ["classes", "depth", "edges"]) throws -> Experiment {
            try Experiment(ExperimentConfiguration.parse(yaml: yaml(), file: "c.yml").selecting(tasks))
        }

        private static let rows = [
            [true, false, true, true, false, true, true, true], [true, true, false, true, true, false, true, false],
            [false, true, true, false, true, true, false, true],
        ]
        private static let drawn = DiscretePolicy(select: rows)
        private static let learning = PolicySettings(sparsity: 0.05, sharing: 0.05)
        private static let kinds: [(String, @Sendable (DiscretePolicy) -> StepKind)] = [
            ("hard sharing", { _ in .hardSharing }), ("weights", { _ in learning.weights(open: 8) }),
            ("drawn weights", { learning.weights(open: 8, drawn: $0) }), ("logits", { _ in learning.logits(open: 8) }),
            ("drawn logits", { learning.logits(open: 8, drawn: $0) }), ("retrain", { .retrain($0) }),
        ]

        /// Three steps of each kind, in a row on one network; with the last task absent, or without it.
        private func train(_ experiment: Experiment, absent: Bool, _ kind: (DiscretePolicy) -> StepKind) throws -> (
            network: NetworkRuntime, losses: [String: Double]
        ) {
            let network = try experiment.makeNetwork(library: TestDevice.nativeLibrary())
            try network.initialise(seed: 3)
            try network.beginPhase()
            let full = try Self.experiment()
            let dataset = try full.makeDataset()
            let loader = try full.loader(dataset, split: dataset.splits.train, phase: "warmup", startStep: 0)
            let tasks = experiment.tasks.count
            var losses: [String: Double] = [:]
            for step in 0..<3 {
                var batch = try loader.next()
                if absent {
                    let edges = try #require(batch.labels["edges"])
                    batch.labels["edges"] = BatchLabels(
                        format: edges.format, images: 2, numbers: edges.numbers, isCarried: [false, false])
                }
                var state = StepState()
                state.step = UInt32(step)
                state.seed = 5
                state.temperature = 3
                for slot in RateSlot.all {
                    state.rates[slot] = StepState.Rate(learningRate: 1e-2, beta1: 0.5, beta2: 0.999, t: step + 1)
                }
                let policy = DiscretePolicy(select: Array(Self.rows.prefix(tasks)))
                let plan = try #require(try network.step(kind(policy), batch: batch, state: state))
                losses = try network.losses(of: plan)
            }
            return (network, losses)
        }

        @Test(arguments: 0..<6) func aTaskWithoutLabelsIsLeftOut(number: Int) throws {
            let (name, kind) = Self.kinds[number]
            let three = try Self.experiment()
            let (found, losses) = try train(three, absent: true, kind)
            let (expected, fewer) = try train(Self.experiment(["classes", "depth"]), absent: false, kind)
            let (present, _) = try train(three, absent: false, kind)
            #expect(losses == fewer && losses.keys.sorted() == ["classes", "depth", "total"], "\(name)")
            var (differing, own) = (0, 0)
            for spec in found.graphs.catalog.specs {
                let values = try found.read(spec)
                if let other = expected.graphs.catalog[spec.name] {
                    #expect(try values == expected.read(other), "\(name): \(spec.name)")
                    if try values != present.read(spec) { differing += 1 }
                } else {
                    // Of the absent task: as at the start.
                    own += 1
                    #expect(values == spec.initialValues(seed: 3), "\(name): \(spec.name)")
                }
            }
            // Negative control: with its labels the task does matter, to the others' logits by the sharing loss.
            #expect(own == 3 && differing > 0, "\(name): \(differing)")
        }

        @Test func aBatchWithoutAnyLabelDoesNothing() throws {
            let experiment = try Self.experiment()
            let network = try experiment.makeNetwork(library: TestDevice.nativeLibrary())
            try network.initialise(seed: 3)
            try network.beginPhase()
            let dataset = try experiment.makeDataset()
            var batch = try experiment.loader(dataset, split: dataset.splits.train, phase: "warmup", startStep: 0)
                .next()
            for (name, label) in batch.labels {
                batch.labels[name] = BatchLabels(
                    format: label.format, images: 2, classes: label.classes, numbers: label.numbers,
                    isCarried: [false, false])
            }
            let before = try network.checkpoint()
            #expect(try network.step(.hardSharing, batch: batch, state: StepState()) == nil)
            #expect(try network.checkpoint() == before)
        }

        /// Scenes of which the odd ones have no depth.
        private struct Lacking: Dataset {
            let base: any Dataset
            var name: String { base.name }
            var count: Int { base.count }
            var labels: Set<String> { base.labels }
            var splits: DatasetSplits { base.splits }
            func carries(_ label: String, at index: Int) -> Bool { label != "depth" || index % 2 == 0 }
            func sample(_ index: Int) throws -> Sample {
                var sample = try base.sample(index)
                for label in labels where !carries(label, at: index) { sample.labels[label] = nil }
                return sample
            }
        }

        @Test func logAndMetricsCountLabelledImages() throws {
            let folder = try TemporaryFolder()
            let experiment = try Self.experiment()
            let whole = try experiment.makeDataset()
            let dataset = Lacking(base: whole)
            var notices: [String] = []
            let trainer = try Trainer(experiment.configuration, in: folder, dataset: dataset) {
                if case .notice(let text) = $0 { notices.append(text) }
            }
            try trainer.train(phases: [.warmup])
            #expect(
                notices.contains {
                    $0.hasPrefix("label depth: carried by 8 of 16 images of train")
                        && $0.contains("1 of 2 images of test")
                }, "\(notices)")
            #expect(!notices.contains { $0.contains("label edges") })
            let steps = try EventLog.read(trainer.run.log).filter { $0["event"] == "step" }
            #expect(steps.count == 4)
            let lacking = steps.filter { $0["labelled"] != nil }
            #expect(!lacking.isEmpty, "two of 16 images at a time")
            for step in lacking {
                let depth = try #require(step["labelled"]?["depth"]?.double)
                #expect(step["images"] == 2 && depth < 2 && step["labelled"]?["edges"] == 2)
                #expect((step["loss"]?["depth"] != nil) == (depth > 0))
            }
            let evaluator = Evaluator(experiment: experiment, dataset: dataset)
            let policy = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
            let some = try evaluator.evaluate(trainer.network, policy: policy, split: [0, 1, 2, 3])
            #expect(some.images == 4 && some.labelled == ["classes": 4, "depth": 2, "edges": 4])
            // As if there were no others.
            let even = try Evaluator(experiment: experiment, dataset: whole)
                .evaluate(trainer.network, policy: policy, split: [0, 2])
            #expect(some.tasks["depth"] == even.tasks["depth"] && some.tasks["edges"] != even.tasks["edges"])
            #expect(even.labelled == nil)
            let none = try evaluator.evaluate(trainer.network, policy: policy, split: [1, 3])
            #expect(none.tasks.keys.sorted() == ["classes", "edges"] && none.labelled?["depth"] == 0)
        }
    }
}
