import AdaShareFiles
import AdaShareModels
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests.TrainerTests {
    /// Candidates are trained in turn, and each budget gets the best of those within it; a run that is continued
    /// between two of them, or amid one, comes to the same.
    @Test(arguments: [10, 20]) func trialsChooseThePolicy(stoppedAt stop: Int) throws {
        let overrides = [
            "training.policy.iterations=20", "training.trials.iterations=60", "policy.budgets=[0.9, 0.7]",
            "training.checkpoint_every=5",
        ]
        let (source, folder) = (try TemporaryFolder(), try TemporaryFolder())
        var copies = 0
        let whole = try Run(overrides, in: source) { step in
            // A checkpoint follows the step: what is copied is of five steps before.
            guard step.phase == "trials", step.iteration == stop + 5 else { return }
            let copy: Void? = try? FileManager.default.copyItem(
                at: source.url.appendingPathComponent("run"), to: folder.url.appendingPathComponent("run"))
            copies += copy == nil ? 0 : 1
        }
        #expect(try whole.trainer.train(phases: Self.all.union([.trials])) == [.warmup, .policy, .trials])
        #expect(copies == 1)
        let trials = whole.texts.filter { $0.contains("scores gain") }
        let steps = try EventLog.read(whole.directory.log).filter {
            $0["phase"] == "trials" && $0["event"] == "step"
        }
        let tried = Set(steps.compactMap { $0["candidate"]?.double })
        #expect(trials.count > 4 && tried == Set((1...trials.count).map(Double.init)))
        let chosen = try EventLog.read(whole.directory.log).filter {
            $0["phase"] == "trials" && $0["event"] == "policy_samples"
        }
        let policies: [String: SelectionPolicy] = try #require(
            whole.trainer.state.kept(PolicyLearning.Key.policies))
        for (budget, event) in zip([0.7, 0.9], chosen) {
            guard case .array(let scores)? = event["scores"], let best = event["chosen"]?.double.map({ Int($0) })
            else {
                Issue.record("no scores: \(event)")
                return
            }
            #expect(event["budget"] == .string("\(budget)") && scores.count > 1)
            let values = scores.compactMap(\.double)
            #expect(values[best] == values.max() && Set(values).count > 1)
            let policy = try #require(policies["\(budget)"])
            #expect(
                whole.trainer.macs.share(of: policy.discrete(tasks: policy.tasks.keys.sorted().reversed()), .shared)
                    <= budget)
        }
        #expect(chosen.count == 2)
        let candidates = steps.compactMap { $0["candidate"]?.double }
        #expect((candidates[stop - 1] != candidates[stop]) == (stop == 20), "\(candidates)")
        let resumed = try Run(overrides, in: folder, mode: .resume)
        #expect(resumed.trainer.state.phase == .trials && resumed.trainer.state.iteration == stop)
        try resumed.trainer.train(phases: Self.all.union([.trials]))
        #expect(try resumed.trainer.state.kept(PolicyLearning.Key.policies) == policies)
        let files = try [whole, resumed].map {
            try TensorFile.read($0.trainer.checkpoints.url("trials.safetensors"))
        }
        #expect(files[0].tensors == files[1].tensors)
    }

    /// Trials need something to choose by, and a policy that was learned.
    @Test func trialsThatCannotChooseAreRefused() throws {
        let overrides = ["training.policy.iterations=20", "training.trials.iterations=20"]
        for (others, phases, expected) in [
            ([], [.warmup, .trials], "--phases with policy"),
            (["dataset.count=9"], Self.all.union([.trials]), "no validation images"),
            (["training.warmup.iterations=0"], Self.all.union([.trials]), "training.warmup.iterations above 0"),
        ] as [([String], Set<Phase>, String)] {
            let run = try Run(overrides + others)
            let error = #expect(throws: InputError.self) { try run.trainer.train(phases: phases) }
            #expect("\(try #require(error))".contains(expected))
        }
    }
}
