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
@testable import AdaShareTraining

extension TrainingTests {
    /// What each objective minimises, step by step against float64, and that runs with it resume.
    @Suite(.needsDevice) struct ObjectiveTests {
        private static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6, weight: 0.5 }
              - { name: depth, kind: depth, weight: 2 }
              - { name: normals, kind: normals, weight: 3 }
            dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            method: hard_sharing
            training: { batch: 8, log_every: 1, retrain: { iterations: 12 } }

            """
        private static let names = ["segmentation", "depth", "normals"]
        private static let weights = [0.5, 2, 3]

        private struct Run {
            let folder: TemporaryFolder
            var directory: RunDirectory { trainer.run }
            let trainer: Trainer
            /// Losses in the order of the tasks, and the total, step by step.
            var steps: [(losses: [Double], total: Double)] {
                get throws {
                    try EventLog.read(directory.log).filter { $0["event"]?.string == "step" }.map { event in
                        let all = ObjectiveTests.names.map { event["loss"]?[$0]?.double ?? .nan }
                        return (all, event["loss"]?["total"]?.double ?? .nan)
                    }
                }
            }
            /// What the objective gave the losses, step by step.
            var given: [JSONValue?] {
                get throws {
                    try EventLog.read(directory.log).filter { $0["event"]?.string == "step" }.map { $0["objective"] }
                }
            }

            init(_ overrides: [String]) throws {
                folder = try TemporaryFolder()
                let configuration = try ExperimentConfiguration.parse(
                    yaml: ObjectiveTests.yaml, file: "c.yml", overrides: overrides)
                try configuration.validateForTraining()
                trainer = try Trainer(configuration, in: folder)
                try trainer.train()
                for event in try EventLog.read(directory.log) {
                    guard case .object(let terms)? = event["weighted_loss"] else { continue }
                    let (sum, total) = (terms.values.compactMap(\.double).reduce(0, +), event["loss"]?["total"]?.double)
                    #expect(abs(sum - (total ?? .nan)) < 1e-4 * abs(sum), "\(event)")
                }
            }
        }

        private func expect(_ value: Double, _ expected: Double, _ what: String) {
            #expect(abs(value - expected) < 2e-5 * max(1, abs(expected)), "\(what): \(value), expected \(expected)")
        }

        @Test func fixedWeights() throws {
            let run = try Run([])
            #expect(try run.given.allSatisfy { $0 == nil })
            for (losses, total) in try run.steps {
                expect(total, zip(Self.weights, losses).reduce(0) { $0 + $1.0 * $1.1 }, "total")
            }
        }

        @Test func uncertainty() throws {
            let run = try Run(["objective=uncertainty", "objective.learning_rate=0.05"])
            // Adam by hand: β = (0.5, 0.999), no decay, in float64.
            var (s, m, v) = ([0.0, 0, 0], [0.0, 0, 0], [0.0, 0, 0])
            for (index, step) in try run.steps.enumerated() {
                let t = Double(index + 1)
                var total = 0.0
                for task in 0..<3 {
                    let precision = (task == 0 ? 1 : 0.5) * exp(-s[task])
                    let loss = Self.weights[task] * step.losses[task]
                    total += precision * loss + s[task] / 2
                    let gradient = 0.5 - precision * loss
                    m[task] = 0.5 * m[task] + 0.5 * gradient
                    v[task] = 0.999 * v[task] + 0.001 * gradient * gradient
                    let root = (v[task] / (1 - pow(0.999, t))).squareRoot()
                    s[task] -= 0.05 * m[task] / (1 - pow(0.5, t)) / (root + 1e-8)
                }
                expect(step.total, total, "step \(index)")
            }
            let file = try TensorFile.read(run.trainer.checkpoints.url("train.safetensors"))
            for task in 0..<3 {
                let learned = Double(try file.floats("task\(task + 1)_log_variance", shape: [1])[0])
                #expect(abs(learned - s[task]) < 1e-4 && abs(learned) > 1e-3)
                let logged = try run.given.last??["learned"]?["task\(task + 1)_log_variance"]
                #expect(logged == .array([.number(learned)]))
            }
        }

        @Test func dynamicWeightAverage() throws {
            // 32 images in train: an epoch of four steps.
            let run = try Run(["objective=dynamic_weight_average", "objective.temperature=0.5", "dataset.validation=0"])
            let epoch = run.trainer.dataset.splits.train.count / 8
            #expect(epoch == 4)
            let steps = try run.steps
            func mean(_ range: Range<Int>, _ task: Int) -> Double {
                steps[range].reduce(0) { $0 + $1.losses[task] } / Double(range.count)
            }
            let rates = (0..<3).map { exp(mean(4..<8, $0) / mean(0..<4, $0) / 0.5) }
            let learned = rates.map { 3 * $0 / rates.reduce(0, +) }
            #expect(Set(learned.map { ($0 * 1000).rounded() }).count == 3)
            let given = try run.given
            for (index, step) in steps.enumerated() {
                let w = index < 8 ? [1, 1, 1] : learned
                for (task, name) in Self.names.enumerated() {
                    #expect(abs((given[index]?["weights"]?[name]?.double ?? .nan) - w[task]) < 1e-4, "step \(index)")
                }
                expect(
                    step.total, (0..<3).reduce(0) { $0 + w[$1] * Self.weights[$1] * step.losses[$1] }, "step \(index)")
            }
        }

        @Test func randomWeights() throws {
            let run = try Run(["objective=random"])
            var factors: Set<Double> = []
            for (index, step) in try run.steps.enumerated() {
                var state = StepState()
                (state.seed, state.step, state.phase) = (1, UInt32(index), PhaseNumber.train)
                let w = try #require(RandomWeights().weights([0, 1, 2], of: 3, state: state, history: LossHistory()))
                #expect(abs(w.reduce(0, +) - 3) < 1e-9)
                factors.formUnion(w)
                expect(
                    step.total, (0..<3).reduce(0) { $0 + w[$1] * Self.weights[$1] * step.losses[$1] }, "step \(index)")
            }
            #expect(factors.count == 36)
        }

        @Test func geometricLoss() throws {
            for (losses, total) in try Run(["objective=geometric"]).steps {
                expect(total, pow(losses.reduce(1, *), 1.0 / 3), "total")
            }
        }

        /// With a policy that is learned: the objective is the same in both kinds of steps, and resumes with the run.
        @Test(arguments: ["uncertainty", "dynamic_weight_average", "random", "geometric"])
        func learnsAPolicyAndResumes(kind: String) throws {
            let yaml = Self.yaml.replacing("method: hard_sharing\n", with: "")
            let overrides = [
                "objective=\(kind)", "training.warmup.iterations=2", "training.policy.iterations=12",
                "training.retrain.iterations=2", "policy.alternation.weights=2", "policy.alternation.logits=1",
                "training.checkpoint_every=5", "policy.curriculum_speed=1", "training.batch=4",
            ]
            let configuration = try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml", overrides: overrides)
            func run(in folder: TemporaryFolder, mode: RunDirectory.Mode, copyTo copy: URL? = nil) throws -> Trainer {
                let trainer = try Trainer(configuration, in: folder, mode: mode) { event in
                    guard let copy, case .step(let step) = event, step.phase == "policy", step.iteration == 11 else {
                        return
                    }
                    try? FileManager.default.copyItem(at: folder.file("run"), to: copy)
                }
                try trainer.train()
                return trainer
            }
            let (folder, killed) = (try TemporaryFolder(), try TemporaryFolder())
            let whole = try run(in: folder, mode: .create, copyTo: killed.url.appendingPathComponent("run"))
            let resumed = try run(in: killed, mode: .resume)
            func weights(_ trainer: Trainer, _ phase: String) throws -> [String: TensorFile.Entry] {
                try TensorFile.read(trainer.checkpoints.url("\(phase).safetensors")).tensors
            }
            for phase in ["policy", "retrain"] { #expect(try weights(resumed, phase) == weights(whole, phase)) }
            let logits = try TensorFile.read(whole.checkpoints.url("policy.safetensors")).floats("task1_logits")
            #expect(Set(logits).count > 2, "logits have moved")
        }

        @Test func drawnStepsNeedTermsOfTasks() throws {
            let configuration = try ExperimentConfiguration.parse(
                yaml: Self.yaml.replacing("method: hard_sharing\n", with: ""), file: "c.yml",
                overrides: ["objective=geometric", "policy.sampling=hard_skip"])
            let error = #expect(throws: InputError.self) { try configuration.validateForTraining() }
            #expect(error?.description.contains("policy.sampling") == true)
        }
    }
}
