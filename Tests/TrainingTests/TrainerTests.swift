import AdaShareDatasets
import AdaShareFiles
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

/// A data set that remembers which samples were read.
private struct CountingDataset: Dataset {
    private final class Record: Sendable {
        let indices = Mutex<Set<Int>>([])
    }

    let base: any Dataset
    private let record = Record()

    init(_ base: any Dataset) { self.base = base }

    var name: String { base.name }
    var count: Int { base.count }
    var labels: Set<String> { base.labels }
    var splits: DatasetSplits { base.splits }
    var read: Set<Int> { record.indices.withLock { $0 } }

    func sample(_ index: Int) throws -> Sample {
        record.indices.withLock { _ = $0.insert(index) }
        return try base.sample(index)
    }
}

extension TrainingTests {
    @Suite struct TrainerTests {
        static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6 }
              - { name: depth, kind: depth }
            dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training:
              batch: 4
              log_every: 1
              evaluate_every: 2
              warmup: { iterations: 4 }
              policy: { iterations: 6 }
              retrain: { iterations: 6 }
            policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 }, samples: 4 }
            """

        /// A run in a folder of its own.
        final class Run {
            let folder: TemporaryFolder
            let trainer: Trainer
            var directory: RunDirectory { trainer.run }

            init(
                _ overrides: [String] = [], dataset: (any Dataset)? = nil, in given: TemporaryFolder? = nil,
                mode: RunDirectory.Mode = .create, onStep: @escaping (StepReport) -> Void = { _ in }
            ) throws {
                folder = try given ?? TemporaryFolder()
                let configuration = try ExperimentConfiguration.parse(
                    yaml: TrainerTests.yaml, file: "c.yml", overrides: overrides)
                let box = Box()
                trainer = try Trainer(configuration, in: folder, mode: mode, dataset: dataset) { event in
                    if case .notice(let text) = event { box.texts.append(text) }
                    if case .step(let step) = event { onStep(step) }
                }
                self.box = box
            }

            private final class Box { var texts: [String] = [] }
            private let box: Box
            var texts: [String] { box.texts }

            func events(_ kind: String) throws -> [JSONValue] {
                try EventLog.read(directory.log).filter { $0["event"]?.string == kind }
            }
        }

        static let all: Set<Phase> = [.warmup, .policy, .retrain]

        /// A run's policy learning, as if it had come so far.
        private func learning(_ run: Run, iteration: Int = 0) throws -> PolicyLearning {
            (run.trainer.state.phase, run.trainer.state.iteration) = (.policy, iteration)
            return try #require(try run.trainer.currentPhase() as? PolicyLearning)
        }

        // MARK: - Validation chooses, the test split stays unseen

        @Test func trainingNeverReadsTheTestSplit() throws {
            let dataset = CountingDataset(try ScenesDataset(count: 40, height: 16, width: 16, seed: 1))
            let run = try Run(["training.policy.iterations=16"], dataset: dataset)
            try run.trainer.train(phases: Self.all)
            let splits = dataset.splits
            #expect(splits.test.count == 4 && dataset.read.isDisjoint(with: splits.test))
            #expect(dataset.read.isSuperset(of: splits.validation))
            _ = try run.trainer.summarise()
            #expect(dataset.read.isSuperset(of: splits.test))
        }

        @Test func theBestOnValidationIsTheOneExported() throws {
            let run = try Run(["training.policy.iterations=20"])
            try run.trainer.train(phases: Self.all)
            let evaluations = try run.events("evaluation")
            for phase in [Phase.policy, .retrain] {
                let mine = evaluations.filter { $0["phase"]?.string == phase.rawValue }
                // 8 blocks, a policy epoch of two steps: every block is open from step 15 on.
                let scores = mine.compactMap { event -> (iteration: Int, score: Double)? in
                    guard let iteration = event["iteration"]?.double, let score = event["score"]?.double else {
                        return nil
                    }
                    return (Int(iteration), score)
                }.filter { phase != .policy || $0.iteration > 14 }
                #expect(scores.count == 3)
                let best = try #require(scores.map(\.score).max())
                let iteration = try #require(scores.first { $0.score == best }).iteration
                #expect(run.trainer.state.bestIteration[phase.rawValue] == iteration)
                #expect(run.trainer.state.bestScore[phase.rawValue] == best)
                let file = try TensorFile.read(run.trainer.checkpoints.url("\(phase.rawValue).safetensors"))
                let chosen = try TensorFile.read(run.trainer.checkpoints.url("\(phase.rawValue)-best.safetensors"))
                #expect(file.tensors == chosen.tensors)
                #expect(chosen.metadata["iteration"] == String(iteration))
            }
        }

        @Test func onlyCheckpointsWithEveryBlockOpenCompete() throws {
            let run = try Run()
            try run.trainer.train(phases: [.warmup, .policy])
            #expect(try run.events("evaluation").count { $0["phase"] == "policy" } == 3)
            #expect(run.trainer.state.bestIteration["policy"] == nil)
            #expect(
                !FileManager.default.fileExists(atPath: run.trainer.checkpoints.url("policy-best.safetensors").path))
        }

        // MARK: - Discrete policies

        @Test func sharedBlocksHaveNoPolicy() throws {
            let run = try Run(["policy.shared_blocks=5", "policy.curriculum=false"])
            try run.trainer.train(phases: [.warmup, .policy])
            for policy in run.trainer.state.sampledPolicies + [try #require(run.trainer.state.policy)] {
                for row in policy.tasks.values { #expect(row.prefix(5) == [1, 1, 1, 1, 1]) }
                #expect(policy.open == 5)
                for row in policy.probabilities.values {
                    #expect(row.prefix(5).allSatisfy { $0 == 0.5 } && row.suffix(3).allSatisfy { $0 != 0.5 })
                }
            }
            // All that are learned are open from the start: every checkpoint competes, and there is nothing to say.
            #expect(run.trainer.state.bestIteration["policy"] != nil)
            #expect(!run.texts.contains { $0.contains("opens only") })
            #expect(throws: InputError.self) { _ = try Run(["policy.shared_blocks=8"]) }
        }

        @Test func closedBlocksAreSelectedInEveryDiscretePolicy() throws {
            // Six iterations in epochs of two open the last three of eight blocks.
            let run = try Run(["policy.samples=16"])
            try run.trainer.train(phases: [.warmup, .policy])
            #expect(run.trainer.state.sampledPolicies.count == 16)
            for policy in run.trainer.state.sampledPolicies + [try #require(run.trainer.state.policy)] {
                for row in policy.tasks.values { #expect(row.prefix(5) == [1, 1, 1, 1, 1]) }
            }
            let rows = run.trainer.state.sampledPolicies.flatMap(\.tasks.values)
            #expect(rows.contains { $0.suffix(3).contains(0) }, "open blocks are drawn")

            let never = [[Double]](repeating: [Double](repeating: 0, count: 8), count: 2)
            let expected = (0..<8).map { $0 < 5 }
            let reached = try learning(run, iteration: run.trainer.state.iteration).policyDraw(within: nil)
            #expect(reached.thresholded(never).select == [expected, expected])
            for (iteration, open) in [(0, 0), (1, 1), (2, 1), (3, 2), (16, 8)] {
                let draw = try learning(run, iteration: iteration).policyDraw(within: nil)
                let row = draw.thresholded(never).select[0]
                #expect(row == (0..<8).map { $0 < 8 - open })
            }
        }

        /// Drawn steps, a budget and recomputation through all phases: the same bits twice, and the cost is reported.
        @Test func drawnStepsWithABudgetTrainAndReport() throws {
            let overrides = [
                "policy.sampling=hard_skip", "policy.budget=0.6", "policy.cost=passes", "training.recompute=true",
                "training.policy.iterations=20",
            ]
            func train(_ overrides: [String]) throws -> Run {
                let run = try Run(overrides)
                try run.trainer.train(phases: Self.all)
                return run
            }
            let (first, second) = (try train(overrides), try train(overrides))
            for phase in ["policy", "retrain"] {
                let files = try [first, second].map {
                    try TensorFile.read($0.trainer.checkpoints.url("\(phase).safetensors"))
                }
                #expect(files[0].tensors == files[1].tensors, "\(phase)")
            }
            let summary = try #require(try first.trainer.summarise())
            let cost = try #require(summary.policyCost)
            #expect(cost.asked == 0.6 && cost.form == "passes")
            #expect((0...1).contains(cost.expected) && (0...1).contains(cost.discrete))
            // With a budget the most probable policy within it is taken, or the cheapest one where none is, and that is
            // said.
            let isTold = first.texts.contains { $0.hasPrefix("no policy is within the budget of 60 %") }
            #expect((cost.discrete <= 0.6) != isTold)
            // One that none will ever meet is told before.
            let beyond = try Run(overrides + ["policy.budget=0.01"])
            try beyond.trainer.train(phases: [.warmup, .policy])
            let foreseen = "policy learning will end over the budget of 1 %"
            #expect(
                beyond.texts.contains { $0.hasPrefix(foreseen) } && !first.texts.contains { $0.hasPrefix(foreseen) })
            let json = try JSONValue.parse(Data(contentsOf: first.directory.summary))
            #expect(json["policy_cost"]?["asked"] == .number(0.6) && json["policy_cost"]?["expected"] != nil)
            // Negative controls: mixing everything, no budget, or another temperature, learns other logits.
            for other in [
                ["policy.sampling=soft"], ["policy.budget=null"], ["policy.temperature=3"],
                ["policy.temperature_decay=0.5"],
            ] {
                let run = try train(overrides + other)
                let files = try [first, run].map {
                    try TensorFile.read($0.trainer.checkpoints.url("policy.safetensors"))
                }
                #expect(files[0].tensors["task1_logits"] != files[1].tensors["task1_logits"], "\(other)")
            }
        }

        /// Looking at several policies, each with statistics of its own, changes nothing but the choice.
        @Test func theFrontierIsScoredAndLeavesNoTrace() throws {
            let overrides = ["training.policy.iterations=20", "policy.budget=0.7", "policy.sampling=straight_through"]
            func policyPhase(_ discrete: String) throws -> Run {
                let run = try Run(overrides + ["policy.discrete=\(discrete)"])
                try run.trainer.train(phases: [.warmup, .policy])
                return run
            }
            let (plain, scored) = (try policyPhase("budget"), try policyPhase("frontier"))
            let files = try [plain, scored].map {
                try TensorFile.read($0.trainer.checkpoints.url("policy.safetensors"))
            }
            #expect(files[0].tensors == files[1].tensors)
            let events = try EventLog.read(scored.directory.log).filter { $0["event"] == "policy_samples" }
            let candidates = scored.trainer.state.sampledPolicies
            guard events.count == 1, case .array(let scores)? = events[0]["scores"],
                case .integer(let chosen)? = events[0]["chosen"]
            else {
                Issue.record("no scores: \(events)")
                return
            }
            #expect(candidates.count > 1 && scores.count == candidates.count)
            #expect(scored.trainer.state.policy == candidates[chosen] && plain.trainer.state.policy == candidates[0])
            // Scores are of different networks.
            #expect(Set(scores.compactMap { $0.double }).count == candidates.count)
        }

        /// The largest budget from the start, or from everything down to it.
        @Test func budgetsAreSteeredTo() throws {
            let overrides = ["training.policy.iterations=20", "policy.budgets=[0.6, 0.8]"]
            let constant = try #require(try learning(try Run(overrides)).steering)
            #expect(constant(0) == constant(9) && constant(0) < 1)
            let falling = try #require(
                try learning(try Run(overrides + ["policy.budget_schedule=falling"])).steering)
            #expect(falling(0) == 1 && falling(9) == constant(0))
            #expect((0..<8).allSatisfy { falling($0) > falling($0 + 1) || falling($0) == constant(0) })
            #expect(try learning(try Run(["policy.budget=null"])).steering == nil)
        }

        /// Several budgets need a policy that was learned, or one that is given.
        @Test func budgetsNeedAPolicy() throws {
            let overrides = ["training.policy.iterations=20", "policy.budgets=[0.8, 0.6]"]
            for phases in [[Phase.retrain], [.warmup, .retrain]] as [Set<Phase>] {
                let run = try Run(overrides)
                let error = #expect(throws: InputError.self) { try run.trainer.train(phases: phases) }
                #expect("\(try #require(error))".contains("--phases with policy"))
            }
            let given = try Run(overrides)
            try given.trainer.retrain(under: .allSelected(tasks: ["segmentation", "depth"], blocks: 8))
            #expect(try given.trainer.train(phases: [.retrain]) == [.retrain])
            let learned = try Run(overrides)
            #expect(try learned.trainer.train(phases: Self.all) == [.warmup, .policy])
            let policies: [String: SelectionPolicy] = try #require(
                learned.trainer.state.kept(PolicyLearning.Key.policies))
            #expect(policies.keys.sorted() == ["0.6", "0.8"])
        }

        /// Every phase says what it plans for, and that is what its steps come to hold.
        @Test func plannedMemoryIsWhatStepsHold() throws {
            final class Held {
                var trainer: Trainer?
                var bytes: [String: Int] = [:]
            }
            let held = Held()
            let run = try Run(["training.evaluate_every=0", "training.policy.iterations=20"]) { step in
                guard let executor = held.trainer?.network.executor else { return }
                held.bytes[step.phase] = executor.byteCount
            }
            held.trainer = run.trainer
            try run.trainer.train(phases: Self.all)
            for phase in [Phase.warmup, .policy, .retrain] {
                let text = try #require(run.texts.first { $0.hasPrefix("\(phase.rawValue) plans at most") })
                let planned = try #require(text.split(separator: " ").compactMap { Double($0) }.first) * 1e6
                let bytes = Double(try #require(held.bytes[phase.rawValue]))
                #expect(planned >= 0.98 * bytes && planned <= 1.05 * bytes, "\(phase): \(planned), held \(bytes)")
            }
        }

        /// Drawn steps of a run that is continued from its checkpoint on disk are those of an undisturbed one.
        @Test func drawnStepsResume() throws {
            // Checkpoints lie between a weight and a logit step; by the fifth some blocks are open.
            let overrides = [
                "policy.sampling=hard_skip", "training.policy.iterations=12", "training.checkpoint_every=5",
            ]
            let folder = try TemporaryFolder()
            let source = try TemporaryFolder()
            var copies = 0
            let whole = try Run(overrides, in: source) { step in
                // What a process that dies here leaves behind.
                guard step.phase == "policy", step.iteration == 7 else { return }
                let copy: Void? = try? FileManager.default.copyItem(
                    at: source.url.appendingPathComponent("run"), to: folder.url.appendingPathComponent("run"))
                copies += copy == nil ? 0 : 1
            }
            try whole.trainer.train(phases: [.warmup, .policy])
            #expect(copies == 1)
            let resumed = try Run(overrides, in: folder, mode: .resume)
            #expect(resumed.trainer.state.phase == .policy && resumed.trainer.state.iteration == 5)
            try resumed.trainer.train(phases: [.warmup, .policy])
            let files = [
                try TensorFile.read(whole.trainer.checkpoints.url("policy.safetensors")),
                try TensorFile.read(resumed.trainer.checkpoints.url("policy.safetensors")),
            ]
            #expect(files[0].tensors == files[1].tensors)
        }

        @Test func sampledPoliciesFollowFromTheSeed() throws {
            func draw(_ overrides: [String]) throws -> [SelectionPolicy] {
                let run = try Run(overrides)
                try run.trainer.network.initialise(seed: 1)
                try learning(run, iteration: 16).finish()
                #expect(
                    try SelectionPolicy.read(
                        run.directory.policy, tasks: ["segmentation", "depth"], blocks: 8) == run.trainer.state.policy)
                return run.trainer.state.sampledPolicies
            }
            let first = try draw([])
            #expect(try draw([]) == first)
            #expect(try draw(["training.seed=2"]) != first)
            #expect(Set(first.map { "\($0.tasks)" }).count > 1, "samples differ from one another")
            // α = ½ for all: argmax selects everything, and there is one candidate.
            let argmax = try draw(["policy.discrete=argmax"])
            #expect(argmax.count == 1 && argmax[0].tasks.values.allSatisfy { $0 == [Int](repeating: 1, count: 8) })
        }

        @Test func drawsHaveTheProbabilitiesOfTheLogits() throws {
            let run = try Run(["policy.samples=400"])
            try run.trainer.network.initialise(seed: 1)
            let spec = try #require(run.trainer.experiment.catalog["task2_logits"])
            // α = 1/(1+e) ≈ 0.27 for even blocks, 0.73 for odd ones.
            try run.trainer.network.write(spec, (0..<8).flatMap { $0 % 2 == 0 ? [Float(0), 1] : [1, 0] })
            try learning(run, iteration: 16).finish()
            for block in 0..<8 {
                let chosen = run.trainer.state.sampledPolicies.count { $0.tasks["depth"]?[block] == 1 }
                let share = Double(chosen) / 400
                // Four standard deviations.
                #expect(abs(share - (block % 2 == 0 ? 0.269 : 0.731)) < 0.09, "block \(block): \(share)")
            }
        }

        // MARK: - Schedules

        @Test func tooShortPolicyPhaseNamesTheIterationsNeeded() throws {
            let short = try Run()
            try short.trainer.train(phases: [.policy])
            let warning = try #require(short.texts.first { $0.contains("opens only") })
            #expect(warning.contains("the last 3 of 8 blocks in 6 iterations"))
            #expect(warning.contains("training.policy.iterations >= 16"))
            let long = try Run(["training.policy.iterations=16"])
            try AdaShare().prepare([.policy], in: long.trainer)
            #expect(!long.texts.contains { $0.contains("opens only") })
            // The schedule counts passes where the alternation does: 25 and 7 images, batches of 4.
            let epochs = try Run([
                "policy.alternation.weights=epoch", "policy.alternation.logits=epoch", "policy.curriculum_speed=3",
            ])
            #expect(try learning(epochs).schedule.cycle == 7)
            try AdaShare().prepare([.policy], in: epochs.trainer)
            #expect(epochs.texts.contains { $0.contains(">= 154") })
        }

        @Test func learningRatesDecayInWarmUpAndRetraining() throws {
            func rates(_ phase: Phase, _ iteration: Int, _ overrides: [String] = []) throws -> [Float] {
                let decay = ["training.learning_rate_decay.every=10", "training.learning_rate_decay.factor=0.5"]
                let rates = ["training.learning_rate.heads=0.5", "training.learning_rate.backbone=0.25"]
                let trainer = try Run(decay + rates + overrides).trainer
                (trainer.state.phase, trainer.state.iteration) = (phase, iteration)
                let state = try trainer.currentPhase().step(iteration).state
                #expect(state.step == UInt32(iteration))
                return [RateSlot.heads, .backbone, .policy].compactMap { state.rates[$0]?.learningRate }
            }
            for phase in [Phase.warmup, .retrain, .baseline] {
                #expect(try rates(phase, 0) == [0.5, 0.25, 0.01])
                #expect(try rates(phase, 9) == [0.5, 0.25, 0.01])
                #expect(try rates(phase, 10) == [0.25, 0.125, 0.01])
                #expect(try rates(phase, 35) == [0.0625, 0.03125, 0.01])
            }
            #expect(try rates(.policy, 35) == [0.5, 0.25, 0.01])
            #expect(try rates(.warmup, 35, ["training.learning_rate_decay.scope=heads"]) == [0.0625, 0.25, 0.01])
            #expect(try rates(.warmup, 35, ["training.learning_rate_decay.every=0"]) == [0.5, 0.25, 0.01])
        }

        // MARK: - Losses that are not finite

        /// Where every loss is finite no task is blamed, nor the objective's rate where it has none.
        @Test func whatIsMinimisedIsToBlameAlone() {
            func text(_ task: String, _ objectiveLearns: Bool) -> String {
                NonFiniteLoss(phase: .train, iteration: 3, task: task, objectiveLearns: objectiveLearns).description
            }
            #expect(text("depth", true).hasPrefix("train step 3: the loss of task depth is not finite;"))
            #expect(!text("depth", true).contains("objective"))
            #expect(text("total", false).hasPrefix("train step 3: the tasks' losses are finite, but what is minimised"))
            #expect(!text("total", false).contains("objective"))
            #expect(text("total", true).hasSuffix("(training.learning_rate, objective.learning_rate)"))
        }

        @Test(arguments: [1, 6]) func notANumberStopsAtItsStep(logEvery: Int) throws {
            let run = try Run([
                "training.learning_rate.backbone=1e30", "training.warmup.iterations=6",
                "training.log_every=\(logEvery)", "training.evaluate_every=0",
            ])
            let error = #expect(throws: NonFiniteLoss.self) { try run.trainer.train(phases: [.warmup]) }
            #expect(error?.phase == .warmup && error?.iteration == 2)
            #expect(["segmentation", "depth"].contains(error?.task))
            #expect(error?.description.contains("(training.learning_rate)") == true)
            let saved = try run.trainer.checkpoints.load()
            #expect(saved.state.iteration == 0)
            try run.trainer.network.load(saved.model)
            #expect(try saved.model.floats("backbone.conv1.weight").allSatisfy(\.isFinite))
        }
    }
}
