import AdaShareModels
import AdaShareOperators
import Foundation
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareGraph
@testable import AdaShareMethods
@testable import AdaShareTraining

/// How often an operation runs in a step, counted from the policy alone: once for each distinct history of decisions
/// below a block, as tasks with the same history hold the same value.
private struct ExpectedWork {
    var forward = 0
    var forwardMACs = 0
    /// The stem's convolution, whose input needs no gradient.
    let stemMACs: Int

    init(_ architecture: NetworkArchitecture, _ policy: DiscretePolicy, height: Int, width: Int, batch: Int) {
        let cost = CostModel(architecture, height: height, width: width)
        stemMACs = cost.stemMacs * batch
        func add(_ count: Int, _ macs: Int) {
            forward += count
            forwardMACs += macs * batch
        }
        add(1, cost.stemMacs)
        for block in architecture.blocks {
            let histories = policy.select.map { Array($0.prefix(block.index)) }
            let selecting = zip(histories, policy.select).filter { $0.1[block.index] }.map(\.0)
            if block.projection != nil {
                let distinct = Set(histories).count
                add(distinct, distinct * cost.blocks[block.index].projectionMacs)
            }
            let distinct = Set(selecting).count
            add(distinct * block.convolutionCount, distinct * cost.blocks[block.index].macs)
        }
        for task in architecture.tasks.indices {
            add(architecture.headConvolutionCount, cost.heads[task].macs)
        }
    }
}

/// The convolutions of a recorded step, by pass.
private struct RecordedWork {
    var counts: [String: Int] = [:]
    var macs = 0
    let graph: Graph

    init(_ graphs: StepGraphs, _ kind: StepKind, _ shape: BatchShape) {
        graph = Graph()
        graphs.trace(kind, batch: shape, into: graph)
        // Packing of weights aside, the kernels' operators are those that were traced.
        for node in graph.lowered(for: .cpu).nodes {
            let name = "\(type(of: node.operation))"
            counts[name, default: 0] += 1
            macs += node.operation.multiplyAccumulates(
                inputs: node.inputs.map(\.shape), outputs: node.outputs.map(\.shape))
        }
    }

    func count(_ operation: any Operator.Type) -> Int { counts["\(operation)"] ?? 0 }
}

/// Every step does the selected work, each part of it once, and nothing else; no device is needed to see that.
@Suite struct SelectedWorkTests {
    private static let shape = BatchShape(count: 2, height: 33, width: 41)

