import Testing

@testable import Models

@Suite struct DiscretePolicyTests {
    @Test func hardSharing() {
        let policy = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
        #expect(policy.taskCount == 3)
        #expect(policy.blockCount == 8)
        #expect(policy.select.joined().allSatisfy { $0 })
    }

    @Test func randomIsAFunctionOfTheSeed() {
        let policy = DiscretePolicy.random(density: 0.5, tasks: 5, blocks: 16, seed: 7)
        #expect(policy == .random(density: 0.5, tasks: 5, blocks: 16, seed: 7))
        #expect(policy != .random(density: 0.5, tasks: 5, blocks: 16, seed: 8))
    }

    @Test(arguments: [0.0, 0.25, 0.5, 0.9, 1.0])
    func randomDensity(density: Double) {
        let draws = 20_000
        let policy = DiscretePolicy.random(density: density, tasks: 1, blocks: draws, seed: 3)
        let share = Double(policy.select[0].filter { $0 }.count) / Double(draws)
        // Five standard deviations of a Bernoulli mean; exact at 0 and 1.
        #expect(abs(share - density) <= 5 * (density * (1 - density) / Double(draws)).squareRoot())
    }

    @Test func stochasticDepthKeepsLessTowardsTheTop() {
        let policy = DiscretePolicy.stochasticDepth(tasks: 20_000, blocks: 4, seed: 1)
        for block in 0..<4 {
            let share = Double(policy.select.filter { $0[block] }.count) / 20_000
            let keep = 1 - 0.5 * Double(block + 1) / 4
            #expect(abs(share - keep) < 5 * (keep * (1 - keep) / 20_000).squareRoot())
        }
    }

    @Test func publishedPolicies() throws {
        for published in PublishedPolicies.all {
            let network = try published.architecture()
            try published.policy.validate(for: network)
        }
        #expect(PublishedPolicies.nyu2.policy.select[0] == [true, false, true, true, true, true, true, true])
        let cityscapes = PublishedPolicies.cityscapes.policy.select
        #expect(cityscapes[0].indices.filter { !cityscapes[0][$0] } == [5, 6, 8, 12])
        #expect(PublishedPolicies.taskonomy.policy.select.map { $0.filter { !$0 }.count } == [0, 2, 2, 1, 3])
        #expect(PublishedPolicies.nyu3.tasks.map(\.channels) == [40, 3, 1])
    }

    @Test func policyMustFitTheNetwork() throws {
        let network = try PublishedPolicies.nyu2.architecture()
        try PublishedPolicies.nyu2.policy.validate(for: network)
        #expect(
            throws: ArchitectureError.policyBlockCount(
                task: "segmentation", found: 7, expected: 8, backbone: "resnet18")
        ) {
            try DiscretePolicy.hardSharing(tasks: 2, blocks: 7).validate(for: network)
        }
        #expect(throws: ArchitectureError.policyTaskCount(found: 1, expected: 2)) {
            try DiscretePolicy.hardSharing(tasks: 1, blocks: 8).validate(for: network)
        }
    }
}
