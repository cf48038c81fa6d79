import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

@Suite struct PolicyDrawTests {
    private func model() throws -> CostModel {
        let heads = ["a", "b"].map { TaskHead(name: $0, channels: 2) }
        return CostModel(
            try NetworkArchitecture(backbone: .resnet18, head: .light, tasks: heads), height: 64, width: 64)
    }

    private let alphas: [[Double]] = [
        [0.9, 0.8, 0.7, 0.6, 0.9, 0.8, 0.7, 0.6], [0.6, 0.7, 0.8, 0.9, 0.6, 0.7, 0.8, 0.9],
    ]

    @Test(arguments: CostForm.allCases, [0.4, 0.7])
    func samplesAreWithinTheBudget(form: CostForm, budget: Double) throws {
        let model = try model()
        func draw(_ budget: Double?) -> [DiscretePolicy] {
            PolicyDraw(costs: model.parts, form: form, budget: budget.map(PolicyBudget.share), open: 2)
                .samples(alphas, numbers: [1, 2], count: 20, seed: 3)
        }
        let limited = draw(budget)
        #expect(!limited.isEmpty)
        for policy in limited {
            #expect(model.parts.share(of: policy, form) <= budget)
            #expect(policy.select.allSatisfy { $0.prefix(2).allSatisfy { $0 } })
        }
        // Negative control: without a budget most cost more, and what fits without one is the same draw.
        let free = draw(nil)
        #expect(free.count == 20)
        #expect(free.contains { model.parts.share(of: $0, form) > budget })
        #expect(free.filter { model.parts.share(of: $0, form) <= budget }.allSatisfy(limited.contains))
        #expect(limited == draw(budget))
    }

    @Test func theMostProbableIsWithinTheBudgetAndRemarkedOn() throws {
        let draw = PolicyDraw(costs: try model().parts, form: .shared, budget: .share(0.5), open: 0)
        let policy = draw.mostProbable(alphas)
        #expect(draw.costs.share(of: policy, .shared) <= 0.5)
        let against = policy.select.joined().count { !$0 }
        #expect(
            draw.remarks(on: policy, from: alphas) == [
                "\(against) of 16 decisions go against their probability, to stay within 50 % of hard sharing"
            ])
        let free = PolicyDraw(costs: draw.costs, form: .shared, budget: nil, open: 0)
        #expect(free.mostProbable(alphas) == free.thresholded(alphas))
        #expect(free.remarks(on: free.thresholded(alphas), from: alphas).isEmpty)
    }

    /// One task takes blocks in turn with the others, from the first free block or from where a stage begins; each
    /// within the budget, and what is too much goes by probability.
    @Test func partedPoliciesTakeTurns() throws {
        let costs = try model().parts
        let free = PolicyDraw(costs: costs, form: .shared, budget: nil, open: 1)
        let parted = free.parted(alphas, stages: [0, 2, 4, 6])
        let policies = parted.map(\.policy)
        #expect(parted[0].fork == nil && parted[1].fork.map { [$0.task, $0.block] } == [0, 1])
        #expect(policies.count == 1 + 2 * 4 && policies[0] == .hardSharing(tasks: 2, blocks: 8))
        for policy in policies.dropFirst() {
            let fork = try #require((0..<8).first { policy.select[0][$0] != policy.select[1][$0] })
            #expect([1, 2, 4, 6].contains(fork))
            for block in 0..<8 {
                #expect(policy.select[0][block] == (policy.select[1][block] == (block < fork)))
            }
            #expect((fork + 1..<8).allSatisfy { policy.select[0][$0] != policy.select[0][$0 - 1] })
        }
        let tight = PolicyDraw(costs: costs, form: .shared, budget: .share(0.6), open: 1)
        let fitted = tight.parted(alphas, stages: [0, 2, 4, 6]).map(\.policy)
        #expect(fitted.count > 4 && fitted.allSatisfy { costs.share(of: $0, .shared) <= 0.6 && $0.select[0][0] })
        // Negative control: without the budget most of them cost more.
        #expect(policies.filter { costs.share(of: $0, .shared) <= 0.6 }.count < fitted.count)
        let none = PolicyDraw(costs: costs, form: .shared, budget: .share(0.01), open: 1)
        #expect(none.parted(alphas, stages: [0]).isEmpty)
    }

    /// Less probable policies that make more of the budget, none over it.
    @Test func theFrontierSpendsMore() throws {
        let costs = try model().parts
        // The last stage is most of the work, and not wanted.
        let alphas = [[Double]](repeating: [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.1], count: 2)
        let draw = PolicyDraw(costs: costs, form: .shared, budget: .share(0.7), open: 0)
        let policies = draw.frontier(alphas)
        #expect(policies.count > 1 && Set(policies).count == policies.count)
        #expect(policies[0] == draw.mostProbable(alphas) && policies.allSatisfy(draw.isWithinBudget))
        let spent = policies.map { costs.cost(of: $0, .shared) }
        #expect(spent == spent.sorted() && spent[spent.count - 1] > spent[0])
        // Where nothing is within the budget there is nothing to spend.
        let tight = PolicyDraw(costs: costs, form: .shared, budget: .share(0.01), open: 0)
        #expect(tight.frontier(alphas).count == 1)
    }

    @Test func whatCannotBeReachedIsSaid() throws {
        let model = try model()
        let draw = PolicyDraw(costs: model.parts, form: .shared, budget: .share(0.05), open: 4)
        let policy = draw.mostProbable(alphas)
        #expect(policy.select == [[Bool]](repeating: (0..<8).map { $0 < 4 }, count: 2))
        let least = readable(100 * model.parts.share(of: policy, .shared)) + " %"
        #expect(
            draw.remarks(on: policy, from: alphas).first
                == "no policy is within the budget of 5 % of hard sharing: this one costs \(least), the cheapest "
                + "\(least)"
        )
    }

    /// A policy that no budget was asked of.
    @Test func whatIsOverTheBudgetIsNotCalledUnreachable() throws {
        let draw = PolicyDraw(costs: try model().parts, form: .passes, budget: .share(0.5), open: 0)
        let all = draw.remarks(on: .hardSharing(tasks: 2, blocks: 8), from: alphas)
        #expect(
            all.count == 1
                && all[0].hasPrefix("the policy is over the budget of 50 % of a full pass per task: it costs 100.0 %;"))
        #expect(!draw.isWithinBudget(.hardSharing(tasks: 2, blocks: 8)) && draw.isWithinBudget(draw.cheapest(alphas)))
    }

    /// Tasks that part early compute most blocks twice.
    @Test func whatCostsMoreThanHardSharingIsCalledThat() throws {
        let model = try model()
        let parted = DiscretePolicy(skipped: [[1], []], blocks: 8)
        let share = model.parts.share(of: parted, .shared)
        #expect(share > 1.5)
        #expect(model.parts.warning(about: parted)?.contains("costs \(percent(share)) of hard sharing") == true)
        #expect(model.parts.warning(about: .hardSharing(tasks: 2, blocks: 8)) == nil)
    }
}