    private static func experiment(_ backbone: String = "resnet34", head: String = "light") throws -> Experiment {
        let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 7 }
              - { name: normals, kind: normals }
              - { name: depth, kind: depth }
            model: { backbone: \(backbone), width: 0.125, head: \(head), dropout: 0.5 }
            """
        return try Experiment(try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml"))
    }

    private static func policies(blocks: Int) -> [DiscretePolicy] {
        (0...10).map { .nested(density: Double($0) / 10, tasks: 3, blocks: blocks, seed: UInt64($0)) }
    }

    @Test(arguments: ["resnet18", "resnet34", "resnet50"], ["light", "four_rate"])
    func retrainingRunsEachOperationOncePerDistinctInput(backbone: String, head: String) throws {
        let experiment = try Self.experiment(backbone, head: head)
        let architecture = experiment.architecture
        for policy in Self.policies(blocks: architecture.blocks.count) {
            let expected = ExpectedWork(architecture, policy, height: 33, width: 41, batch: 2)
            let recorded = RecordedWork(experiment.stepGraphs, .retrain(policy), Self.shape)
            #expect(recorded.count(Convolution.self) == expected.forward)
            #expect(recorded.count(ConvolutionWeightGradient.self) == expected.forward)
            #expect(recorded.count(ConvolutionInputGradient.self) == expected.forward - 1)
            #expect(recorded.macs == 3 * expected.forwardMACs - expected.stemMACs)
            let inference = RecordedWork(experiment.stepGraphs, .inference(policy), Self.shape)
            #expect(inference.count(Convolution.self) == expected.forward && inference.macs == expected.forwardMACs)
        }
        // Negative control: another policy's count differs.
        let none = DiscretePolicy.nested(density: 0, tasks: 3, blocks: architecture.blocks.count, seed: 1)
        let all = DiscretePolicy.hardSharing(tasks: 3, blocks: architecture.blocks.count)
        #expect(
            RecordedWork(experiment.stepGraphs, .retrain(all), Self.shape).macs
                != 3 * ExpectedWork(architecture, none, height: 33, width: 41, batch: 2).forwardMACs)
    }

    /// The published policy on the full network: the cost model's figure, forward and backward.
    @Test func thePublishedPolicyCostsWhatTheModelSays() throws {
        let published = PublishedPolicies.nyu3
        let tasks = published.tasks.map { "  - { name: \($0.name), kind: \($0.name), channels: \($0.channels) }\n" }
        let configuration = try ExperimentConfiguration.parse(
            yaml: "tasks:\n\(tasks.joined())model: { backbone: resnet34, head: light }\n", file: "c.yml")
        let experiment = try Experiment(configuration)
        let cost = CostModel(experiment.architecture, height: 224, width: 224)
        let heads = cost.heads.reduce(0) { $0 + $1.macs }
        let forward = 4 * (cost.parts.cost(of: published.policy, .shared) + heads)
        let shape = BatchShape(count: 4, height: 224, width: 224)
        #expect(RecordedWork(experiment.stepGraphs, .inference(published.policy), shape).macs == forward)
        let retrain = RecordedWork(experiment.stepGraphs, .retrain(published.policy), shape)
        #expect(retrain.macs == 3 * forward - 4 * cost.stemMacs)
        #expect(
            cost.parts.cost(of: published.policy, .shared) != cost.parts.cost(of: published.policy, .passes),
            "negative control")
    }

    /// A block that no task selects has no weights, no gradient and no optimiser state in a step; its projection stays.
    @Test func anUnselectedBlockLeavesNothing() throws {
        let experiment = try Self.experiment()
        var rows = DiscretePolicy.hardSharing(tasks: 3, blocks: 16).select
        for task in rows.indices { rows[task][7] = false }
        let recorded = RecordedWork(experiment.stepGraphs, .retrain(DiscretePolicy(select: rows)), Self.shape)
        let names = recorded.graph.externals.map(\.name)
        let skipped = experiment.architecture.blocks[7]
        #expect(!names.contains { $0.contains("\(skipped.name).") })
        #expect(names.contains { $0.contains("backbone.ds.2.0.weight") })
        #expect(names.contains("optimizer/backbone.blocks.2.1.conv1.weight/first"), "negative control")
    }

    /// Weight steps run closed blocks once for all tasks and give the logits nothing.
    @Test func weightStepsShareWhatIsClosed() throws {
        let experiment = try Self.experiment()
        let architecture = experiment.architecture
        for open in [1, 4, 8, 16] {
            let recorded = RecordedWork(
                experiment.stepGraphs, PolicySettings(experiment.methodSettings).weights(open: open), Self.shape)
            // The first open block has one input; above it the mixes differ.
            let below = architecture.blocks.prefix(16 - open + 1)
            let above = architecture.blocks.dropFirst(16 - open + 1)
            func convolutions(_ blocks: ArraySlice<ResidualBlock>) -> Int {
                blocks.reduce(0) { $0 + $1.convolutionCount + ($1.projection == nil ? 0 : 1) }
            }
            let forward = 1 + convolutions(below) + 3 * convolutions(above) + 3
            #expect(recorded.count(Convolution.self) == forward)
            #expect(recorded.count(ConvolutionWeightGradient.self) == forward)
            #expect(recorded.count(GumbelSoftmaxGradient.self) == 0)
        }
    }

    /// Logit steps have no weight gradient, and data gradients only down to the lowest free block.
    @Test func logitStepsGoNoDeeperThanTheFrontier() throws {
        for head in ["light", "four_rate"] {
            let experiment = try Self.experiment(head: head)
            let architecture = experiment.architecture
            let heads = architecture.tasks.count * architecture.headConvolutionCount
            for open in [1, 4, 8, 16] {
                let recorded = RecordedWork(
                    experiment.stepGraphs, PolicySettings(experiment.methodSettings).logits(open: open), Self.shape)
                let above = architecture.blocks.dropFirst(16 - open + 1)
                let convolutions = above.reduce(0) { $0 + $1.convolutionCount + ($1.projection == nil ? 0 : 1) }
                #expect(recorded.count(ConvolutionWeightGradient.self) == 0)
                #expect(recorded.count(ColumnSum.self) == 0)
                #expect(recorded.count(ConvolutionInputGradient.self) == 3 * convolutions + heads)
            }
        }
    }

    /// Drawn steps execute the draw: forward once per distinct input, gradients of a task for what it selected.
    @Test func drawnStepsExecuteTheDraw() throws {
        let experiment = try Self.experiment()
        let architecture = experiment.architecture
        for policy in Self.policies(blocks: 16) {
            let expected = ExpectedWork(architecture, policy, height: 33, width: 41, batch: 2)
            let weights = RecordedWork(
                experiment.stepGraphs, PolicySettings(experiment.methodSettings).weights(open: 16, drawn: policy),
                Self.shape)
            #expect(weights.count(Convolution.self) == expected.forward)
            #expect(weights.count(ConvolutionWeightGradient.self) == expected.forward)
            let logits = RecordedWork(
                experiment.stepGraphs, PolicySettings(experiment.methodSettings).logits(open: 16, drawn: policy),
                Self.shape)
            #expect(logits.count(Convolution.self) == expected.forward)
            #expect(logits.count(ConvolutionWeightGradient.self) == 0)
            let gradients = policy.select.reduce(0) { sum, row in
                guard let lowest = row.firstIndex(of: true) else { return sum }
                return sum + 1
                    + architecture.blocks.dropFirst(lowest + 1).reduce(0) {
                        $0 + (row[$1.index] ? $1.convolutionCount : 0) + ($1.projection == nil ? 0 : 1)
                    }
            }
            #expect(logits.count(ConvolutionInputGradient.self) == gradients)
            #expect(logits.count(DrawnGateGradient.self) == policy.select.joined().count { $0 })
        }
    }

    /// Recomputation lowers the planned peak; so does skipping.
    @Test func planning() throws {
        let experiment = try Self.experiment()
        let blocks = experiment.architecture.blocks.count
        func arena(_ experiment: Experiment, _ kind: StepKind) throws -> Int {
            try PlannedMemory([experiment.loweredGraph(kind, BatchShape(count: 4, height: 96, width: 96), family: .cpu)]
            ).arena
        }
        var configuration = experiment.configuration
        configuration.training.recompute = true
        let frugal = try Experiment(configuration)
        let mixed = PolicySettings(experiment.methodSettings).weights(open: blocks)
        #expect(try arena(frugal, .hardSharing) < arena(experiment, .hardSharing))
        #expect(try arena(frugal, mixed) < arena(experiment, mixed))
        let few = DiscretePolicy.nested(density: 0.2, tasks: 3, blocks: blocks, seed: 1)
        let many = DiscretePolicy.nested(density: 0.9, tasks: 3, blocks: blocks, seed: 1)
        #expect(try arena(experiment, .retrain(few)) < arena(experiment, .retrain(many)))
    }
}

extension ResidualBlock {
    /// Of the branch.
    fileprivate var convolutionCount: Int { isBottleneck ? 3 : 2 }
}

extension NetworkArchitecture {
    /// Of one task's head: four branches of three, or one.
    fileprivate var headConvolutionCount: Int { head == .fourRate ? 4 * 3 : 1 }
}
