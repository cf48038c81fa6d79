import AdaShareModels
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

@Suite struct NestedPolicyTests {
    @Test func nestedPoliciesAreNested() {
        var denser = DiscretePolicy.nested(density: 1, tasks: 3, blocks: 16, seed: 5)
        #expect(denser.select.joined().allSatisfy { $0 })
        for tenths in (0..<10).reversed() {
            let policy = DiscretePolicy.nested(density: Double(tenths) / 10, tasks: 3, blocks: 16, seed: 5)
            #expect(policy.select.joined().count { $0 } == Int((4.8 * Double(tenths)).rounded()))
            #expect(zip(policy.select.joined(), denser.select.joined()).allSatisfy { !$0 || $1 })
            denser = policy
        }
    }

    /// All tasks agree, what a sparser policy selects a denser one selects too, and each costs less than the one
    /// before.
    @Test(arguments: ["resnet18", "resnet34", "resnet50"]) func policiesThatAgreeCostLessTheLessTheySelect(
        backbone: String
    ) throws {
        let yaml = """
            tasks: [{ name: a, kind: depth }, { name: b, kind: normals }, { name: c, kind: depth }]
            model: { backbone: \(backbone), head: light }
            """
        let architecture = try Experiment(try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml")).architecture
        let blocks = architecture.blocks.count
        let cost = CostModel(architecture, height: 64, width: 64)
        let policies = DiscretePolicy.alike(tasks: 3, blocks: blocks, seed: 1)
        #expect(policies.count == min(10, blocks))
        #expect(policies.allSatisfy { Set($0.select).count == 1 && $0.taskCount == 3 && $0.blockCount == blocks })
        #expect(abs((policies.first?.density ?? 0) - 0.9) <= 0.5 / Double(blocks) && policies.last?.density == 0)
        let all = DiscretePolicy.hardSharing(tasks: 3, blocks: blocks)
        for (denser, sparser) in zip([all] + policies, policies) {
            #expect(zip(sparser.select.joined(), denser.select.joined()).allSatisfy { !$0 || $1 })
            #expect(sparser.density < denser.density)
            #expect(cost.parts.cost(of: sparser, .shared) < cost.parts.cost(of: denser, .shared))
        }
        // Negative control: policies that tasks draw on their own cost more than sharing everything.
        let own = DiscretePolicy.nested(density: 0.9, tasks: 3, blocks: blocks, seed: 1)
        #expect(Set(own.select).count > 1 && cost.parts.cost(of: own, .shared) > cost.parts.cost(of: all, .shared))
    }
}
