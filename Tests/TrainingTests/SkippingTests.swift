import AdaShareDeviceLayer
import AdaShareModels
import AdaShareOperators
import Foundation
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// What skipping, sharing and recomputation leave out changes no result.
    @Suite struct SkippingTests {
        private static let rateZero = 0.0

        private func gradients(_ network: GoldenNetwork, _ plan: Plan) throws -> [String: [Float]] {
            var result: [String: [Float]] = [:]
            for spec in network.catalog.specs where spec.isTrainable {
                let name = "gradient/\(spec.name)"
                if network.runtime.executor.shape(name, of: plan) != nil {
                    result[spec.name] = try network.runtime.executor.read(name, of: plan)
                }
            }
            return result
        }

        /// Keeping activations or computing them again: the same bits, in every kind of step.
        @Test(arguments: TestDevice.families)
        func recomputationGivesTheSameBits(family: KernelFamily) throws {
            let golden = GoldenCase(
                file: "network_warmup_four_rate", salt: "776", head: .fourRate, kind: .hardSharing, learningRate: 0)
            let kinds: [StepKind] = [
                .hardSharing, .retrain(GoldenCase.policy), GoldenCase.learning.weights(open: 3),
                GoldenCase.learning.logits(open: 8), GoldenCase.learning.logits(open: 8, drawn: GoldenCase.policy),
            ]
            let keeping = try GoldenNetwork(golden, family, dropout: 0.5, size: (2, 33, 41))
            let again = try GoldenNetwork(golden, family, dropout: 0.5, size: (2, 33, 41), recomputes: true)
            for kind in kinds {
                let plans = try [keeping, again].map { try $0.run(kind, step: 0, learningRate: Self.rateZero) }
                let results = try zip([keeping, again], plans).map { try gradients($0, $1) }
                #expect(results[0] == results[1] && !results[0].isEmpty, "\(kind)")
                #expect(try keeping.losses(plans[0]) == again.losses(plans[1]))
                #expect(plans[1].multiplyAccumulates > plans[0].multiplyAccumulates)
            }
            // Negative control: the next step's dropout gives other bits.
            let other = try again.run(.hardSharing, step: 1, learningRate: Self.rateZero)
            let first = try keeping.run(.hardSharing, step: 0, learningRate: Self.rateZero)
            #expect(try gradients(again, other) != gradients(keeping, first))
        }

        /// Not computing a block, or computing it and multiplying it by 0: the same outputs, gradients within 1e-5.
        @Test(arguments: TestDevice.families)
        func skippingEqualsMultiplyingByZero(family: KernelFamily) throws {
            let golden = GoldenCase(file: "network_mixed", salt: "265", kind: .hardSharing, learningRate: 0)
            let network = try GoldenNetwork(golden, family)
            let executor = network.runtime.executor
            for seed in 0..<3 as Range<UInt64> {
                let policy = DiscretePolicy.nested(density: 0.6, tasks: 3, blocks: 8, seed: seed)
                let skipping = try network.run(.retrain(policy), step: 0, learningRate: 0)
                let ours = try gradients(network, skipping)
                let outputs = try GoldenNetwork.tasks.map { try executor.read("output/\($0.name)", of: skipping) }

                let graph = Graph()
                let image = graph.input("input/image/2x33x41", Shape([2, 33, 41, 3], compact: true))
                var trace = NetworkTrace(
                    graph: graph, architecture: network.runtime.graphs.architecture, mode: .training)
                let gates = try policy.select.enumerated().map { task, row -> Value in
                    let values: [Float] = row.flatMap { isSelected -> [Float] in isSelected ? [1, 0] : [0, 1] }
                    try executor.store.write("gates\(task)", Shape([8, 2]), values)
                    return graph.input("gates\(task)", Shape([8, 2]))
                }
                let mixed = [[BlockDecision]](repeating: Array(repeating: .mix, count: 8), count: 3)
                let features = trace.features(image: image, decisions: mixed, gates: gates)
                var losses: [Value] = []
                for (index, task) in GoldenNetwork.tasks.enumerated() {
                    let output = trace.head(task: index, features: features[index])
                    graph.output("output/\(index)", output)
                    let size = output.shape.dimensions
                    let labels = graph.input(
                        StepGraphs.labelName(task.label) + "/2x33x41",
                        Shape([2, 33, 41, task.kind.label.channels], compact: true))
                    let resized = graph.record(NearestResize(height: size[1], width: size[2]), [labels])[0]
                    losses.append(task.kind.loss(output, resized, classWeights: nil, in: graph))
                }
                let total = graph.record(WeightedSum(GoldenNetwork.tasks.map(\.weight)), losses)[0]
                let specs = network.catalog.specs.filter { ours[$0.name] != nil }
                let targets = specs.map { graph.parameter($0.name, Shape($0.deviceShape)) }
                for (spec, gradient) in zip(specs, graph.gradients(of: total, for: targets)) {
                    graph.output(spec.name, try #require(gradient))
                }
                let everything = try executor.makePlan(graph)
                try executor.run(everything)
                for task in 0..<3 {
                    #expect(try executor.read("output/\(task)", of: everything) == outputs[task])
                }
                for spec in specs {
                    let difference = GoldenAgreement.difference(
                        try executor.read(spec.name, of: everything).map { Double($0) },
                        try #require(ours[spec.name]).map { Double($0) })
                    #expect(difference <= 1e-5, "\(spec.name) differs by \(difference)")
                }
                #expect(everything.multiplyAccumulates > skipping.multiplyAccumulates)
            }
        }

        /// A drawn logit step has the straight-through gradient for what it selected, and none for what it skipped.
        @Test(arguments: TestDevice.families)
        func drawnLogitsHaveTheStraightThroughGradient(family: KernelFamily) throws {
            let golden = GoldenCase(
                file: "network_mixed_hard", salt: "128", kind: GoldenCase.hard.logits(open: 8), learningRate: 0)
            let network = try GoldenNetwork(golden, family)
            let executor = network.runtime.executor
            let both = try network.run(GoldenCase.hard.logits(open: 8), step: 0, learningRate: 0)
            let gates = try GoldenNetwork.tasks.map { try executor.read("gates/\($0.name)", of: both) }
            let exact = try gradients(network, both)
            let losses = try network.losses(both)
            let policy = DiscretePolicy(select: gates.map { row in (0..<8).map { row[2 * $0] == 1 } })
            let density = Double(policy.select.joined().count { $0 }) / 24
            #expect(density > 0 && density < 1)
            let drawn = try network.run(GoldenCase.hard.logits(open: 8, drawn: policy), step: 0, learningRate: 0)
            #expect(drawn.multiplyAccumulates < both.multiplyAccumulates)
            for (mine, theirs) in zip(try network.losses(drawn), losses) {
                #expect(abs(mine - theirs) <= 1e-5 * theirs)
            }
            let ours = try gradients(network, drawn)
            for (task, row) in policy.select.enumerated() {
                let name = network.runtime.graphs.architecture.logitsParameter(task: task)
                let (mine, theirs) = (try #require(ours[name]), try #require(exact[name]))
                let largest = theirs.map(abs).max() ?? 0
                for block in 0..<8 {
                    for column in 0..<2 {
                        let index = 2 * block + column
                        if row[block] {
                            #expect(abs(mine[index] - theirs[index]) <= 1e-4 * largest, "\(name) block \(block)")
                        } else {
                            #expect(mine[index] == 0 && theirs[index] != 0, "\(name) block \(block)")
                        }
                    }
                }
            }
        }

        /// Host and device draw the same one-hot samples from the same counters.
        @Test func hostAndDeviceDrawAlike() throws {
            let architecture = try GoldenNetwork.architecture(.light)
            let executor = Executor(library: try TestDevice.nativeLibrary())
            let logits: [[Float]] = (0..<3).map { task in
                (0..<16).map { index -> Float in Float((index * 7 + task * 5) % 11) / 5 - 1 }
            }
            let graph = Graph()
            for task in 0..<3 {
                try executor.store.write("z\(task)", Shape([8, 2]), logits[task])
                let noise = UniformNoise(rows: 8, columns: 2, name: architecture.gumbelNoise(task: task))
                let inputs = [
                    graph.input("z\(task)", Shape([8, 2])), graph.record(noise, [graph.step])[0], graph.step,
                ]
                graph.output("v\(task)", graph.record(GumbelSoftmax(straightThrough: true), inputs)[0])
            }
            let plan = try executor.makePlan(graph)
            var seen = Set<DiscretePolicy>()
            for step in 0..<200 as Range<UInt32> {
                var state = StepState()
                (state.step, state.seed, state.phase, state.temperature) = (step, 9, 2, 3)
                try executor.store.write(state)
                try executor.run(plan)
                let device = try (0..<3).map { task in
                    let gates = try executor.read("v\(task)", of: plan)
                    return (0..<8).map { gates[2 * $0] == 1 }
                }
                let host = DiscretePolicy.gumbelDraw(logits: logits, open: 8, architecture: architecture, state: state)
                #expect(host.select == device, "step \(step)")
                seen.insert(host)
                let closed = DiscretePolicy.gumbelDraw(
                    logits: logits, open: 3, architecture: architecture, state: state)
                #expect(closed.select.allSatisfy { $0.prefix(5).allSatisfy { $0 } })
                #expect(zip(closed.select, device).allSatisfy { $0.suffix(3) == $1.suffix(3) })
            }
            #expect(seen.count > 150, "negative control: steps draw differently")
        }

        /// What a drawn weight step skips keeps its weights, momentum and statistics to the bit.
        @Test func aDrawnWeightStepLeavesTheSkippedBlockAlone() throws {
            let network = try GoldenNetwork(.mixed)
            let store = network.runtime.executor.store
            var rows = DiscretePolicy.hardSharing(tasks: 3, blocks: 8).select
            _ = try network.run(
                GoldenCase.learning.weights(open: 8, drawn: DiscretePolicy(select: rows)), step: 0, learningRate: 1e-3)
            func contents(_ block: ResidualBlock) throws -> [String: [Float]] {
                let names = store.names.filter { $0.contains("\(block.name).") && !$0.hasSuffix("num_batches_tracked") }
                return Dictionary(uniqueKeysWithValues: try names.map { ($0, try store.read($0)) })
            }
            for task in rows.indices { rows[task][4] = false }
            let blocks = network.runtime.graphs.architecture.blocks
            let (before, other) = (try contents(blocks[4]), try contents(blocks[5]))
            #expect(
                before.keys.contains { $0.hasPrefix("optimizer/") }
                    && before.keys.contains { $0.hasSuffix("running_var") })
            _ = try network.run(
                GoldenCase.learning.weights(open: 8, drawn: DiscretePolicy(select: rows)), step: 1, learningRate: 1e-3)
            #expect(try contents(blocks[4]) == before)
            let after = try contents(blocks[5])
            #expect(after.allSatisfy { $0.value != other[$0.key] }, "negative control: a selected block moves")
        }
    }
}
