import AdaShareOperators
import Testing

@testable import AdaShareModels

@Suite struct ExpectedCostTests {
    private func model(_ sources: [Int] = [0, 0, 0]) throws -> CostModel {
        let tasks = zip(["a", "b", "c"], sources).map { TaskHead(name: $0, channels: 1, source: $1) }
        return CostModel(
            try NetworkArchitecture(backbone: .resnet18, head: .light, tasks: tasks), height: 64, width: 64)
    }

    private func share(_ model: CostModel, _ policy: DiscretePolicy, _ form: CostForm) -> Double {
        model.parts.expectedShare(policy.select.map { $0.map { $0 ? 1 : 0 } }, form)
    }

    /// Of a discrete policy, the shares are the cost model's counts of the branches.
    @Test(arguments: [[0, 0, 0], [0, 1, 0], [0, 1, 2]]) func discretePoliciesCostWhatIsCounted(sources: [Int]) throws {
        let model = try model(sources)
        let images = Set(sources).count
        let blocks = model.blocks.reduce(0) { $0 + $1.macs }
        for seed in 0..<20 as Range<UInt64> {
            let policy = DiscretePolicy.random(density: Double(seed) / 20, tasks: 3, blocks: 8, seed: seed)
            var (passes, shared) = (0, 0)
            for block in model.blocks {
                let paths = zip(sources, policy.select).filter { $0.1[block.index] }
                    .map { source, row in [source] + row.prefix(block.index).map { $0 ? 1 : 0 } }
                passes += paths.count * block.macs
                shared += Set(paths).count * block.macs
            }
            #expect(abs(share(model, policy, .passes) - Double(passes) / Double(3 * blocks)) < 1e-12)
            #expect(abs(share(model, policy, .shared) - Double(shared) / Double(images * blocks)) < 1e-12)
        }
        let all = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
        #expect(abs(share(model, all, .passes) - 1) < 1e-12 && abs(share(model, all, .shared) - 1) < 1e-12)
    }

    /// Under independent decisions, the mean over many draws.
    @Test func expectationIsTheMeanOverDraws() throws {
        let model = try model()
        let alphas = [[Double]](repeating: Array(repeating: 0.7, count: 8), count: 3)
        for form in CostForm.allCases {
            let draws = 4000
            let mean = (0..<draws).reduce(0.0) {
                let policy = DiscretePolicy.random(density: 0.7, tasks: 3, blocks: 8, seed: UInt64($1))
                return $0 + share(model, policy, form) / Double(draws)
            }
            #expect(abs(mean - model.parts.expectedShare(alphas, form)) < 0.02, "\(form): \(mean)")
        }
        #expect(model.parts.expectedShare(alphas, .shared) > model.parts.expectedShare(alphas, .passes) + 0.1)
    }
}
