import AdaShareOperators
import Foundation
import TestSupport
import Testing

@testable import AdaShareModels

@Suite struct PolicySearchTests {
    private func model(_ backbone: BackboneKind, tasks: Int, isSeparate: Bool = false) throws -> CostModel {
        let heads = (0..<tasks).map { TaskHead(name: "t\($0)", channels: 2, source: isSeparate ? $0 : 0) }
        return CostModel(
            try NetworkArchitecture(backbone: backbone, head: .light, tasks: heads),
            height: 64, width: 64)
    }

    private func logProbability(_ policy: DiscretePolicy, _ alphas: [[Double]]) -> Double {
        zip(policy.select, alphas).reduce(0) { sum, rows in
            sum + zip(rows.0, rows.1).reduce(0) { $0 + log($1.0 ? $1.1 : 1 - $1.1) }
        }
    }

    private func alphas(tasks: Int, blocks: Int, _ random: inout SeededGenerator) -> [[Double]] {
        (0..<tasks).map { _ in (0..<blocks).map { _ in Double.random(in: 0.001..<0.999, using: &random) } }
    }

    /// All policies against the search, with random probabilities, costs and budgets: as probable, and what it says the
    /// policy costs is what it costs.
    @Test(arguments: [(2, 8), (3, 5), (3, 6), (4, 3), (1, 8)])
    func agreesWithTryingEverything(tasks: Int, blocks: Int) {
        checkAgainstEverything(sources: Array(repeating: 0, count: tasks), blocks: blocks)
    }

    /// The same where tasks are given different images.
    @Test(arguments: [[0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 2], [0, 0, 1, 1]])
    func agreesOnSeparateImages(sources: [Int]) {
        checkAgainstEverything(sources: sources, blocks: sources.count == 4 ? 3 : 5)
        // Negative control: what is shared among all tasks of one image costs another sum.
        let blocks = [PartCosts.Block(branch: 9), .init(branch: 5, projection: 2)]
        let policy = DiscretePolicy.hardSharing(tasks: sources.count, blocks: 2)
        let parts = PartCosts(unit: .macs, sources: sources, stem: 3, blocks: blocks)
        #expect(parts.cost(of: policy, .shared) == Set(sources).count * 19)
        #expect(PartCosts(unit: .macs, tasks: sources.count, stem: 3, blocks: blocks).cost(of: policy, .shared) == 19)
    }

    private func checkAgainstEverything(sources: [Int], blocks: Int) {
        let tasks = sources.count
        let images = Set(sources).count
        var random = SeededGenerator(seed: UInt64(tasks * 100 + blocks))
        for round in 0..<100 {
            // Every other round, a part of each branch is paid once.
            let charges = (0..<blocks).map { _ in
                PartCosts.Block(
                    branch: Int.random(in: 1...30, using: &random),
                    branchOnce: round % 2 == 0 ? 0 : Int.random(in: 0...9, using: &random),
                    projection: max(0, Int.random(in: -8...4, using: &random)))
            }
            let fixed = Int.random(in: 0..<10, using: &random)
            let alphas = alphas(tasks: tasks, blocks: blocks, &random)
            let open = round % 4 == 0 ? Int.random(in: 0..<blocks, using: &random) : 0
            let all = charges.reduce(fixed) { $0 + images * ($1.branch + $1.projection) + $1.branchOnce }
            let budget = Int.random(in: 0..<(all + all / 2), using: &random)
            // Every fifth round, spending is worth something.
            let reward = round % 5 == 4 ? Double.random(in: 0..<0.5, using: &random) : 0
            let found = PolicySearch(
                alphas, sources: sources, blocks: charges, fixed: fixed, budget: budget, open: open, reward: reward
            ).best()
            let oracle = PolicyOracle(
                branches: charges.map(\.branch), once: charges.map(\.branchOnce),
                projections: charges.map(\.projection), fixed: fixed, alphas: alphas, open: open,
                reward: reward, sources: sources
            ).best(within: budget)
            // From the definition: groups are sets of tasks with equal images and equal decisions below.
            let rows = zip(sources, found.policy.select).map { source, row in [source] + row.map { $0 ? 1 : 0 } }
            let cost = charges.indices.reduce(fixed) { sum, block in
                let pasts = Set(rows.map { $0.prefix(block + 1) })
                let payers = Set(rows.filter { $0[block + 1] == 1 }.map { $0.prefix(block + 1) })
                return sum + pasts.count * charges[block].projection + payers.count * charges[block].branch
                    + (payers.isEmpty ? 0 : charges[block].branchOnce)
            }
            #expect(found.cost == cost)
            let parts = PartCosts(unit: .macs, sources: sources, stem: 0, once: fixed, blocks: charges)
            #expect(parts.cost(of: found.policy, .shared) == cost)
            let chosen = parts.mostProbable(
                alphas, within: budget, .shared, open: open, reward: reward * Double(max(1, budget)))
            #expect(chosen.cost == parts.cost(of: chosen.policy, .shared) && chosen.isWithinBudget == found.isWithin)
            #expect(found.isWithin == (oracle.score != nil))
            #expect(found.policy.select.allSatisfy { $0.prefix(open).allSatisfy { $0 } })
            if let score = oracle.score {
                #expect(cost <= budget)
                #expect(abs(logProbability(found.policy, alphas) + reward * Double(cost) - score) < 1e-9)
            } else {
                #expect(cost == oracle.leastCost)
            }
        }
    }

