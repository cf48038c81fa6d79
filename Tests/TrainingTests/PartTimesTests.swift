import AdaShareModels
import AdaShareOperators
import AdaShareSupport
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
    /// What the parts of a network take: which part a launch belongs to, that nothing is lost, and what is kept.
    @Suite struct PartTimesTests {
        private static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6 }
              - { name: depth, kind: depth }
            dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: four_rate, dropout: 0.5 }
            training: { batch: 2 }
            """

        private func experiment(_ overrides: [String] = []) throws -> Experiment {
            try Experiment(.parse(yaml: Self.yaml, file: "c.yml", overrides: overrides))
        }

        @Test func launchesBelongToParts() throws {
            let names = NetworkPart.Names(try experiment(["model.backbone=resnet101"]).architecture)
            func part(_ label: String, _ kernel: String = "k") -> NetworkPart {
                names.part(label: label, kernel: kernel)
            }
            #expect(part("backbone.conv1 @all") == .stem && part("backward/backbone.bn1 @all") == .stem)
            #expect(part("update/backbone.conv1.weight") == .stemOnce && part("backward/pool @all") == .stem)
            // resnet101 has 3, 4, 23 and 3 blocks; 2.1 is the ninth, 2.10 the eighteenth.
            #expect(part("backbone.blocks.2.1.conv1 @depth") == .branch(8))
            #expect(part("backbone.blocks.2.10.conv1 @depth") == .branch(17))
            #expect(part("recompute/backbone.blocks.2.1.bn1") == .branch(8))
            #expect(part("backbone.blocks.2.1.bn1/statistics") == .branch(8))
            #expect(part("update/backbone.blocks.2.1.conv1.weight") == .branchOnce(8))
            #expect(part("backbone.blocks.2.1.conv1", "convolution_pack") == .branchOnce(8))
            #expect(part("backward/backbone.ds.1.0 @all") == .projection(3))
            #expect(part("update/backbone.ds.1.1.bias") == .projectionOnce(3))
            #expect(part("task2_fc1_c0 @depth") == .head(1) && part("backward/depth/loss @depth") == .head(1))
            #expect(part("WeightedSum @all") == .rest && part("backbone.blocks") == .rest)
        }

        /// Of a training step only sums of losses, checks, first gradients and what is done for several small tensors
        /// belong to no part.
        @Test func everyLaunchOfAStepHasItsPart() throws {
            let experiment = try experiment()
            let session = ExperimentSession(settled: experiment, library: try TestDevice.library(.cpu))
            let bench = try NetworkBench(session, shape: experiment.trainingShape)
            let names = NetworkPart.Names(experiment.architecture)
            let all = DiscretePolicy.hardSharing(tasks: 2, blocks: 8)
            for kind in [StepKind.inference(all), .retrain(all)] {
                try bench.reserve(kind)
                let launches = try bench.prepare(kind).plan.launches
                let parts = Dictionary(grouping: launches) { names.part(label: $0.site.label, kernel: $0.site.name) }
                let rest = Set((parts[.rest] ?? []).map(\.site.name))
                let known = [
                    "weighted_sum", "finite_check", "fill", "scale", "adam_tensors", "batchnorm_update_tensors",
                ]
                #expect(rest.isSubset(of: known), "\(rest)")
                for block in 0..<8 { #expect(parts[.branch(block)] != nil, "\(block)") }
                for block in [2, 4, 6] { #expect(parts[.projection(block)] != nil, "\(block)") }
                #expect(parts[.stem] != nil && parts[.head(0)] != nil && parts[.head(1)] != nil)
            }
        }

        @Test func aNetworkIsMeasuredOnce() throws {
            let folder = try TemporaryFolder()
            let experiment = try experiment()
            let library = try TestDevice.library(.cpu)
            var lines: [String] = []
            func times(_ experiment: Experiment, _ step: BudgetMeasure) throws -> PartTimes {
                let session = ExperimentSession(settled: experiment, library: library)
                var timer = PartTimer(session, mode: .search(root: folder.file("db"))) {
                    if case .notice(let line) = $0 { lines.append(line) }
                }
                // Other tests run beside this one; what they disturb is not kept.
                timer.tolerance = .infinity
                return try timer.times(experiment.trainingShape, step)
            }
            let first = try times(experiment, .inference)
            #expect(lines.count == 1 && lines[0].contains("step of inference"))
            let costs = first.costs
            #expect(costs.unit == .nanoseconds && costs.tasks == 2 && costs.stem > 0)
            #expect(costs.blocks.allSatisfy { $0.branch > 0 } && costs.blocks[2].projection > 0)
            #expect(first.heads.allSatisfy { $0 > 0 } && costs.blocks[0].projection == 0)
            #expect(costs.once == first.stemOnce + first.heads.reduce(0, +) + first.rest)
            // What the clock would say now is not asked; another step or network is another measurement.
            #expect(try times(experiment, .inference) == first && lines.count == 1)
            let training = try times(experiment, .training)
            #expect(lines.count == 2 && training.costs.blocks.allSatisfy { $0.branchOnce > 0 })
            _ = try times(try self.experiment(["model.width=0.25"]), .inference)
            #expect(lines.count == 3)

            let run = try RunDirectory(folder.file("run"), mode: .create)
            let budget = ["policy.budget=0.5", "policy.budget_for=training"]
            let counting = try self.experiment(budget)
            #expect(try run.readTimes(for: counting) == nil)
            try run.write(training)
            #expect(try run.readTimes(for: counting) == training)
            #expect(throws: InputError.self) { try run.readTimes(for: experiment) }
            let other = try self.experiment(budget + ["model.backbone=resnet34"])
            let error = #expect(throws: InputError.self) { try run.readTimes(for: other) }
            #expect(
                "\(try #require(error))".contains(
                    "expected a step of training of 2 images of 16×16, 2 tasks × 16 blocks"))
            let text = try String(contentsOf: run.times, encoding: .utf8)
            for damaged in [
                String(text.dropLast(9)), text.replacing("\"stem\" : \(training.costs.stem)", with: "\"stem\" : -1"),
            ] {
                try Data(damaged.utf8).write(to: run.times)
                #expect(throws: InputError.self) { try run.readTimes(for: counting) }
            }
        }
    }
}

@Suite struct PolicyBudgetTests {
    @Test func sharesAndTimesAreRead() {
        #expect(PolicyBudget("0.6") == .share(0.6) && PolicyBudget("1") == .share(1))
        #expect(PolicyBudget("12ms") == .milliseconds(12) && PolicyBudget("0.5 ms") == .milliseconds(0.5))
        #expect(PolicyBudget.share(0.25).name == "0.25" && PolicyBudget.milliseconds(12).name == "12ms")
        for wrong in ["", "ms", "0", "1.1", "-1ms", "0ms", "nan", "infms", "12s", "60%", "1e300ms"] {
            #expect(PolicyBudget(wrong) == nil, "\(wrong)")
        }
    }

    /// Both ways of saying the same.
    @Test func limitsAreInUnitsOfTheCosts() {
        let costs = PartCosts(
            unit: .nanoseconds, tasks: 2, stem: 1_000_000, once: 500_000,
            blocks: [.init(branch: 2_000_000, branchOnce: 100_000), .init(branch: 1_000_000, projection: 400_000)])
        #expect(costs.hardSharing(.shared) == 5_000_000)
        #expect(PolicyBudget.share(0.5).limit(costs, .shared) == 2_500_000)
        #expect(PolicyBudget.milliseconds(2.5).limit(costs, .shared) == 2_500_000)
        #expect(PolicyBudget.milliseconds(2.5).share(costs, .shared) == 0.5)
        // Tasks that part at the first block project twice; its update is paid once.
        let parted = DiscretePolicy(select: [[true, true], [false, false]])
        #expect(costs.cost(of: parted, .shared) == 1_500_000 + 2_100_000 + 800_000 + 1_000_000)
        // In a pass of its own each task pays for everything.
        #expect(costs.cost(of: parted, .passes) == 500_000 + 2 * 1_400_000 + 2_100_000 + 1_000_000)
        let chosen = costs.mostProbable([[0.9, 0.9], [0.9, 0.2]], within: 4_400_000, .shared)
        #expect(chosen.cost == costs.cost(of: chosen.policy, .shared) && chosen.isWithinBudget)
    }

    @Test func configurationsSayWhatTheyCount() throws {
        func policy(_ text: String) throws -> PolicyConfiguration {
            let yaml = "tasks: [{ name: a, kind: depth }, { name: b, kind: normals }]\npolicy: { \(text) }\n"
            return try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml").policy
        }
        let share = try policy("budget: 0.5")
        #expect(share.budgetFor == .macs && share.discrete == .budget && !share.isTimed)
        let time = try policy("budget: 12ms")
        #expect(time.budget == .milliseconds(12) && time.budgetFor == .inference)
        let several = try policy("budgets: [0.8, 0.4], budget_for: training, budget_schedule: falling")
        #expect(several.budgets == [.share(0.8), .share(0.4)] && several.budgetFor == .training)
        #expect(several.discrete == .budget && several.budgetSchedule == .falling)
        let costs = PartCosts(unit: .macs, tasks: 2, stem: 1, blocks: [.init(branch: 9)])
        #expect(several.steered(by: costs) == .share(0.8) && share.steered(by: costs) == .share(0.5))
        for (text, words) in [
            ("budget: 0.5, budgets: [0.4]", "policy.budget beside it"),
            ("discrete: frontier", "frontier without a policy.budget"),
            ("budget: 12ms, budget_for: macs", "policy.budget_for: found macs"),
            ("budgets: [0.4, 0.4]", "each once"), ("budgets: [0.4], discrete: argmax", "policy.discrete"),
            ("budget: 2", "a share above 0 and at most 1, or milliseconds"), ("budgets: 0.4", "a list"),
        ] {
            let error = #expect(throws: InputError.self, "\(text)") { try policy(text) }
            #expect("\(try #require(error))".contains(words), "\(text)")
        }
    }
}

@Suite struct NarrowBaselinesTests {
    /// Channels are multiples of 16, so that some factors change nothing.
    @Test(arguments: [
        ("[0.75, 0.5]", "true", ""), ("[0.5]", "false", "hard_sharing_baseline: true"),
        ("[0.95]", "true", "stages of [16, 32, 64, 128] channels"), ("[0.5, 0.48]", "true", "whose networks differ"),
        ("[1.5]", "true", "above 0 and below 1"), ("[0.01]", "true", "at least 0.015625"),
    ])
    func factorsMakeOtherNetworks(factors: String, baseline: String, words: String) throws {
        let yaml = """
            tasks: [{ name: a, kind: depth }, { name: b, kind: normals }]
            model: { width: 0.25 }
            training: { narrow_baselines: \(factors), hard_sharing_baseline: \(baseline) }
            """
        func parse() throws -> ExperimentConfiguration { try .parse(yaml: yaml, file: "c.yml", overrides: []) }
        guard !words.isEmpty else {
            #expect(try parse().training.narrowBaselines == [0.75, 0.5])
            return
        }
        let error = #expect(throws: InputError.self) { try parse() }
        #expect("\(try #require(error))".contains(words), "\(error.map { "\($0)" } ?? "")")
    }
}

@Suite struct TimedRoundsTests {
    /// Rounds that measure these times, each of which takes `clock` milliseconds.
    private func rounds(_ times: [Double], clock: Double) -> TimedRounds<Double> {
        var count = 0
        let elapsed = { Double(count) * clock }
        let measure = {
            defer { count += 1 }
            return times[min(count, times.count - 1)]
        }
        return TimedRounds(elapsed: elapsed, measure, times: { [$0] })
    }

    @Test func roundsGoOnUntilTheSmallestAgree() {
        // 10, 10.05 and 10.09 agree; the three before them do not.
        let found = rounds([15, 12, 10, 30, 10.05, 14, 10.09, 9], clock: 300)
        #expect(found.isSettled && found.rounds.count == 7 && found.smallest { $0 } == 10)
    }

    @Test func timesThatNeverAgreeAreSaidToBeDisturbed() {
        let growing = rounds((0..<100).map { 10 * pow(1.02, Double($0)) }, clock: 500)
        #expect(!growing.isSettled && growing.rounds.count == 6, "3 s of rounds")
        let quick = rounds((0..<300).map { 10 * pow(1.02, Double($0)) }, clock: 1)
        #expect(!quick.isSettled && quick.rounds.count == 200)
    }

    @Test func fiveRoundsDoWhereNobodyLooks() {
        MeasuringTime.$isLeast.withValue(true) {
            #expect(rounds([10], clock: 1).rounds.count == 5)
            let growing = rounds((0..<100).map { 10 * pow(1.02, Double($0)) }, clock: 1)
            #expect(!growing.isSettled && growing.rounds.count == 5)
        }
    }

    @Test func atLeastFiveRoundsAndMostOfASecondAreTaken() {
        #expect(rounds([10], clock: 10_000).rounds.count == 5)
        #expect(rounds([10], clock: 100).rounds.count == 8)
    }
}

@Suite struct PartSumsTests {
    @Test func partsAreTheWholeStep() throws {
        let yaml = """
            tasks: [{ name: a, kind: depth }]
            dataset: { kind: scenes }
            model: { backbone: resnet18, head: light }
            """
        let architecture = try Experiment(.parse(yaml: yaml, file: "c.yml")).architecture
        let names = NetworkPart.Names(architecture)
        let block = architecture.blocks[3]
        let labels = [
            Stem.scopes[0], "\(block.name).conv1", "update/\(block.name).conv1", "a/loss", "elsewhere",
        ]
        func run(_ ns: [Double], whole: Double) -> (ns: Double, launches: [(label: String, kernel: String, ns: Double)])
        {
            (whole, zip(labels, ns).map { (label: $0, kernel: "kernel", ns: $1) })
        }
        // Each part's smallest time, and half of the smallest step lies between its five launches.
        let sums = PartSums(
            [run([100, 900, 50, 60, 10], whole: 2000), run([200, 700, 50, 40, 30], whole: 1800)], names: names)
        #expect(sums.time(.stem) == 100 + 180)
        #expect(sums.time(.branch(3)) == 700 + 180)
        #expect(sums.time(.branchOnce(3)) == 50 + 180)
        #expect(sums.time(.head(0)) == 40 + 180)
        #expect(sums.time(.rest) == 10 + 180)
        #expect(sums.time(.branch(2)) == 0)
        let all = [.stem, .branch(3), .branchOnce(3), .head(0), .rest].reduce(0) { $0 + sums.time($1) }
        #expect(all == 1800)
    }
}

@Suite struct TradeoffTests {
    private func point(_ kind: Tradeoff.Point.Kind, _ name: String, share: Double, gain: Double?) -> Tradeoff.Point {
        Tradeoff.Point(
            kind: kind, name: name, folder: ".", macsShare: share, inferenceShare: share, trainingShare: share,
            inferenceMs: 8 * share, trainingMs: 60 * share, plannedMs: 10 * share, plannedShare: share, gain: gain,
            gains: gain.map { ["a": $0] } ?? [:])
    }

    private func tradeoff(_ points: [Tradeoff.Point]) -> Tradeoff {
        Tradeoff(
            device: "a device", batch: 16, height: 96, width: 96, measure: .inference, split: "test", points: points)
    }

    @Test func pointsAreDrawnWhereTheyWereMeasured() throws {
        let hard = point(.hardSharing, "hard sharing", share: 1, gain: 0)
        let points = [
            hard, point(.policy, "policy at 0.6", share: 0.5, gain: 1.5),
            point(.narrow, "hard sharing, 0.5 × as wide", share: 0.4, gain: -3),
        ]
        let chart = try #require(tradeoff(points).chart)
        #expect(chart.panels.map(\.title) == ["Inference", "Training step"])
        let policies = try #require(chart.panels[1].series.first { $0.name == "policies" })
        #expect(policies.points.map(\.x) == [30] && policies.points.map(\.y) == [1.5])
        let narrow = try #require(chart.panels[0].series.first { $0.name == "hard sharing, narrowed" })
        #expect(narrow.points.map(\.x) == [8, 3.2] && narrow.points.map(\.y) == [0, -3])
        #expect(Picture(chart.svg)?.elements.contains { $0.text == "policy at 0.6" } == true)
        // Two budgets that have come to one policy are in one place.
        var twin = point(.policy, "policy at 0.55", share: 0.5, gain: 1.5)
        twin.sameAs = "policy at 0.6"
        let both = try #require(tradeoff(points + [twin]).chart?.panels[0].series.first { $0.name == "policies" })
        #expect(both.points.map(\.label) == ["policy at 0.6, policy at 0.55"])
        // Without hard sharing's accuracy there is nothing to draw.
        #expect(tradeoff([point(.hardSharing, "hard sharing", share: 1, gain: nil)]).chart == nil)
        #expect(abs((points[1].planError(.inference) ?? 0) + 0.2) < 1e-12)
    }
}
