import AdaShareFiles
import AdaShareModels
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests.TrainerTests {
    /// Candidates are trained in turn, and each budget gets the best of those within it; a run that is continued
    /// between two of them, or amid one, comes to the same.
    @Test(arguments: [10, 20]) func trialsChooseThePolicy(stoppedAt stop: Int) throws {
        let overrides = [
            "training.policy.iterations=20", "training.trials.iterations=120", "policy.budgets=[0.9, 0.7]",
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
        let texts = whole.texts.filter { $0.hasPrefix("candidate ") }
        let trials = texts.filter { !$0.contains("for longer") }
        #expect((1..<trials.count).contains(texts.count - trials.count))
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
        func losses(_ run: Run) throws -> [JSONValue?] {
            try EventLog.read(run.directory.log).filter { $0["phase"] == "trials" }.map { event in
                event["loss"] ?? event["score"] ?? event["scores"]
            }.filter { $0 != nil }
        }
        #expect(try losses(whole) == losses(resumed) && losses(whole).count > 120)
        let files = try [whole, resumed].map {
            try TensorFile.read($0.trainer.checkpoints.url("trials.safetensors"))
        }
        #expect(files[0].tensors == files[1].tensors)
        // Negative control: another seed has other losses.
        let other = try Run(overrides + ["training.seed=2"])
        try other.trainer.train(phases: Self.all.union([.trials]))
        #expect(try losses(whole) != losses(other))
    }

    /// Trials need something to choose by, a policy that was learned, and steps for all.
    @Test func trialsThatCannotChooseAreRefused() throws {
        let overrides = ["training.policy.iterations=20", "training.trials.iterations=40"]
        for (others, phases, expected) in [
            ([], [.warmup, .trials], "--phases with policy"),
            (["dataset.count=9", "training.batch=1"], Self.all.union([.trials]), "no validation images"),
            (["policy.budget=0.001"], Self.all.union([.trials]), "budgets that no policy meets"),
        ] as [([String], Set<Phase>, String)] {
            let run = try Run(overrides + others)
            let error = #expect(throws: InputError.self) { try run.trainer.train(phases: phases) }
            #expect("\(try #require(error))".contains(expected), "\(String(describing: error))")
        }
        for (others, expected) in [
            (["training.trials.iterations=3"], "up to 15 policies to try, expected 0, or at least 30"),
            (["training.policy.iterations=0"], "training.policy.iterations 0"),
        ] {
            let error = #expect(throws: InputError.self) {
                try ExperimentConfiguration.parse(
                    yaml: Self.yaml, file: "c.yml", overrides: overrides + others
                ).validateForTraining()
            }
            #expect("\(try #require(error))".contains(expected), "\(String(describing: error))")
        }
    }

    /// A state that is not of these trials is an error, not a wrong choice.
    @Test func trialsOfAnotherStateAreRefused() throws {
        let overrides = [
            "training.policy.iterations=20", "training.trials.iterations=60", "training.checkpoint_every=5",
        ]
        let folder = try TemporaryFolder()
        let run = try Run(overrides, in: folder)
        try run.trainer.train(phases: [.warmup, .policy])
        let trials = try #require(run.trainer.outlines.first { $0.phase == .trials })
        run.trainer.state.phase = .trials
        let phase = try AdaShare().begin(trials, in: run.trainer)
        try phase.enter()
        run.trainer.state.iteration = 7
        #expect(throws: InputError.self) { _ = try AdaShare().begin(trials, in: run.trainer) }
        run.trainer.state.iteration = 1
        _ = try AdaShare().begin(trials, in: run.trainer)
    }
}
