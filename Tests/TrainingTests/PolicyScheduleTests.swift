import Foundation
import Testing

@testable import AdaShareMethods
@testable import AdaShareTraining

@Suite struct PolicyScheduleTests {
    private func schedule(
        weights: Int = 3, logits: Int = 2, blocks: Int = 8, speed: Int = 3
    ) -> PolicySchedule {
        PolicySchedule(
            weightSteps: weights, logitSteps: logits, blocks: blocks, curriculumSpeed: speed, temperature: 5,
            temperatureDecay: 0.965)
    }

    @Test func alternatesWeightsThenLogits() {
        let steps = (0..<12).map { schedule().step($0) }
        let kinds = steps.map { $0.kind == .weights ? "w" : "l" }.joined()
        #expect(kinds == "wwwllwwwllww")
        #expect(steps.map(\.epoch) == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2])
        // Each kind counts its own steps, on which its optimiser and its loader depend.
        #expect(steps.filter { $0.kind == .weights }.map(\.index) == Array(0..<8))
        #expect(steps.filter { $0.kind == .logits }.map(\.index) == Array(0..<4))
    }

    @Test(arguments: [(3, 2), (1, 1), (1, 5), (400, 100)]) func countsAreTheStepsTaken(weights: Int, logits: Int) {
        let schedule = schedule(weights: weights, logits: logits)
        var (first, second) = (0, 0)
        for iteration in 0..<1100 {
            let counts = schedule.counts(iteration)
            #expect(counts.weights == first && counts.logits == second)
            let step = schedule.step(iteration)
            #expect(step.index == (step.kind == .weights ? first : second))
            if step.kind == .weights { first += 1 } else { second += 1 }
        }
    }

    @Test(arguments: [1, 2, 3]) func frontierIsEpochOverSpeedPlusOne(speed: Int) {
        let schedule = schedule(speed: speed)
        for epoch in 0..<40 {
            let open = min(8, epoch / speed + 1)
            #expect(schedule.openBlocks(epoch: epoch) == open)
            for iteration in epoch * 5..<(epoch + 1) * 5 { #expect(schedule.step(iteration).open == open) }
            #expect(schedule.openBlocks(after: (epoch + 1) * 5) == open)
            // The first step of the next epoch may open another block, the last of this one does not.
            #expect(schedule.openBlocks(after: epoch * 5 + 1) == open)
        }
        #expect(schedule.openBlocks(after: 0) == 0)
    }

    /// Without a curriculum.
    @Test func everyBlockMayBeOpenFromTheStart() throws {
        let open = schedule(speed: 0)
        #expect((0..<20).allSatisfy { open.step($0).open == 8 } && open.openBlocks(after: 1) == 8)
        #expect(open.iterationsToOpenAll == open.cycle)
    }

    @Test(arguments: [(8, 1), (8, 3), (16, 3), (33, 2), (1, 3)])
    func iterationsToOpenAllIsTheFirstEpochWithEveryBlock(blocks: Int, speed: Int) {
        let schedule = schedule(blocks: blocks, speed: speed)
        let needed = schedule.iterationsToOpenAll
        #expect(needed == ((blocks - 1) * speed + 1) * 5)
        #expect(schedule.openBlocks(after: needed) == blocks)
        #expect(schedule.openBlocks(after: needed - schedule.cycle) == blocks - 1)
    }

    @Test func temperatureDecaysAfterEachEpoch() {
        let schedule = schedule()
        for epoch in 0..<30 {
            let expected = 5 * (0..<epoch).reduce(1.0) { value, _ in value * 0.965 }
            for iteration in [epoch * 5, epoch * 5 + 4] {
                #expect(abs(schedule.step(iteration).temperature - expected) < 1e-12)
            }
        }
        // Where float32 would end, gradients by 1/τ would long have left it.
        #expect(schedule.step(5 * 100_000).temperature == PolicySchedule.leastTemperature)
    }
}
