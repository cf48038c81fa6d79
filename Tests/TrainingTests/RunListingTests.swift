import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

/// What is told of runs, from folders that hold what a run would leave.
@Suite struct RunListingTests {
    private static let budgets = [
        "policy.budgets=[0.9, 0.6]", "policy.discrete=budget", "training.narrow_baselines=[0.5]",
        "training.hard_sharing_baseline=true",
        "training.warmup.iterations=1", "training.policy.iterations=3", "training.retrain.iterations=2",
    ]
    private static let side = [
        "policy.discrete=budget", "training.warmup.iterations=0", "training.policy.iterations=0",
        "training.retrain.iterations=2",
    ]

    /// A run that has logged some steps; of its log's last line is nothing more asked than where it stands.
    @discardableResult
    private func run(
        _ folder: URL, _ overrides: [String], _ steps: [(phase: String, iteration: Int)], isOver: Bool = false
    ) throws -> RunDirectory {
        do {
            let run = try RunDirectory(folder, mode: .create)
            try run.prepare(
                ExperimentConfiguration.parse(yaml: ConfigurationTests.three, file: "c.yml", overrides: overrides))
            let log = try EventLog(run.log)
            for (phase, iteration) in steps {
                try log.append(["event": "step", "phase": .string(phase), "iteration": .integer(iteration)])
            }
            if isOver { try AtomicFile.write(Data("{}".utf8), to: run.summary) }
        }
        // No process holds it any more.
        return try RunDirectory(folder, mode: .read)
    }

    private func write(_ policies: [(String, [Int])], in run: RunDirectory) throws {
        try run.makePolicies()
        for (budget, decisions) in policies {
            try SelectionPolicy(tasks: ["depth": decisions]).write(to: run.policy(of: budget))
        }
    }

    @Test func linksAreFollowedAndEndSomewhere() throws {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        let short = ["training.warmup.iterations=1"]
        try run(folder.file("runs/z/one"), short, [("warmup", 1)])
        try run(folder.file("elsewhere/two"), short, [("warmup", 1)])
        for (link, target) in [
            ("runs/a", folder.file("runs/z").path), ("runs/b", folder.file("runs/z/one").path),
            ("runs/z/up", folder.file("runs").path), ("runs/self", "self"), ("runs/gone", "nothing"),
            ("runs/far", folder.file("elsewhere").path), ("elsewhere/back", folder.file("runs").path),
            ("runs/file", folder.file("runs/z/one/config.yml").path),
        ] { try manager.createSymbolicLink(atPath: folder.file(link).path, withDestinationPath: target) }
        func names(_ path: String) throws -> [String] {
            try RunListing.all(in: folder.file(path)).map(\.name).sorted()
        }
        #expect(try names("runs") == ["far/two", "z/one"])
        #expect(try names("runs/a") == ["one", "up/far/two"])
        #expect(try names("runs/b") == ["."])
    }

