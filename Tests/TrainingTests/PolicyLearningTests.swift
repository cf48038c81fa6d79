import AdaShareDatasets
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareTasks
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

/// A small network on generated scenes whose logits are learned.
private final class PolicyTrial {
    static let blocks = 8
    static let tasks = [
        TaskConfiguration(name: "segmentation", kind: Segmentation.self, channels: 6, weight: 1),
        TaskConfiguration(name: "normals", kind: Normals.self, weight: 20),
        TaskConfiguration(name: "depth", kind: Depth.self, weight: 3),
    ]

    static func architecture() throws -> NetworkArchitecture {
        try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light,
            tasks: zip(tasks, [6, 3, 1]).map { TaskHead(name: $0.name, channels: $1) })
    }

    let runtime: NetworkRuntime
    private let policy: PolicySettings
    private let loader: BatchLoader
    private var steps = 0
    private var logitSteps = 0

    /// - Parameters:
    ///   - taskLosses: whether the tasks' own losses count at all.
    ///   - weightDecay: of the logits; Adam turns even the smallest into a full step where nothing else acts.
    init(
        _ policy: PolicySettings, taskLosses: Bool, weightDecay: Double, size: (height: Int, width: Int) = (16, 16),
        batch: Int = 1
    ) throws {
        var policy = policy
        policy.logitRule = .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: weightDecay)
        self.policy = policy
        let architecture = try Self.architecture()
        let tasks = Self.tasks.map { task in
            var task = task
            if !taskLosses { task.weight = 0 }
            return TaskSettings(task)
        }
        runtime = try NetworkRuntime(
            library: try TestDevice.nativeLibrary(),
            graphs: StepGraphs(
                architecture: architecture, catalog: ParameterCatalog(architecture), tasks: tasks, dropout: 0,
                rule: .adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4)))
        let labels: Set<String> = ["segmentation", "normals", "depth"]
        let dataset = try ScenesDataset(count: 10, height: size.height, width: size.width, seed: 3, labels: labels)
        loader = try BatchLoader(
            dataset: dataset, indices: dataset.splits.train, batch: batch, crop: size, augmentation: .none,
            shuffle: true, labels: LabelRequest.standard(labels, classes: 6), seed: 1, phase: "test", startStep: 0)
        try runtime.initialise(seed: 1)
        try runtime.beginPhase()
    }

    func spec(_ name: String) throws -> ParameterSpec { try #require(runtime.graphs.catalog[name]) }

    /// Sets a task's logits, [blocks, 2].
    func setLogits(task: Int, _ values: [Float]) throws { try runtime.write(spec("task\(task + 1)_logits"), values) }

    /// α(block, task) = softmax(z)[select], by task.
    func alphas() throws -> [[Double]] {
        try Self.tasks.indices.map { task in
            let z = try runtime.read(spec("task\(task + 1)_logits"))
            return (0..<Self.blocks).map { 1 / (1 + exp(Double(z[2 * $0 + 1] - z[2 * $0]))) }
        }
    }

    /// Turns a block's branch into large fixed noise: another last convolution, amplified and shifted at random.
    func spoil(block: Int) throws {
        let name = "backbone.blocks.\(block / 2).\(block % 2)"
        let convolution = try spec("\(name).conv2.weight")
        try runtime.write(convolution, convolution.initialValues(seed: 99))
        for part in ["\(name).bn2.weight", "\(name).bn2.bias"] {
            let spec = try spec(part)
            let noise = GoldenFormula(salt: "spoiled").symmetric(part, spec.elementCount, scale: 10)
            try runtime.write(spec, noise)
        }
    }

    /// Logit steps with the method's optimiser, all blocks open.
    /// - Parameter budget: what the expected cost is steered to, where the settings steer it.
    func learnLogits(_ count: Int, budget: Double = 1) throws {
        for _ in 0..<count {
            logitSteps += 1
            let rate = StepState.Rate(learningRate: 0.01, beta1: 0.9, beta2: 0.999, t: logitSteps)
            try step(policy.logits(open: Self.blocks), .policy, rate, budget: budget)
        }
    }

    /// Hard sharing: steps of the weights.
    func warmUp(_ count: Int) throws {
        for index in 1...count {
            try step(.hardSharing, .backbone, .init(learningRate: 1e-3, beta1: 0.5, beta2: 0.999, t: index))
        }
        try runtime.beginPhase()
    }

    private func step(_ kind: StepKind, _ slot: RateSlot, _ rate: StepState.Rate, budget: Double = 1) throws {
        var state = StepState()
        state.step = UInt32(steps)
        state.seed = 11
        state.temperature = 5
        state.budget = Float(budget)
        state.rates[slot] = rate
        if slot == .backbone { state.rates[.heads] = rate }
        steps += 1
        try runtime.step(kind, batch: try loader.next(), state: state)
    }
}