    /// On a network's own counts, both forms.
    @Test(arguments: CostForm.allCases, [false, true])
    func plannedCostIsTheCostModels(form: CostForm, isSeparate: Bool) throws {
        let model = try model(.resnet18, tasks: 2, isSeparate: isSeparate)
        let isShared = form == .shared && !isSeparate
        let (stem, branches) = (model.stemMacs, model.blocks.map(\.macs))
        let projections = model.blocks.map(\.projectionMacs)
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20 {
            let alphas = alphas(tasks: 2, blocks: 8, &random)
            let budget = Int(Double.random(in: 0..<1.1, using: &random) * Double(model.parts.hardSharing(form)))
            let chosen = model.parts.mostProbable(alphas, within: budget, form)
            #expect(chosen.cost == model.parts.cost(of: chosen.policy, form))
            // Where nothing is shared, the tasks' blocks are those of one task one after the other.
            let oracle =
                isShared
                ? PolicyOracle(branches: branches, projections: projections, fixed: stem, alphas: alphas, open: 0)
                : PolicyOracle(
                    branches: branches + branches, projections: projections + projections, fixed: 2 * stem,
                    alphas: [alphas[0] + alphas[1]], open: 0)
            let expected = oracle.best(within: budget)
            #expect(chosen.isWithinBudget == (expected.score != nil))
            if let score = expected.score {
                #expect(abs(logProbability(chosen.policy, alphas) - score) < 1e-9)
            } else {
                #expect(chosen.cost == expected.leastCost)
            }
        }
    }

    /// Without a budget that binds, each decision is its more probable side.
    @Test func aWideBudgetGivesArgmax() throws {
        let model = try model(.resnet34, tasks: 3)
        var random = SeededGenerator(seed: 3)
        let alphas = (0..<3).map { _ in (0..<16).map { _ in Double.random(in: 0..<1, using: &random) } }
        let chosen = model.parts.mostProbable(alphas, within: .max, .shared, open: 5)
        #expect(chosen.policy.select == alphas.map { row in row.indices.map { $0 < 5 || row[$0] >= 0.5 } })
    }

    /// Probabilities of 0 and 1 can be gone against where nothing else fits.
    @Test func certaintyYieldsToTheBudget() throws {
        let model = try model(.resnet18, tasks: 2)
        let alphas = [[Double]](repeating: Array(repeating: 1, count: 8), count: 2)
        let half = model.parts.hardSharing(.shared) / 2
        let chosen = model.parts.mostProbable(alphas, within: half, .shared)
        #expect(chosen.isWithinBudget && chosen.cost <= half)
        #expect(chosen.policy.select[0].contains(true) && chosen.policy.select[0] == chosen.policy.select[1])
    }

    /// The largest network of the project with the most tasks of its tables.
    @Test func largeNetworksAreSearched() throws {
        let model = try model(.resnet101, tasks: 5)
        var random = SeededGenerator(seed: 5)
        for share in [0.2, 0.5, 0.8] {
            let alphas = (0..<5).map { _ in (0..<33).map { _ in 0.2 + 0.75 * Double.random(in: 0..<1, using: &random) }
            }
            let budget = Int(share * Double(model.parts.hardSharing(.shared)))
            let chosen = model.parts.mostProbable(alphas, within: budget, .shared)
            #expect(chosen.isWithinBudget && chosen.cost <= budget)
            #expect(chosen.cost == model.parts.cost(of: chosen.policy, .shared))
        }
    }

    @Test func blocksGetWhatStemAndProjectionsLeave() throws {
        let model = try model(.resnet18, tasks: 3)
        for form in CostForm.allCases {
            #expect(abs(model.parts.blockBudget(1, form) - 1) < 1e-12)
            let none = DiscretePolicy(select: Array(repeating: Array(repeating: false, count: 8), count: 3))
            let least = model.parts.share(of: none, form)
            #expect(abs(model.parts.blockBudget(least, form)) < 1e-12)
        }
    }
}
