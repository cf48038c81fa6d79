import AdaShareDatasets
import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareTasks
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

/// What a golden network file holds: the table "Networks" of `tools/golden/README.md`.
struct GoldenCase: Sendable, CustomTestStringConvertible {
    let file: String
    let salt: String
    var head = HeadKind.light
    /// Of the network's channels.
    var width = 0.25
    /// Whose own network it is; nil for the common backbone.
    var method: (any NetworkMethod)?
    var kind: StepKind
    /// Whether the file has the logits' gradients at the first step.
    var hasLogitGradients = false
    var steps = 10
    let learningRate: Double
    /// Whether the file has weights and statistics after the last step, not their change alone.
    var hasEnd = true
    /// Whether the first image has no normals and the second no depth.
    var lacksLabels = false
    /// Into how many parts the batch is divided.
    var shards = 1

    var testDescription: String { file }

    /// Policy learning without regularisers, of given noise; and with the one-hot of its samples.
    static let learning = PolicySettings(noiseGiven: true)
    static let hard = PolicySettings(straightThrough: true, noiseGiven: true)

    static let warmupLight = GoldenCase(
        file: "network_warmup_light", salt: "79", kind: .hardSharing, learningRate: 1e-5)
    static let warmupFourRate = GoldenCase(
        file: "network_warmup_four_rate", salt: "776", head: .fourRate, kind: .hardSharing, learningRate: 1e-5)
    static let mixed = GoldenCase(
        file: "network_mixed", salt: "265", kind: learning.weights(open: 8), learningRate: 1e-4)
    static let mixedHard = GoldenCase(
        file: "network_mixed_hard", salt: "128", kind: hard.weights(open: 8), hasLogitGradients: true, steps: 1,
        learningRate: 1e-4)
    static let retrain = GoldenCase(
        file: "network_retrain", salt: "338", kind: .retrain(policy), learningRate: 1e-5)
    static let partial = GoldenCase(
        file: "network_partial", salt: "338", kind: .retrain(policy), steps: 1, learningRate: 1e-5, lacksLabels: true)
    static let shards = GoldenCase(
        file: "network_shards", salt: "344", kind: .retrain(policy), learningRate: 1e-5, lacksLabels: true, shards: 2)
    static let logits = GoldenCase(
        file: "network_logits", salt: "99", kind: learning.logits(open: 8), learningRate: 1e-2)

    static let crossStitch = GoldenCase(file: "network_cross_stitch", salt: "13", of: CrossStitch())
    static let sluice = GoldenCase(file: "network_sluice", salt: "5", width: 0.5, of: Sluice())
    static let nddr = GoldenCase(file: "network_nddr", salt: "58", of: NDDR())
    static let mtan = GoldenCase(file: "network_mtan", salt: "84", of: MTAN())

    static let blockDrop = GoldenCase(file: "network_block_drop", salt: "1", of: BlockDrop(), .blockUse(0.5))
    static let blockDropTasks: GoldenCase = {
        var method = BlockDrop()
        method.policyOf = .task
        return GoldenCase(file: "network_block_drop_tasks", salt: "74", of: method, .blockUse(0.5))
    }()
    static let adaShareInstance = GoldenCase(
        file: "network_adashare_instance", salt: "74", of: AdaShareInstance(),
        .adaShare(PolicySettings(sparsity: 0.05, sharing: 0.05)))
    static let spotTune = GoldenCase(file: "network_spot_tune", salt: "165", of: SpotTune(), .none)

    /// The policy of `network_retrain`, counted from 1; block 6 is skipped by all.
    static let policy = DiscretePolicy(skipped: [[4, 6], [3, 6], [4, 5, 6, 8]], blocks: 8)
}

extension GoldenCase {
    /// Five steps of a method's own network.
    init(file: String, salt: String, width: Double = 0.125, of method: some NetworkMethod) {
        self.init(
            file: file, salt: salt, width: width, method: method,
            kind: StepKind(NetworkTraining(network: method.network)), steps: 5, learningRate: 1e-5, hasEnd: false)
    }

    /// Five steps of a method that decides on each image, of given noise.
    init(file: String, salt: String, of method: some GatedMethod, _ penalty: GatePenalty) {
        self.init(file: file, salt: salt, width: 0.125, of: method)
        kind = StepKind(GatedTraining(network: method.network, penalty: penalty, noiseGiven: true))
    }

    /// Whether decisions are each image's own.
    var isGated: Bool { method?.routing != nil }
}

