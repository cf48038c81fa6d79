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
    /// The methods beside AdaShare, each from its configuration to a summary.
    @Suite(.needsDevice) struct MethodTests {
        private static let yaml = """
            tasks: [{ name: segmentation, kind: segmentation, channels: 6 }, { name: depth, kind: depth }]
            dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training:
              { batch: 4, log_every: 1, checkpoint_every: 3, warmup: { iterations: 0 }, policy: { iterations: 0 },
                retrain: { iterations: 6 } }

            """

        private final class Run {
            let folder: TemporaryFolder
            var directory: RunDirectory { trainer.run }
            let trainer: Trainer
            /// The folder as it was after the fourth step of the last phase.
            var killed: TemporaryFolder? { copy.folder }
            private let copy: Copy

            private final class Copy { var folder: TemporaryFolder? }

            init(_ overrides: [String], in given: TemporaryFolder? = nil) throws {
                folder = try given ?? TemporaryFolder()
                let configuration = try ExperimentConfiguration.parse(
                    yaml: MethodTests.yaml, file: "c.yml", overrides: overrides)
                try configuration.validateForTraining()
                let url = folder.file("run")
                let experiment = try Experiment(configuration)
                let last = experiment.method.phases(experiment.methodSettings).last?.phase
                let copy = Copy()
                self.copy = copy
                trainer = try Trainer(configuration, in: folder, mode: given == nil ? .create : .resume) { event in
                    guard case .step(let step) = event, step.phase == last?.rawValue, step.iteration == 4 else {
                        return
                    }
                    copy.folder = try? TemporaryFolder()
                    guard let place = copy.folder?.url.appendingPathComponent("run") else { return }
                    try? FileManager.default.copyItem(at: url, to: place)
                }
            }

            func tensors(_ name: String) throws -> [String: TensorFile.Entry] {
                try TensorFile.read(trainer.checkpoints.url("\(name).safetensors")).tensors
            }
        }

        /// Every method, its phases, and what its policy must be.
        @Test(arguments: [
            ("hard_sharing", ["train"]), ("single_task", ["single_1", "single_2"]), ("random_policy", ["train"]),
            ("stochastic_depth", ["train"]), ("fixed", ["train"]), ("cross_stitch", ["train"]), ("sluice", ["train"]),
            ("nddr", ["train"]), ("mtan", ["train"]), ("adashare_instance", ["train"]), ("block_drop", ["train"]),
            ("spot_tune", ["train"]),
        ])
        func trainsAndGoesOnToTheSameBits(kind: String, phases: [String]) throws {
            let folder = try TemporaryFolder()
            let begun = folder.url.appendingPathComponent("begun.safetensors")
            if kind == "spot_tune" {
                let network = try Run(["method=hard_sharing"]).trainer.network
                try network.initialise(seed: 9)
                try network.checkpoint().write(to: begun)
            }
            let more = [
                "fixed": ["method.policy=random:0.5:3"], "sluice": ["model.width=0.5"],
                "block_drop": ["method.warmup=2", "method.policy_of=task"],
                "spot_tune": ["model.initial_checkpoint=\(begun.path)"],
            ]
            let overrides = ["method=\(kind)"] + (more[kind] ?? [])
            let whole = try Run(overrides)
            #expect(try whole.trainer.train().map(\.rawValue) == phases)
            let summary = try #require(try whole.trainer.summarise())
            #expect(Set(summary.metrics.keys) == ["segmentation", "depth"] && !summary.isPolicyLearned)
            #expect(summary.gainOverHardSharing == nil)
            let losses = try EventLog.read(whole.directory.log).filter { $0["event"]?.string == "step" }
            #expect(losses.count == 6 * phases.count)

            // As a kill after the fourth step of the last phase would have left it: continued from the third.
            let resumed = try Run(overrides, in: whole.killed)
            #expect(resumed.trainer.isResumed && resumed.trainer.state.iteration == 3)
            try resumed.trainer.train()
            for phase in phases { #expect(try resumed.tensors(phase) == whole.tensors(phase), "\(phase)") }
            #expect(try resumed.tensors(phases[0])["backbone.conv1.weight"] != first(whole))
        }

        /// The stem's weights before any step.
        private func first(_ run: Run) throws -> TensorFile.Entry? {
            try run.trainer.network.initialise(seed: 1)
            return try run.trainer.network.checkpoint().tensors["backbone.conv1.weight"]
        }

        // MARK: - What each is about

        @Test func hardSharingIsWhatAdaSharesBaselineIs() throws {
            // The baseline starts with other random numbers; everything else is the same.
            let hard = try Run(["method=hard_sharing"])
            try hard.trainer.train()
            let summary = try #require(try hard.trainer.summarise())
            #expect(summary.cost.backbone.macsShared == summary.cost.backbone.macsHardSharing && summary.policy == nil)
            #expect(try hard.trainer.currentPhase().kinds == [.hardSharing])
        }

        @Test func aSingleTasksHeadAloneLearns() throws {
            let run = try Run(["method=single_task"])
            try run.trainer.train()
            let (first, second) = (try run.tensors("single_1"), try run.tensors("single_2"))
            let network = run.trainer.network
            try network.initialise(seed: 1)
            let fresh = try network.checkpoint().tensors
            let heads = fresh.keys.filter { $0.hasPrefix("task1_head") || $0.hasPrefix("task1_fc") }
            #expect(!heads.isEmpty)
            for name in heads { #expect(first[name] != fresh[name] && second[name] == fresh[name], "\(name)") }
            // Networks of their own from the same beginning.
            let conv = "backbone.conv1.weight"
            #expect(first[conv] != fresh[conv] && second[conv] != first[conv])
            // Each task is scored with its own weights.
            let scores = try #require(try run.trainer.summarise()).metrics
            let results = try run.directory.results(of: run.trainer.experiment)
            #expect(results.map(\.tasks) == [["segmentation"], ["depth"]])
            let split = run.trainer.dataset.splits.test
            for (weights, tasks) in results {
                try network.load(try TensorFile.read(weights))
                let own = try run.trainer.evaluator.evaluate(
                    network, policy: run.trainer.settings.allSelected, split: split)
                for task in tasks ?? [] { #expect(own.tasks[task] == scores[task]) }
            }
        }

        @Test func aRandomPolicyIsAsDenseAsAsked() throws {
            let dense = try Run(["method=random_policy", "method.density=0.75"])
            try dense.trainer.train()
            let policy = try #require(dense.trainer.state.policy)
            #expect(policy.tasks.values.joined().count { $0 == 1 } == 12)
            #expect(
                try SelectionPolicy.read(dense.directory.policy, tasks: ["segmentation", "depth"], blocks: 8) == policy)
            let other = try Run(["method=random_policy", "method.density=0.75", "training.seed=2"])
            try other.trainer.train()
            #expect(other.trainer.state.policy != policy)

            let bounded = try Run(["method=random_policy", "policy.budget=0.6"])
            try bounded.trainer.train()
            let costs = bounded.trainer.macs
            let chosen = try #require(bounded.trainer.state.policy).discrete(tasks: ["segmentation", "depth"])
            #expect(costs.share(of: chosen, .shared) <= 0.6)
            // At least as much as any part of the order that fits, and tasks of their own mind.
            let seed = UInt64(1)
            func selected(_ policy: DiscretePolicy) -> Int { policy.select.joined().count { $0 } }
            let fitting = (0...16).map {
                DiscretePolicy.nested(density: Double($0) / 16, tasks: 2, blocks: 8, seed: seed)
            }
            .last { costs.share(of: $0, .shared) <= 0.6 }
            #expect(try selected(chosen) >= selected(#require(fitting)))
            func drawn(_ overrides: String...) throws -> DiscretePolicy? {
                let overrides = ["method=random_policy"] + overrides
                let experiment = try Experiment(
                    ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml", overrides: overrides))
                return try experiment.method.foreseenPolicy(experiment.methodSettings, macs: costs)
            }
            #expect(
                try (1...4).contains { seed in
                    let policy = try #require(try drawn("policy.budget=0.6", "training.seed=\(seed)"))
                    return policy.select[0] != policy.select[1]
                })
            let whole = try drawn("policy.budget=1")
            #expect(whole == .hardSharing(tasks: 2, blocks: 8))
        }

        /// A budget that nothing fits into is answered in what it was asked in.
        @Test(arguments: [("1ms", "1.500 ms"), ("0.1", "15.79 % of hard sharing")])
        func aBudgetBelowTheLeastIsRefused(budget: String, least: String) throws {
            let overrides = ["method=random_policy", "policy.budget=\(budget)", "policy.budget_for=inference"]
            let settings = try Experiment(
                ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml", overrides: overrides)
            ).methodSettings
            let costs = PartCosts(
                unit: .nanoseconds, tasks: 2, stem: 1_000_000, once: 500_000,
                blocks: Array(repeating: .init(branch: 1_000_000), count: 8))
            let error = #expect(throws: InputError.self) { _ = try RandomPolicy().draw(settings, costs) }
            #expect(error?.expected == "at least \(least), what a network costs that skips every block")
        }

        @Test func aGivenPolicyIsTrained() throws {
            let folder = try TemporaryFolder()
            let given = SelectionPolicy(tasks: [
                "segmentation": [1, 1, 0, 1, 0, 1, 1, 0], "depth": [1, 0, 0, 1, 1, 1, 0, 1],
            ])
            let file = folder.file("mine.json")
            try given.write(to: file)
            let run = try Run(["method=fixed", "method.policy=\(file.path)"])
            try run.trainer.train()
            #expect(run.trainer.state.policy == given)
            #expect(
                try run.trainer.currentPhase().kinds == [.retrain(given.discrete(tasks: ["segmentation", "depth"]))])
            let error = #expect(throws: InputError.self) { try Run(["method=fixed"]) }
            #expect(error?.description.contains("method.policy: found nothing") == true)
            let missing = try Run(["method=fixed", "method.policy=\(folder.file("no.json").path)"])
            #expect(throws: InputError.self) { try missing.trainer.train() }
        }

        @Test func branchesSurviveAsOftenAsTheyShould() throws {
            let run = try Run(["method=stochastic_depth", "method.survival=0.25", "training.retrain.iterations=4"])
            run.trainer.state.phase = .train
            let phase = try run.trainer.currentPhase()
            let method = try #require(run.trainer.experiment.method as? StochasticDepth)
            let expected = method.probabilities(8)
            #expect(abs(expected[7] - 0.25) < 1e-12 && abs(expected[3] - 0.625) < 1e-12)
            var counts = [Int](repeating: 0, count: 8)
            for iteration in 0..<2000 {
                let step = try #require(try phase.step(iteration).kind.step as? SharedStep)
                for (block, isExecuted) in (step.blocks ?? []).enumerated() where isExecuted { counts[block] += 1 }
            }
            for (count, probability) in zip(counts, expected) {
                // Four standard deviations.
                #expect(abs(Double(count) / 2000 - probability) < 0.045, "\(counts)")
            }
        }

        /// Inference multiplies each branch by its probability: the last scale and shift of each, nothing else.
        @Test func branchesAreExpectationsInTheEnd() throws {
            let run = try Run(["method=stochastic_depth"])
            try run.trainer.train()
            let trained = try run.trainer.network.checkpoint()
            let written = try TensorFile.read(run.trainer.checkpoints.url("train.safetensors"))
            var changed: Set<String> = []
            for (name, entry) in written.tensors where trained.tensors[name] != entry {
                changed.insert(name)
                let (before, after) = (try trained.floats(name), try written.floats(name))
                let block = try #require(
                    run.trainer.experiment.architecture.blocks.first { name.hasPrefix($0.lastBatchNorm()) })
                let factor = Float(1 - 0.5 * Double(block.index + 1) / 8)
                for (x, y) in zip(before, after) { #expect(y == factor * x) }
            }
            #expect(changed.count == 16 && changed.allSatisfy { $0.contains(".bn2.") })
        }

        /// The best weights are those that were scored: not multiplied twice.
        @Test func theBestWeightsAreWrittenAsTheyWereScored() throws {
            let run = try Run([
                "method=stochastic_depth", "training.evaluate_every=1", "training.retrain.iterations=12",
                "training.learning_rate.heads=0.05", "training.learning_rate.backbone=0.05",
            ])
            try run.trainer.train()
            #expect(try #require(run.trainer.state.bestIteration["train"]) < 12, "this seed's best is an earlier one")
            #expect(try run.tensors("train") == run.tensors("train-best"))
        }

        // MARK: - States and keys

        @Test func statesOfOlderVersionsAreRead() throws {
            let old = """
                {"bestIteration":{},"bestScore":{},"finished":["warmup","policy"],"iteration":40,"logOffset":7,
                 "policy":{"probabilities":{},"tasks":{"a":[1,0]}},"policies":{"0.6":{"probabilities":{},"tasks":{"a":[1,0]}}},
                 "policyCost":{"discrete":0.5,"expected":0.6,"form":"shared"},
                 "sampledPolicies":[{"probabilities":{},"tasks":{"a":[0,0]}}],"seconds":{"warmup":1.5},"stage":"policy"}
                """
            let state = try JSONDecoder().decode(RunState.self, from: Data(old.utf8))
            #expect(state.phase == .policy && state.finished == [.warmup, .policy] && state.bytes.isEmpty)
            #expect(state.sampledPolicies == [SelectionPolicy(tasks: ["a": [0, 0]])])
            #expect(state.policyCost?.expected == 0.6)
            let policies: [String: SelectionPolicy]? = state.kept(PolicyLearning.Key.policies)
            #expect(policies?["0.6"] == state.policy)
            let again = try JSONDecoder().decode(RunState.self, from: Data(JSONText.line(state).utf8))
            #expect(again == state && again.method.count == 3)
        }

        @Test(arguments: [
            ("method=adashar", "method.kind"), ("method.density=0.25", "method.density"),
            ("objective=mean", "objective.kind"), ("objective.temperature=1", "objective.temperature"),
        ])
        func keysWithoutEffectAreRefused(override: String, place: String) throws {
            let error = #expect(throws: InputError.self) {
                try ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml", overrides: [override])
            }
            #expect(error?.description.contains(place) == true)
        }

        @Test func oneWordNamesAMethod() throws {
            func parse(_ section: String, _ overrides: [String] = []) throws -> ExperimentConfiguration {
                try .parse(yaml: Self.yaml + section, file: "c.yml", overrides: overrides)
            }
            let short = try parse("method: random_policy\nobjective: uncertainty\n", ["method.density=0.25"])
            let long = try parse(
                "method: { kind: random_policy, density: 0.25 }\nobjective: { kind: uncertainty }\n")
            #expect(short == long && short.method.kind == "random_policy" && short.objective.kind == "uncertainty")
            #expect(short.method[RandomPolicy.self].density == 0.25)
            #expect(try parse("").method.kind == "adashare")
            #expect(try parse("method: fixed\n", ["method=hard_sharing"]).method.kind == "hard_sharing")
        }
    }
}
