import AdaShareSupport
import Testing

@testable import AdaShareModels

@Suite struct DiscretePolicyTests {
    @Test func hardSharing() {
        let policy = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
        #expect(policy.taskCount == 3)
        #expect(policy.blockCount == 8)
        #expect(policy.select.joined().allSatisfy { $0 })
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
            throws: InputError.policyBlockCount(
                task: "segmentation", found: 7, expected: 8, backbone: "resnet18")
        ) {
            try DiscretePolicy.hardSharing(tasks: 2, blocks: 7).validate(for: network)
        }
        #expect(throws: InputError.policyTaskCount(found: 1, expected: 2)) {
            try DiscretePolicy.hardSharing(tasks: 1, blocks: 8).validate(for: network)
        }
    }
}