/// A golden case's network on a device, with its data.
final class GoldenNetwork {
    static let blocks = 8
    static let temperature: Float = 5
    /// Tasks in order, with outputs and λ.
    static let tasks = [
        TaskSettings(TaskConfiguration(name: "segmentation", kind: Segmentation.self, channels: 7, weight: 1)),
        TaskSettings(TaskConfiguration(name: "normals", kind: Normals.self, weight: 20)),
        TaskSettings(TaskConfiguration(name: "depth", kind: Depth.self, weight: 3)),
    ]
    static let channels = [7, 3, 1]

    let runtime: NetworkRuntime
    let formula: GoldenFormula
    let batch: Batch
    var agreement: GoldenAgreement

    private let golden: GoldenCase
    /// First values in disk order, by name.
    let initial: [String: [Float]]

    static func architecture(_ head: HeadKind, width: Double = 0.25) throws -> NetworkArchitecture {
        try NetworkArchitecture(
            backbone: .resnet18, width: width, head: head,
            tasks: zip(tasks, channels).map { TaskHead(name: $0.name, channels: $1) }, headHidden: 64)
    }

    /// - Parameter family: nil for the one made for the device.
    convenience init(
        _ golden: GoldenCase, _ family: KernelFamily? = nil, dropout: Double = 0,
        size: (count: Int, height: Int, width: Int)? = nil, recomputes: Bool = false
    ) throws {
        try self.init(
            golden, on: TestDevice.library(family ?? TestDevice.nativeFamily()), dropout: dropout, size: size,
            recomputes: recomputes)
    }

