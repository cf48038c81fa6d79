import AdaShareDatasets
import AdaShareModels
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
    /// Networks of several data sets, scored.
    @Suite struct SourceEvaluationTests {
        private func experiment(_ tasks: [String] = [], _ overrides: [String] = []) throws -> Experiment {
            let configuration = try ExperimentConfiguration.parse(
                yaml: """
                    tasks:
                      - { name: a, kind: depth, dataset: { kind: scenes, count: 8, size: [24, 16], seed: 2 } }
                      - { name: b, kind: segmentation, channels: 6 }
                      - { name: c, kind: normals, dataset: { kind: scenes, count: 8, size: [24, 16], seed: 2 } }
                    dataset: { kind: scenes, count: 6, size: [16, 16], crop: [16, 16] }
                    model: { backbone: resnet18, width: 0.125, head: light }
                    """, file: "c.yml", overrides: overrides)
            return try Experiment(tasks.isEmpty ? configuration : configuration.selecting(tasks))
        }

        private func network(_ experiment: Experiment) throws -> NetworkRuntime {
            let network = try NetworkRuntime(library: TestDevice.nativeLibrary(), graphs: experiment.stepGraphs)
            try network.initialise(seed: 1)
            // The first running statistics leave nothing of weights as small as the first ones.
            for spec in experiment.catalog.specs where spec.group == .backbone && spec.diskShape.count == 4 {
                try network.write(spec, spec.initialValues(seed: 1).map { 8 * $0 })
            }
            return network
        }

        /// Every task is scored on its own images, as if its data set were the only one.
        @Test func eachTaskIsScoredOnItsOwnImages() throws {
            let whole = try experiment()
            let policy = DiscretePolicy(skipped: [[2], [], [2, 5]], blocks: 8)
            let evaluator = Evaluator(experiment: whole, datasets: try whole.makeDatasets())
            let result = try evaluator.evaluate(network(whole), policy: policy, splits: [Array(0..<5), [1, 3]])
            #expect(result.images == 7 && result.labelled == ["a": 5, "b": 2, "c": 5])
            #expect(result.tasks.keys.sorted() == ["a", "b", "c"])
            for (tasks, split) in [(["a", "c"], Array(0..<5)), (["b"], [1, 3])] {
                let part = try experiment(tasks)
                let rows = tasks.map { name in policy.select[whole.tasks.firstIndex { $0.name == name } ?? 0] }
                let alone = try Evaluator(experiment: part, dataset: part.makeDataset()).evaluate(
                    network(part), policy: DiscretePolicy(select: rows), split: split)
                #expect(alone.labelled == nil)
                for task in tasks {
                    #expect(result.tasks[task] == alone.tasks[task] && alone.tasks[task] != nil, "\(task)")
                }
            }
            // Negative control: the images of another data set give other numbers.
            let other = try experiment([], ["tasks.0.dataset.seed=3", "tasks.2.dataset.seed=3"])
            let moved = try Evaluator(experiment: other, datasets: other.makeDatasets()).evaluate(
                network(other), policy: policy, splits: [Array(0..<5), [1, 3]])
            #expect(moved.tasks["a"] != result.tasks["a"] && moved.tasks["b"] == result.tasks["b"])
        }

        @Test func constantsAreLearnedFromEachTasksImages() throws {
            let whole = try experiment()
            let evaluator = Evaluator(experiment: whole, datasets: try whole.makeDatasets())
            let guesses = try evaluator.constantGuess(splits: [[0, 1, 2], [3]]).mapValues { $0.prediction() }
            for (tasks, split) in [(["a", "c"], [0, 1, 2]), (["b"], [3])] {
                let part = try experiment(tasks)
                let alone = Evaluator(experiment: part, dataset: try part.makeDataset())
                let expected = try alone.constantGuess(split: split).mapValues { $0.prediction() }
                for task in tasks { #expect(guesses[task] == expected[task] && expected[task] != nil) }
                let scores = try evaluator.evaluate(constants: guesses, splits: [[4], [5]])
                let own = try alone.evaluate(constants: expected, split: tasks == ["b"] ? [5] : [4])
                for task in tasks { #expect(scores.tasks[task] == own.tasks[task]) }
            }
            #expect(try evaluator.constantGuess(splits: [[3], [3]])["a"]?.prediction() != guesses["a"])
        }

        /// A picture of one's own is given to every task.
        @Test func predictionsOfOneImageAreOfAllTasks() throws {
            let whole = try experiment()
            let batch = try Batch(whole: 2, of: whole.makeDatasets()[1], labels: [])
            let policy = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
            let network = try network(whole)
            let all = try network.predict(batch, policy: policy)
            #expect(all.keys.sorted() == ["a", "b", "c"])
            #expect(try network.predict(batch, policy: policy, tasks: [0]).keys.sorted() == ["a"])
            for task in ["a", "b", "c"] {
                let alone = try self.network(experiment([task]))
                    .predict(batch, policy: .hardSharing(tasks: 1, blocks: 8))
                #expect(alone[task]?.values == all[task]?.values)
                #expect(all[task]?.values.contains { $0 != 0 } == true)
            }
            #expect(all["a"]?.values != all["b"]?.values, "negative control")
        }
    }
}
