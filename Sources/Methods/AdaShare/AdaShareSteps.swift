import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators

extension PolicySettings {
    /// Policy learning, weights: the last `open` blocks mixed, or what was `drawn` alone executed; logits frozen.
    public func weights(open: Int, drawn: DiscretePolicy? = nil) -> StepKind {
        StepKind(WeightStep(settings: self, gates: PolicyGates(open: open, drawn: drawn)))
    }

    /// Policy learning, logits: the last `open` blocks mixed, or what was `drawn` alone executed; weights frozen.
    public func logits(open: Int, drawn: DiscretePolicy? = nil) -> StepKind {
        StepKind(LogitStep(settings: self, gates: PolicyGates(open: open, drawn: drawn)))
    }

    fileprivate static let blockCostsName = "block_costs"
}

/// How tasks pass the blocks in a step of policy learning.
struct PolicyGates: Hashable, Sendable {
    /// The last blocks, which have a free policy; the others are selected.
    let open: Int
    /// What is executed where decisions were drawn; else the open blocks are mixed.
    let drawn: DiscretePolicy?

    func predictions(_ settings: PolicySettings, _ recorder: StepRecorder) -> [Value] {
        if let drawn { return recorder.paths(drawn) }
        let blocks = recorder.blocks
        let gates = recorder.present.map { recorder.gates(settings, task: $0).gates }
        if recorder.network.keepsGradients {
            for (task, gates) in zip(recorder.present, gates) {
                recorder.keep("gates/\(recorder.network.tasks[task].name)", gates)
            }
        }
        let row = (0..<blocks).map { $0 < blocks - open ? BlockDecision.select : .mix }
        return recorder.paths(recorder.present.map { _ in row }, gates: gates)
    }
}

/// Policy learning, weights.
struct WeightStep: NetworkStep {
    let settings: PolicySettings
    let gates: PolicyGates

    func record(in recorder: StepRecorder) {
        let (_, total) = recorder.objective(of: gates.predictions(settings, recorder))
        recorder.minimise(total, recorder.weightsInUse, by: settings.weightRule)
    }
}

/// Policy learning, logits.
struct LogitStep: NetworkStep {
    let settings: PolicySettings
    let gates: PolicyGates

    var constants: [String: [Double]] {
        settings.budget.map { [PolicySettings.blockCostsName: $0.blockShares] } ?? [:]
    }

    func record(in recorder: StepRecorder) {
        let (losses, total) = recorder.objective(of: gates.predictions(settings, recorder))
        let loss = recorder.adding(regularisersOf: settings, open: gates.open, to: total)
        let names = Set(recorder.present.map { recorder.network.architecture.logitsParameter(task: $0) })
        let logits = recorder.network.catalog.specs.filter { $0.group == .policy && names.contains($0.name) }
        recorder.minimise(loss, logits, by: settings.logitRule) { gradients in
            guard gates.drawn != nil else { return }
            for (path, loss) in losses.enumerated() {
                guard let drawn = recorder.drawnGradient(settings, path: path, loss: loss, open: gates.open) else {
                    continue
                }
                gradients[path] = gradients[path].map { recorder.graph.record(Sum(), [$0, drawn])[0] } ?? drawn
            }
        }
    }
}

extension StepRecorder {
    fileprivate func logits(task: Int) -> Value {
        graph.parameter(network.architecture.logitsParameter(task: task), Shape([blocks, 2]))
    }

    /// The gates [L, 2] of a task as the forward pass uses them, and their soft form.
    fileprivate func gates(_ settings: PolicySettings, task: Int) -> GumbelSample {
        let prefix = "task\(network.architecture.number(task: task))"
        return graph.scope("\(prefix)/gates") {
            let logits = logits(task: task)
            let noise =
                settings.noiseGiven
                ? graph.input("noise/\(prefix)", Shape([blocks, 2]))
                : graph.record(
                    UniformNoise(rows: blocks, columns: 2, name: network.architecture.gumbelNoise(task: task)),
                    [graph.step])[0]
            return graph.gumbelSoftmax(logits, uniforms: noise, straightThrough: settings.straightThrough)
        }
    }

    /// A task's part of a drawn logit step: what the blocks it selected would have its gates change, straight through.
    ///
    /// The forward pass is shared between tasks wherever their draws agree; only gradients are a task's own.
    ///
    /// - Parameter path: of the trace, the task's.
    fileprivate func drawnGradient(
        _ settings: PolicySettings, path: Int, loss: Value, open: Int
    ) -> Value? {
        let (graph, task) = (graph, present[path])
        let selected = trace.selections[path].filter { $0.key >= blocks - open }.sorted { $0.key < $1.key }
        guard !selected.isEmpty else { return nil }
        let weighted = network.objective.term(loss, of: task, in: self)
        let arriving = graph.gradients(of: weighted, for: selected.map(\.value.output))
        let rows = zip(selected, arriving).compactMap { selection, gradient -> Value? in
            guard let gradient else { return nil }
            return graph.scope("\(Graph.backwardLabel)/\(network.architecture.blocks[selection.key].name)/gate") {
                let values = [selection.value.output, graph.again(selection.value.residual), gradient]
                return graph.record(DrawnGateGradient(block: selection.key, blocks: blocks), values)[0]
            }
        }
        guard let first = rows.first else { return nil }
        let gates = rows.count == 1 ? first : graph.record(Sum(), rows)[0]
        let soft = self.gates(settings, task: task).soft
        return graph.record(GumbelSoftmaxGradient(), [logits(task: task), soft, gates, graph.step])[0]
    }

    /// total + λ_sp Σ sparsity + λ_sh Σ sharing over pairs of tasks + λ |expected cost − budget|.
    fileprivate func adding(regularisersOf policy: PolicySettings, open: Int, to total: Value) -> Value {
        graph.scope("regularisers") {
            let all = present.map { logits(task: $0) }
            let sparsity = SparsityLoss(form: policy.sparsityForm, first: blocks - open, layered: policy.layered)
            let sharing = SharingLoss(form: policy.sharingForm)
            let pairs = all.indices.flatMap { first in all[(first + 1)...].map { (all[first], $0) } }
            typealias Name = AdaShare.Regulariser
            var parts = [
                (Name.sparsity.rawValue, policy.sparsity, all.map { graph.record(sparsity, [$0])[0] }),
                (Name.sharing.rawValue, policy.sharing, pairs.map { graph.record(sharing, [$0, $1])[0] }),
            ]
            if let budget = policy.budget {
                let costs = constant(PolicySettings.blockCostsName)
                let loss = ExpectedCostLoss(
                    form: budget.form, first: blocks - open, images: network.architecture.sources)
                let everyone = network.tasks.indices.map { logits(task: $0) }
                parts.append(
                    (Name.cost.rawValue, budget.weight, [graph.record(loss, [costs, graph.step] + everyone)[0]]))
            }
            return adding(parts, to: total)
        }
    }
}