    init(
        _ golden: GoldenCase, on library: KernelLibrary, arithmetic: ConvolutionArithmetic = .float32,
        dropout: Double = 0, size: (count: Int, height: Int, width: Int)? = nil, recomputes: Bool = false
    ) throws {
        self.golden = golden
        formula = GoldenFormula(salt: golden.salt)
        agreement = GoldenAgreement(file: try .golden(golden.file), formula: formula)
        let architecture = try Self.architecture(golden.head, width: golden.width)
        var graphs = StepGraphs(
            architecture: architecture,
            catalog: ParameterCatalog(architecture, own: golden.method?.parameters(architecture) ?? []),
            tasks: Self.tasks, dropout: dropout,
            rule: .adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4))
        graphs.keepsGradients = true
        graphs.recomputesBranches = recomputes
        graphs.shards = golden.shards
        graphs.choices = AlgorithmChoices(arithmetic)
        runtime = try NetworkRuntime(library: library, graphs: graphs)
        let size = size ?? (golden.head == .light ? (2, 33, 41) : (1, 51, 203))
        var batch = formula.batch(count: size.count, height: size.height, width: size.width)
        if golden.lacksLabels {
            for (name, isCarried) in [("normals", [false, true]), ("depth", [true, false])] {
                let full = try #require(batch.labels[name])
                batch.labels[name] = BatchLabels(
                    format: full.format, images: 2, numbers: full.numbers, isCarried: isCarried)
            }
        }
        self.batch = batch
        initial = Self.initialValues(golden, graphs.catalog)
        try reset()
    }

    /// First values by name, computed once per file.
    static func initialValues(_ golden: GoldenCase, _ catalog: ParameterCatalog) -> [String: [Float]] {
        known.withLock { known in
            if let values = known[golden.file] { return values }
            let formula = GoldenFormula(salt: golden.salt)
            let values = Dictionary(
                uniqueKeysWithValues: catalog.specs.map { ($0.name, formula.initialValues($0)) })
            known[golden.file] = values
            return values
        }
    }

    private static let known = Mutex<[String: [String: [Float]]]>([:])

    var catalog: ParameterCatalog { runtime.graphs.catalog }

    /// Everything as at the start.
    func reset() throws {
        try runtime.beginPhase()
        for spec in catalog.specs { try runtime.write(spec, try #require(initial[spec.name])) }
    }

    /// Runs step `step` (from 0).
    ///
    /// - Parameters:
    ///   - noise: the step whose Gumbel uniforms are used, by default its own.
    ///   - own: as that of `state(step:learningRate:own:)`.
    func run(
        _ kind: StepKind, step: Int, learningRate: Double, noise: Int? = nil, own: Double? = nil
    ) throws -> Plan {
        try writeNoise(step: noise ?? step)
        return try #require(
            try runtime.step(
                kind, batch: batch, state: Self.state(step: step, learningRate: learningRate, own: own)))
    }

    /// Writes the uniforms of a step's samples.
    func writeNoise(step: Int) throws {
        for task in 1...Self.tasks.count {
            try runtime.executor.store.write(
                "noise/task\(task)", Shape([Self.blocks, 2]),
                formula.noise(step: step, task: task, blocks: Self.blocks))
        }
        for row in golden.isGated ? ["all", "task1", "task2", "task3"] : [] {
            let shape = Shape([batch.count, Self.blocks])
            let uniforms = formula.noise("\(row)_gates", step: step, count: shape.count)
            try runtime.executor.store.write("noise/\(row)_gates", shape, uniforms)
        }
    }

    /// What a step is told, beside data and noise.
    ///
    /// - Parameter own: the learning rate of what a network has in a group of its own, by default ten times the
    ///   others'.
    static func state(step: Int, learningRate: Double, own: Double? = nil) -> StepState {
        var state = StepState()
        state.step = UInt32(step)
        state.temperature = temperature
        state.rates[.backbone] = .init(learningRate: learningRate, beta1: 0.5, beta2: 0.999, t: step + 1)
        state.rates[.heads] = state.rates[.backbone]
        state.rates[RateSlot(4)] = .init(learningRate: own ?? 10 * learningRate, beta1: 0.5, beta2: 0.999, t: step + 1)
        state.rates[.policy] = .init(learningRate: learningRate, beta1: 0.9, beta2: 0.999, t: step + 1)
        return state
    }

    /// The graph of a step, as the network's library computes it.
    func graph(_ kind: StepKind) -> LoweredGraph {
        let graph = Graph()
        let shape = BatchShape(count: batch.count, height: batch.height, width: batch.width)
        runtime.graphs.trace(kind, batch: shape, into: graph)
        return graph.lowered(for: runtime.executor.library.family, choices: runtime.graphs.choices)
    }

    /// A named output in disk order: [N, C, H, W], or as it is if it has no four axes.
    func output(_ name: String, of plan: Plan) throws -> [Float] {
        let values = try runtime.executor.read(name, of: plan)
        let shape = try #require(runtime.executor.shape(name, of: plan)).dimensions
        return shape.count == 4 ? channelsFirst(values, shape) : values
    }

    /// Compares head outputs, and gates where the file has them.
    func compareOutputs(_ plan: Plan, prefix: String = "") throws {
        for (index, task) in Self.tasks.enumerated() {
            let name = "task\(index + 1)"
            let parts = try (0..<golden.shards).flatMap {
                try output(Shard($0, of: golden.shards).named("output/\(task.name)"), of: plan)
            }
            try agreement.compare("outputs", prefix + "outputs", name, parts)
            if agreement.file.tensors["v/\(name)"] != nil {
                try agreement.compare("samples", "v", name, try output("gates/\(task.name)", of: plan))
            }
        }
    }

    /// Compares the gradient of every weight; a weight without one in the file must have none here.
    func compareGradients(_ plan: Plan) throws {
        for spec in catalog.specs where spec.isTrainable && spec.group != .policy {
            let name = "gradient/\(spec.name)"
            guard runtime.executor.shape(name, of: plan) != nil else {
                #expect(agreement.file.tensors["grad/\(spec.name)"] == nil, "\(spec.name) has no gradient")
                #expect(agreement.file.tensors["grad_digest/\(spec.name)"] == nil, "\(spec.name) has no gradient")
                continue
            }
            let gradient = spec.diskOrder(try runtime.executor.read(name, of: plan))
            try agreement.compare("gradients", "grad", spec.name, gradient)
        }
    }

    /// Compares running statistics and counters.
    func compareStatistics(_ kind: String, prefix: String) throws {
        for spec in catalog.specs where spec.group == .batchNormState {
            let values = try runtime.read(spec)
            if spec.layout == .counter {
                try agreement.compare(kind, prefix, spec.name, integers: values.map { Int64($0) })
            } else {
                try agreement.compare(kind, prefix, spec.name, values)
            }
        }
    }

    /// Compares every weight, and how far it has come.
    func compareWeights() throws {
        for spec in catalog.specs where spec.isTrainable && spec.group != .policy {
            let values = try runtime.read(spec)
            let start = try #require(initial[spec.name])
            if golden.hasEnd { try agreement.compare("final", "final", spec.name, values) }
            try agreement.compare("delta", "delta", spec.name, values.indices.map { values[$0] - start[$0] })
        }
    }

    /// Losses of the tasks, then the total.
    func losses(_ plan: Plan) throws -> [Double] {
        let losses = try runtime.losses(of: plan)
        return try (Self.tasks.map(\.name) + ["total"]).map { try #require(losses[$0]) }
    }
}