extension TrainingTests {
    /// Policy learning learns what each part of its objective asks for, on the device's own kernel family.
    @Suite struct PolicyLearningTests {
        private typealias Trial = PolicyTrial

        private func alphasAfter(_ steps: Int, _ settings: PolicySettings) throws -> [Double] {
            let trial = try Trial(settings, taskLosses: false, weightDecay: 0)
            try trial.learnLogits(steps)
            return Array(try trial.alphas().joined())
        }

        /// Sparsity alone drives every α below 0.1; without it nothing moves.
        @Test func sparsityAloneSkipsEveryBlock() throws {
            for form in RegulariserForm.allCases {
                let alphas = try alphasAfter(160, PolicySettings(sparsity: 1, sharing: 0, sparsityForm: form))
                #expect(alphas.allSatisfy { $0 < 0.1 }, "\(form): \(alphas.max() ?? 1)")
            }
            // Negative control.
            let idle = try alphasAfter(20, PolicySettings(sparsity: 0, sharing: 0))
            #expect(idle.allSatisfy { $0 == 0.5 })
        }

        /// Largest minus smallest α of each block after some steps from unequal logits.
        private func spreadsAfter(_ steps: Int, sharing: Double, _ form: RegulariserForm) throws -> [Double] {
            let settings = PolicySettings(sparsity: 0, sharing: sharing, sharingForm: form)
            let trial = try Trial(settings, taskLosses: false, weightDecay: 0)
            for (task, select) in [Float(1.1), 0.1, -0.9].enumerated() {
                let rows = (0..<Trial.blocks).map { [select * (1 - 0.05 * Float($0)), 0] }
                try trial.setLogits(task: task, Array(rows.joined()))
            }
            try trial.learnLogits(steps)
            let alphas = try trial.alphas()
            return (0..<Trial.blocks).map { block in
                let values = alphas.map { $0[block] }
                return (values.max() ?? 1) - (values.min() ?? 0)
            }
        }

        /// Sharing alone brings unequal tasks within 0.05 wherever the form has a weight.
        ///
        /// The paper's weight (L−l)/L is 0 at the last block, where the tasks must stay apart. The published form acts
        /// on select logits alone, so all skip logits start equal.
        @Test func sharingAloneBringsTasksTogether() throws {
            let published = try spreadsAfter(150, sharing: 1, .published)
            #expect(published.allSatisfy { $0 < 0.05 }, "\(published)")
            let paper = try spreadsAfter(150, sharing: 1, .paper)
            #expect(paper.dropLast().allSatisfy { $0 < 0.05 }, "\(paper)")
            // Negative controls: where nothing pulls, tasks stay as they were.
            let before = try spreadsAfter(0, sharing: 1, .paper)
            #expect(before.allSatisfy { $0 > 0.25 })
            #expect(paper.last == before.last)
            #expect(try spreadsAfter(20, sharing: 0, .paper) == before)
        }

        /// A budget alone brings the expected cost to it, from above and from below, in both forms.
        @Test(arguments: CostForm.allCases, [0.3, 0.6])
        func aBudgetIsReached(form: CostForm, share: Double) throws {
            let cost = CostModel(try Trial.architecture(), height: 16, width: 16)
            let budget = CostBudget(form: form, weight: 1, blockShares: cost.parts.blockShares)
            let settings = PolicySettings(sparsity: 0, sharing: 0, budget: budget)
            let trial = try Trial(settings, taskLosses: false, weightDecay: 0)
            #expect(abs(cost.parts.expectedShare(try trial.alphas(), form) - share) > 0.05, "negative control")
            try trial.learnLogits(150, budget: share)
            let reached = cost.parts.expectedShare(try trial.alphas(), form)
            #expect(abs(reached - share) < 0.02, "\(reached)")
        }

        /// A block whose branch has become large noise gets the lowest α for every task.
        @Test(arguments: [3, 5])
        func aNoisyBlockIsSkipped(noisy: Int) throws {
            let trial = try Trial(
                PolicySettings(sparsity: 0, sharing: 0), taskLosses: true, weightDecay: 5e-4, size: (33, 41), batch: 4)
            try trial.warmUp(30)
            try trial.spoil(block: noisy)
            try trial.learnLogits(60)
            for (task, alphas) in try trial.alphas().enumerated() {
                let lowest = alphas.indices.min { alphas[$0] < alphas[$1] }
                #expect(lowest == noisy, "task \(task + 1): \(alphas)")
                #expect(alphas[noisy] < 0.4, "task \(task + 1): \(alphas)")
            }
        }
    }
}