    @Test func badLinesAreNamedAndHideNoOtherRun() throws {
        let folder = try TemporaryFolder()
        let steps = [(phase: "warmup", iteration: 1), ("warmup", 2), ("warmup", 3)]
        let bad = try run(folder.file("bad"), ["training.warmup.iterations=9"], steps)
        try run(folder.file("good"), ["training.warmup.iterations=9"], steps)
        let text = try String(contentsOf: bad.log, encoding: .utf8)
        try Data(text.replacing(#"2,"phase""#, with: #"2,phase""#).utf8).write(to: bad.log)
        let error = #expect(throws: InputError.self) { try EventLog.read(bad.log) }
        let runs = try RunListing.all(in: folder.url).sorted { $0.name < $1.name }
        #expect(runs.map(\.state) == [.damaged, .stopped] && runs.map(\.iteration) == [3, 3])
        #expect(runs[0].problem == "\(try #require(error))" && runs[0].problem?.contains("jsonl: line 2: ") == true)
        #expect(try bad.hasTrained())
    }

    @Test func whatBelongsToARunIsShownWhileItIsTrained() throws {
        let folder = try TemporaryFolder()
        let url = folder.file("run")
        let steps = [(phase: "warmup", iteration: 1), ("policy", 3), ("baseline", 2)]
        let whole = try run(url, Self.budgets, steps, isOver: true)
        try write([("0.9", [1, 1]), ("0.6", [1, 0])], in: whole)
        func listing() throws -> RunListing { try #require(try RunListing.all(in: url).first) }
        let first = try #require(try listing().part)
        #expect(first.text == "retraining at 0.9, 0 of 2" && first.number == 1 && first.count == 3)
        let done = try run(
            url.appendingPathComponent("retrain/0.9"), Self.side + ["policy.budget=0.9"], [("retrain", 2)],
            isOver: true)
        // Its place says that it belongs to the run; wherever it lies, its record does.
        #expect(try RunStanding(done, done.readConfiguration()).isFinished)
        let moved = try run(
            folder.file("moved"), Self.side + ["policy.budget=0.9"], [("retrain", 2)], isOver: true)
        #expect(try !RunStanding(moved, moved.readConfiguration()).isFinished)
        try moved.becomePart(of: "../..", called: "policy at 0.9")
        #expect(try RunStanding(moved, moved.readConfiguration()).isFinished)
        let second = try run(
            url.appendingPathComponent("retrain/0.6"), Self.side + ["policy.budget=0.6"], [("retrain", 1)])
        try second.becomePart(of: "../..", called: "policy at 0.6")
        let now = try listing()
        #expect(now.part?.text == "retraining at 0.6, 1 of 2" && now.part?.number == 2)
        #expect(now.phase == "baseline" && now.iteration == 2 && now.phaseNumber == now.phases)
        // A bad line there is one of this run.
        let log = try Data(contentsOf: second.log)
        try (Data("{\n".utf8) + log).write(to: second.log)
        #expect(try RunListing.all(in: url)[0].problem?.contains("retrain/0.6/metrics.jsonl: line 1") == true)
        try log.write(to: second.log)

        // Budgets that have come to one policy are one retraining.
        try write([("0.6", [1, 1])], in: whole)
        let kinds = [SideRuns.Kind.budget(.share(0.9)), .budget(.share(0.6)), .narrow(0.5)]
        #expect(whole.networks(of: kinds).map(\.trained) == [kinds[0], kinds[0], kinds[2]])
        let last = try #require(try listing().part)
        #expect(last.text == "hard sharing, 0.5 × as wide, 0 of 2" && last.number == 2 && last.count == 2)
        // A comparison alone is no end: what was compared may be gone.
        try AtomicFile.write(Data("{}".utf8), to: whole.tradeoff)
        #expect(try listing().part?.text == last.text && listing().state == .stopped)
        let narrow = url.appendingPathComponent("hard_sharing/0.5")
        try run(narrow, Array(Self.side.dropFirst()), [("retrain", 2)], isOver: true)
        let end = try listing()
        #expect(end.part == nil && end.state == .finished)
        #expect(end.lastPart?.text == "hard sharing, 0.5 × as wide, 2 of 2" && end.lastPart?.number == 2)
        try FileManager.default.removeItem(at: url.appendingPathComponent("retrain/0.9"))
        #expect(try listing().part?.text == "retraining at 0.9, 0 of 2" && listing().state == .stopped)
    }

    /// A run that was asked for a part of its phases is at its end after them.
    @Test func aRunIsForWhatWasAskedFor() throws {
        let folder = try TemporaryFolder()
        let run = try run(
            folder.file("run"), ["training.warmup.iterations=2"], [("warmup", 1), ("warmup", 2)], isOver: true)
        let outlines = try run.readConfiguration().methodSettings()
        let phases = try run.readConfiguration().method.chosen.phases(outlines)
        func listing() throws -> RunListing { try #require(try RunListing.all(in: folder.url).first) }
        #expect(try listing().state == .stopped && listing().phases == 3)
        try run.keep(RunDirectory.Asked(phases: [.warmup]), of: phases)
        #expect(try listing().state == .finished && listing().phases == 1)
        // A study is for all of them.
        #expect(try !StudyResults.isFinished(run.url, run.readConfiguration()))
        try Data().write(to: run.checkpoints.appendingPathComponent("warmup.safetensors"))
        try run.keep(RunDirectory.Asked(phases: [.policy]), of: phases)
        #expect(try listing().state == .stopped && listing().phases == 2)
    }

    /// What no text can name is said to be left out.
    @Test func namesThatAreNoTextAreSaid() throws {
        let folder = try TemporaryFolder()
        try run(folder.file("runs/good"), ["training.warmup.iterations=1"], [("warmup", 1)])
        let bad: [[UInt8]] = [Array("runs/caf".utf8) + [0xE9], Array("runs/.x".utf8) + [0xFF]]
        let paths = bad.map { (Array((folder.url.path + "/").utf8) + $0 + [0]).map(CChar.init(bitPattern:)) }
        for path in paths { #expect(mkdir(path, 0o777) == 0) }
        defer { for path in paths { rmdir(path) } }
        var leftOut: [String] = []
        let runs = try RunListing.all(in: folder.url) { leftOut = $0 }
        #expect(runs.map(\.name) == ["runs/good"] && leftOut == ["runs/caf\\xe9"])
        let names = try #require(FolderNames(folder.file("runs").path))
        #expect(names.names == ["good"] && names.others.map(\.name) == [".x\\xff", "caf\\xe9"])
        #expect(names.others.allSatisfy(\.isFolder) && FolderNames(folder.file("none").path) == nil)
    }

    /// A policy that is given is retrained under in the run itself, whatever budgets there are.
    @Test func aGivenPolicyHasOneRetraining() throws {
        let folder = try TemporaryFolder()
        let given = try run(
            folder.file("run"),
            Self.budgets + ["training.narrow_baselines=[]", "training.hard_sharing_baseline=false"],
            [("retrain", 2)], isOver: true)
        func isFinished() throws -> [Bool] {
            [
                try RunListing.all(in: folder.url)[0].state == .finished,
                try StudyResults.isFinished(given.url, given.readConfiguration()),
            ]
        }
        #expect(try isFinished() == [false, false])
        try AtomicFile.write(Data("{}".utf8), to: given.tradeoff)
        #expect(try isFinished() == [true, true])
        try EventLog(given.log).append(["event": "step", "phase": "retrain", "iteration": 1])
        #expect(try isFinished() == [false, false])
    }

    @Test func budgetsOfOnePolicyAreGrouped() {
        let policies = [[1, 1], [1, 0], [1, 1]].map { SelectionPolicy(tasks: ["a": $0]) }
        let budgets = [0.9, 0.6, 0.8].map(PolicyBudget.share)
        let groups = SideRuns.grouped(zip(budgets, policies).map { (budget: $0, policy: $1) })
        #expect(groups.map(\.budgets) == ["0.9 and 0.8", "0.6"] && groups.map(\.miss) == ["", ""])
        let missed = SideRuns.grouped(
            zip(budgets, policies).map { (budget: $0, policy: $1) }, missed: [budgets[1], budgets[2]])
        #expect(missed.map(\.miss) == [", over the budget of 0.8", ", over its budget"])
    }

    /// What is planned or measured above a budget is known of every policy.
    @Test func missedBudgetsAreKnown() throws {
        let experiment = try Experiment(
            ExperimentConfiguration.parse(
                yaml: "tasks: [{ name: a, kind: depth }]\nmodel: { backbone: resnet18, head: light }", file: "c.yml"))
        let all = SelectionPolicy.allSelected(tasks: ["a"], blocks: 8)
        let none = SelectionPolicy(tasks: ["a": Array(repeating: 0, count: 8)])
        let policies = [(PolicyBudget.share(0.5), all), (.share(0.9), none), (.share(1), all)]
        #expect(experiment.missed(policies.map { (budget: $0, policy: $1) }, measured: nil) == [.share(0.5)])
        var point = Tradeoff.Point(
            kind: .policy, name: "policy at 0.9", folder: "retrain/0.9", macsShare: 0.8, inferenceShare: 0.95,
            trainingShare: 0.8, inferenceMs: 95, trainingMs: 80, budgetShare: 0.9, gain: nil, gains: [:])
        // As files of earlier versions have it: only what was measured is known.
        #expect(point.isOver(.inference) && !point.isOver(.training))
        point.isOverBudget = true
        #expect(point.isOver(.training))
    }
}
