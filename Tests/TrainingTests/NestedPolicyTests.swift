import Models
import Testing

@testable import Training

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
}