@Suite struct PolicySourceTests {
    @Test func namesAreRead() {
        #expect(PolicySource("all") == .all && PolicySource("published") == .published)
        #expect(PolicySource("random:0.5") == .random(density: 0.5, seed: 1))
        #expect(PolicySource("random:1:7") == .random(density: 1, seed: 7))
        #expect(PolicySource("./all") == .file("./all") && PolicySource("a:b.json") == .file("a:b.json"))
        for wrong in ["", "random", "random:", "random:2", "random:0.5:x", "random:nan", "random:0.5:1:2"] {
            #expect(PolicySource(wrong) == nil, "\(wrong)")
        }
    }

    @Test func policiesFitTheNetwork() throws {
        let published = try Experiment(.published(PublishedPolicies.nyu3))
        #expect(try published.policy(.published) == PublishedPolicies.nyu3.policy)
        #expect(try published.policy(.all) == .hardSharing(tasks: 3, blocks: 16))
        let half = try published.policy(.random(density: 0.5, seed: 2))
        #expect(half.select.joined().count { $0 } == 24)
        #expect(try published.policy(.random(density: 0.5, seed: 3)) != half)
        let other = try Experiment(.published(PublishedPolicies.nyu3, overrides: ["model.backbone=resnet50"]))
        let error = #expect(throws: InputError.self) { try other.policy(.published) }
        #expect("\(try #require(error))".contains("resnet50 with tasks segmentation, normals, depth"))
    }

    @Test func tablesMarkWhatGoesAgainstItsProbability() throws {
        let policy = SelectionPolicy(
            tasks: ["a": [1, 0, 1]], probabilities: ["a": [0.1, 0.9, 0.8]], open: 1)
        let lines = policy.table(blocks: ["x", "y", "z"], tasks: ["a"]).split(separator: "\n")
        #expect(lines.count { $0.contains("!") } == 2 && lines.dropLast().last == "! against its probability")
        #expect(lines.contains { $0.contains("skip (0.90) !") })
        // A block that was not learned has no probability, and the table says so.
        #expect(lines[2].hasSuffix(" select") && lines.last?.hasPrefix("select without a probability") == true)
        let whole = SelectionPolicy(tasks: policy.tasks, probabilities: policy.probabilities)
        #expect(!whole.table(blocks: ["x", "y", "z"], tasks: ["a"]).contains("without a probability"))
        // Numbers of blocks are right aligned.
        let long = SelectionPolicy(tasks: ["a": [Int](repeating: 1, count: 10)])
        let names = long.table(blocks: (0..<10).map { "b\($0)" }, tasks: ["a"]).split(separator: "\n")
        #expect(names[2].hasPrefix(" 1 b0") && names[11].hasPrefix("10 b9"))
        let folder = try TemporaryFolder()
        let url = folder.file("policy.json")
        try policy.write(to: url)
        #expect(try SelectionPolicy.read(url, tasks: ["a"], blocks: 3) == policy)
        try Data(#"{"tasks": {"a": [1, 0, 1]}, "open": 4}"#.utf8).write(to: url)
        let error = #expect(throws: InputError.self) { try SelectionPolicy.read(url, tasks: ["a"], blocks: 3) }
        #expect("\(try #require(error))".contains("open"))
    }
}
